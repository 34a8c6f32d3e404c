"""The sentences of a report: the surest mistakes with the words behind them, what was refused, suspected labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from intent_bert.inference.explanation import ExplainedIntent, Explanation, words_of
from intent_bert.workbench.page_blocks import Block, Column, Table, Tag, Text, Words
from intent_bert.workbench.suspects import LEAST, NEIGHBOURS, SURE

if TYPE_CHECKING:
    from intent_bert.workbench.report_results import Report

FAINT = 0.05  # a drop of the probability that is shaded no more than its share of this
WORDS_NAMED, LEAST_NAMED = 3, 0.001
SENTENCE = Column("sentence", wide=True)


def mistake_blocks(report: "Report") -> list[Block]:
    """The mistakes, the surest first."""
    mistakes, several = report.mistakes, report.predictor.multi_label
    columns: list[str | Column] = ["row", SENTENCE, "label", "prediction"]
    columns += [Column("confidence", ".2f"), "carried by"]
    columns += [Column("nearest training sentences", wide=True)] if report.compared else []
    rows = []
    for place, mistake in mistakes.iterrows():
        explanation = report.explanations.get(int(str(place)))
        intent = _explained_intent(explanation, mistake["added"] if several else None)
        sentence: Any = mistake["text"] if intent is None else shaded(mistake["text"], intent)
        row = [
            mistake["row"],
            sentence,
            mistake["label"],
            mistake["prediction"],
            mistake["confidence"],
            _carried(intent),
        ]
        rows.append([*row, _near(explanation)] if report.compared else row)
    blocks: list[Block] = [
        Text(
            "Each word is left out in turn: the darker it is, the more the probability of the predicted intent falls "
            "without it. Blue words speak against it."
        ),
        Table(columns, rows, empty="No mistake.", rest="evaluate --output-dir writes all mistakes as csv."),
    ]
    if not report.compared and rows:
        blocks.append(
            Text(
                "The model folder keeps no sentence of its training: report --train-file FILE shows which of them are "
                "nearest to each mistake."
            )
        )
    if len(rows) > len(report.explanations):
        blocks.append(Text(f"The words of the {len(report.explanations):,} surest mistakes were looked at."))
    return blocks


def _explained_intent(explanation: Explanation | None, added: Sequence[str] | None) -> ExplainedIntent | None:
    """The intent whose words are shown: the predicted one; of several the likeliest that is wrong."""
    if explanation is None:
        return None
    return next((each for each in explanation.intents if added is None or str(each.intent) in added), None)


def shaded(text: str, intent: ExplainedIntent) -> Words:
    """A sentence whose words are shaded by what they do for an intent."""
    drops = {word.start: word.drop for word in intent.words}
    most = max([FAINT, *map(abs, drops.values())])
    pieces, end = [], 0
    for start, stop in words_of(text):
        pieces += [(text[end:start], 0.0), (text[start:stop], drops[start] / most)]
        end = stop
    return Words([*(piece for piece in pieces if piece[0]), (text[end:], 0.0)])


def _carried(intent: ExplainedIntent | None) -> str:
    words = [] if intent is None else [word for word in intent.words if word.drop >= LEAST_NAMED][:WORDS_NAMED]
    return ", ".join(f"{word.word} −{word.drop:.3f}" for word in words)


def _near(explanation: Explanation | None) -> str:
    near = [] if explanation is None else explanation.nearest or []
    return "\n".join(f"{each.text} ({each.label}, {each.similarity:.2f})" for each in near)


def refused_blocks(report: "Report") -> list[Block]:
    """The sentences that are out of scope for the model, or get no intent."""
    if report.rows["in_scope"].isna().any():
        return [
            Text(
                "The model can't tell which sentences are in scope: intent-bert calibrate MODEL_DIR TABLE, with "
                "labelled sentences that training has not seen, adds what it needs."
            )
        ]
    refused, several = report.refused, report.predictor.multi_label
    kinds = [_refusal(row, several, set(map(str, report.predictor.classes))) for row in refused.itertuples(index=False)]
    cells = zip(kinds, refused.itertuples(index=False), strict=True)
    rows = [[kind, row.row, row.text, row.label, row.confidence, row.score] for kind, row in cells]
    if not several:
        rows = [[*row[:4], name, *row[4:]] for row, name in zip(rows, refused["prediction"], strict=True)]
    columns: list[str | Column] = ["", "row", SENTENCE, "label", *([] if several else ["would be"])]
    columns += [Column("confidence", ".2f"), Column("score", ".2f", "how much it is in scope; higher is more")]
    good = sum(kind.tone == "good" for kind in kinds)
    said = "get no intent" if several else "are out of scope for the model"
    number, of = len(rows), len(report.rows)
    return [
        Text(f"{number:,} of {of:,} sentences ({number / of:.1%}) {said}; in {good:,} of them that is good."),
        Table(columns, rows, caption="The least in scope first", empty="Nothing was refused."),
    ]


def _refusal(row: Any, several: bool, known: set[str]) -> Tag:
    if several:
        return Tag("labels missed", "bad") if row.label else Tag("none fits", "good")
    if row.label not in known:
        return Tag("unknown", "good")
    return Tag("right answer lost", "bad") if row.right else Tag("mistake avoided", "good")


def suspect_blocks(report: "Report") -> list[Block]:
    """The rows whose label may be wrong."""
    several = report.predictor.multi_label
    asked = not several and not report.suspects["neighbours"].isna().any()
    told = (
        f"Rows whose label has less than {LEAST:.0%} while the model gives another intent at least {SURE:.0%}"
        + (f", and most of the {NEIGHBOURS} nearest training sentences agree" if asked else "")
        + ". A reason to look, no proof."
    )
    if several:
        told = (
            f"Labels with less than {LEAST:.0%} (-), and intents with at least {SURE:.0%} that a row lacks (+). A "
            "reason to look, no proof."
        )
    columns: list[str | Column] = ["row", SENTENCE, "label", "proposal", Column("how sure", ".3f")]
    columns += [Column("label's probability", ".4f"), *([f"of {NEIGHBOURS} neighbours"] if asked else [])]
    table = report.suspects if asked else report.suspects.drop(columns="neighbours")
    rows = [list(row) for row in table.itertuples(index=False)]
    return [Text(told), Table(columns, rows, empty="No label is suspected.")]
