"""A first file of cases for a model, for people to go on with: what it does well today, so that it stays so.

    TABLE, or the test table that the settings of the model's run name, where it still lies there
      -> for each intent some sentences that the model has right, from hardly to quite sure      must, at-least
      -> one of them, with the perturbations that its answer survives today                      same
      -> its surest mistakes, asked for with a pass rate of 0%                                   known mistakes
    sentences of ours about nothing in particular that the model refuses today                   unknown

A model folder keeps no training sentences. Where none of its tables is left, the mistakes of its test (mistakes.csv)
and the sentences to refuse are all that it holds.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import floor
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import yaml

from intent_bert.config import INTENT, LABEL_SEPARATOR, TEXT
from intent_bert.data.cells import text_problem
from intent_bert.data.datasets import SHIPPED, SHIPPED_NAMES, split_files
from intent_bert.data.label_sets import label_set
from intent_bert.data.rows import RowReader
from intent_bert.data.streaming import chunks
from intent_bert.errors import DataError, IntentBertError
from intent_bert.files.cache import data_folder
from intent_bert.model.folder import MISTAKES_FILE, ModelFolder
from intent_bert.workbench.behaviour import Seen, seen_by
from intent_bert.workbench.cases import AT_LEAST, CAPABILITIES, MUST, PASS_RATE, SAME, SEED, UNKNOWN
from intent_bert.workbench.perturbations import PERTURBATIONS, variants

if TYPE_CHECKING:
    from intent_bert.inference.predictor import IntentPredictor

logger = logging.getLogger("intent_bert")

LONGEST = 100  # characters of a sentence that people read in such a file
_PLACES = (0.1, 0.5, 0.9)  # of the sentences of an intent, from the least sure to the surest
_CHUNKS = 40  # of a long table; there are enough sentences in them
_MISTAKES, _MISTAKES_NAME, _REFUSED_NAME = 10, "known mistakes", "what it does not know"
_STRANGE = (
    "what is the meaning of life", "how tall is the eiffel tower", "i had pasta for lunch with my sister",
    "why do cats purr at night", "translate good morning into finnish", "the printer on the third floor is jammed",
    "asdf qwer zxcv", "my knee hurts when i climb stairs", "who won the election in 1998",
    "what is seventeen times twelve", "do you dream of electric sheep", "the tax form is due on friday",
)  # fmt: skip
_HEAD = """\
# How the model should behave. Made from what it does well today: read it, throw out what does not matter, and add what
# users say. Try it with: intent-bert check MODEL_DIR THIS_FILE
#
#   must      this text has this intent
#   same      the answer stays when the text is written otherwise: {perturbations}
#   at-least  the answer is at least so sure
#   unknown   this text is refused, as with predict --reject
#   pass-rate the share of a capability's cases that must pass; here for all, or in a capability of its own
#
# From {source}.
"""


@dataclass
class _Found:
    """Sentences of a table with what the model makes of them: right ones by intent, and wrong ones."""

    right: dict[tuple[str, ...], list[tuple[float, str]]] = field(default_factory=dict)
    wrong: list[tuple[float, str, tuple[str, ...]]] = field(default_factory=list)


def first_cases(
    predictor: "IntentPredictor",
    folder: ModelFolder,
    table: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    verbose: int = 0,
) -> str:
    """The text of a first file of cases, which the model passes today.

    Args:
        predictor, folder: the model.
        table: labelled sentences; by default those of the model's own run.
        text_column, label_column: of ``table``; as in training by default.
        verbose: 1 shows a bar on stderr, where it takes over two seconds.

    Raises:
        DataError: the table can't be read, or has no sentence that the model has right; or there is nothing to make
            cases of.
    """
    settings = folder.config["settings"]
    columns = text_column or settings.get("text_column") or TEXT, label_column or settings.get("label_column") or INTENT
    found, source = _from_tables(predictor, [Path(table)] if table else _own_tables(settings), columns, bool(table))
    if found is None:
        found, source = _from_mistakes(predictor, folder)
    capabilities = dict(_by_intent(predictor, found, verbose))
    refused = _refused(predictor)
    if refused:
        capabilities[_REFUSED_NAME] = {UNKNOWN: refused}
    mistakes = _mistakes(found, capabilities)
    if mistakes:
        capabilities[_MISTAKES_NAME] = {PASS_RATE: "0%", MUST: mistakes}
    if not capabilities:
        raise DataError(
            f"{folder.path} holds no sentence to make cases of, and no table of its run is here: name one with --table"
        )
    return _as_yaml(capabilities, source)


# --- where the sentences come from -------------------------------------------------------------------------------


def _own_tables(settings: dict[str, Any]) -> list[Path]:
    """The tables of the model's run that are still there; what training has not learnt from first."""
    splits: dict[str, Path] = {}
    folder = _local_folder(settings.get("data"))
    if folder is not None:
        try:
            splits = split_files(folder)
        except (DataError, OSError):
            splits = {}
    for split in ("test", "validation", "train"):
        named = settings.get(f"{split}_file")
        if isinstance(named, str):
            splits[split] = Path(named)
    return [splits[split] for split in ("test", "validation", "train") if split in splits and splits[split].is_file()]


def _local_folder(name: Any) -> Path | None:
    """The folder of a data set, if it is here: nothing is downloaded."""
    if not isinstance(name, str):
        return None
    if name in SHIPPED_NAMES:
        return SHIPPED / name
    bare = name == Path(name).name
    places = [*([data_folder() / name] if bare else []), Path(name)]
    return next((place for place in places if place.is_dir()), None)


def _from_tables(
    predictor: "IntentPredictor", tables: Sequence[Path], columns: tuple[str, str], given: bool
) -> tuple[_Found | None, str]:
    """What the first table that can be used gives; one that the user has named must be usable."""
    for table in tables:
        try:
            found = _read(predictor, table, columns)
        except IntentBertError as error:
            if given:
                raise
            logger.info("can't use %s, a table of the model's run: %s", table, error)
            continue
        if found.right:
            logger.info("cases from %s%s", table, "" if given else ", a table of the model's own run")
            return found, f"{table.name}, what the model makes of its sentences"
        if given:
            raise DataError(f"{table} has no sentence of at most {LONGEST} characters that the model has right")
    return None, ""


def _read(predictor: "IntentPredictor", table: Path, columns: tuple[str, str]) -> _Found:
    separator = predictor.label_separator if predictor.multi_label else None
    found, seen_before = _Found(), set[str]()
    known = set(map(str, predictor.classes))
    for part in islice(chunks(table, *columns, separator), _CHUNKS):
        rows = [
            (text, tuple(sorted(map(str, label if isinstance(label, tuple) else (label,)))))
            for text, label in zip(part[TEXT], part[INTENT], strict=True)
        ]
        rows = [row for row in dict(rows).items() if _readable(row[0]) and row[0] not in seen_before]
        seen_before.update(text for text, _ in rows)
        for (text, labels), seen in zip(rows, seen_by(predictor, [text for text, _ in rows]).values(), strict=True):
            if seen.intents == labels and labels:
                found.right.setdefault(labels, []).append((seen.confidence, text))
            elif labels and known.issuperset(labels):
                found.wrong.append((seen.confidence, text, labels))
    return found


def _readable(text: str) -> bool:
    return len(text) <= LONGEST and text.isprintable() and text == text.strip()


def _from_mistakes(predictor: "IntentPredictor", folder: ModelFolder) -> tuple[_Found, str]:
    """What the folder itself holds: the mistakes of its test, the surest first."""
    found, known = _Found(), set(map(str, predictor.classes))
    path = folder.path / MISTAKES_FILE
    for text, label, confidence in _mistake_rows(path) if path.is_file() else ():
        separator = predictor.label_separator or LABEL_SEPARATOR
        labels = tuple(map(str, label_set(label, separator))) if predictor.multi_label else (label,)
        if _readable(text) and labels and known.issuperset(labels):
            found.wrong.append((confidence, text, labels))
    logger.info(
        "no table of the model's run is here any more, and a model folder keeps no sentences but the mistakes of its "
        "test: name labelled sentences with --table TABLE for cases of each intent"
    )
    return found, f"{MISTAKES_FILE}, the mistakes of the model's test; no table of its run was found"


def _mistake_rows(path: Path) -> Iterator[tuple[str, str, float]]:
    try:
        for row in RowReader(path, on_error="skip"):
            text, label = row.values.get("text"), row.values.get("label")
            if not text_problem(text) and isinstance(label, str) and label:
                yield str(text), label, float(row.values.get("confidence") or 0)
    except (IntentBertError, ValueError, OSError):  # people may have written into it, or there was no mistake
        return


# --- what is asked of them ---------------------------------------------------------------------------------------


def _by_intent(predictor: "IntentPredictor", found: _Found, verbose: int) -> Iterator[tuple[str, dict[str, Any]]]:
    chosen = {labels: _spread(sorted(right)) for labels, right in sorted(found.right.items())}
    middle = {labels: right[len(right) // 2][1] for labels, right in chosen.items()}
    tried = {text: {name: variants(name, text) for name in PERTURBATIONS} for text in middle.values()}
    every = {variant for by_name in tried.values() for some in by_name.values() for variant in some}
    seen = seen_by(predictor, sorted(every | set(tried)), verbose=verbose)
    for labels, right in chosen.items():
        text = middle[labels]
        kept = [name for name, some in tried[text].items() if some and _survives(seen, text, some)]
        confidence, surest = right[-1]
        least = floor((confidence - 0.01) * 20) * 5  # per cent
        yield (
            " + ".join(labels),
            {
                MUST: {each: _Inline(labels) if len(labels) > 1 else labels[0] for _, each in right},
                **({SAME: {text: _Inline(kept)}} if kept else {}),
                **({AT_LEAST: {surest: f"{least}%"}} if least >= 50 else {}),
            },
        )


def _spread(right: list[tuple[float, str]]) -> list[tuple[float, str]]:
    places = dict.fromkeys(round(place * (len(right) - 1)) for place in _PLACES)
    return [right[place] for place in places]


def _survives(seen: dict[str, Seen], text: str, changed: list[str]) -> bool:
    return all(seen[each].intents == seen[text].intents for each in changed)


def _refused(predictor: "IntentPredictor") -> list[str]:
    if predictor.decision.threshold is None:
        logger.info("no cases of sentences to refuse: the model can't tell (intent-bert calibrate adds what it needs)")
        return []
    return [text for text, seen in seen_by(predictor, _STRANGE).items() if seen.in_scope is False]


def _mistakes(found: _Found, capabilities: dict[str, Any]) -> dict[str, Any]:
    if _MISTAKES_NAME in capabilities:  # an intent of this name
        return {}
    surest = sorted(found.wrong, key=lambda each: -each[0])[:_MISTAKES]
    return {text: _Inline(labels) if len(labels) > 1 else labels[0] for _, text, labels in surest}


# --- as a file ---------------------------------------------------------------------------------------------------


class _Inline(list[str]):
    """A list that stands on one line: [typos, case]."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Inline, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
)


def _as_yaml(capabilities: dict[str, Any], source: str) -> str:
    head = _HEAD.format(perturbations=", ".join(PERTURBATIONS), source=" ".join(source.split()))
    parts = [f"{head}\n{SEED}: 0\n{PASS_RATE}: 100%\n{CAPABILITIES}:\n"]
    for name, capability in capabilities.items():
        if name == _MISTAKES_NAME:
            parts.append("\n  # What it has wrong today; raise the pass rate when a new model mends some.\n")
        body = yaml.dump(
            {name: capability}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000, indent=2
        )
        parts.append(indent(body, "  "))
    return "".join(parts)
