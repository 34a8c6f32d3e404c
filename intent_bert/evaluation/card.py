"""The model card: a README.md written from the facts of the run."""

import math
import time
from collections.abc import Sequence
from typing import Any

from intent_bert.bert.config import BertConfig
from intent_bert.data.labels import Label
from intent_bert.evaluation.markdown import as_code, as_text
from intent_bert.evaluation.multi_label import AnyEvaluation
from intent_bert.model.decision import Decision
from intent_bert.version import __version__

INTENTS_LISTED_UP_TO = 40
_TRUST, _ASK = "## Can it be trusted?", "## Ask it"


def model_card(
    settings: dict[str, Any],
    classes: Sequence[Label],
    evaluations: dict[str, AnyEvaluation],
    params: BertConfig,
    decision: Decision,
) -> str:
    """Markdown: what the model is, how good it is, how it was made and how to ask it.

    Args:
        settings: the run's settings by name; those that are None are left out.
        classes: the intents.
        evaluations: the metrics of each split.
        params: the encoder's shape.
        decision: how its outputs become predictions.
    """
    source = settings.get("data") or settings.get("train_file") or "the given texts"
    made = "\n".join(f"| {name} | {as_text(value)} |" for name, value in settings.items() if value is not None)
    return f"""# Intent recogniser: {len(classes)} intents

Names the intent of a sentence. Fine-tuned from {as_text(settings.get("checkpoint"))} on {as_text(source)} with
intent_bert {__version__}, {time.strftime("%Y-%m-%d")}.

Intents: {_listed(classes)}.

{_metrics(evaluations)}
{_unknown(evaluations)}
The model was trained on "train": the other splits say how good it is on new sentences. {_gets(settings)} `mistakes.csv`
and `confusion_matrix.png` show where it goes wrong.

{_trust(decision)}
## Ask it

    intent-bert predict FOLDER "a sentence of yours"

    from intent_bert import IntentPredictor
    IntentPredictor.load("FOLDER").{_call(settings)}

## How it was made

Encoder: {params.num_layers} layers, hidden size {params.hidden_size}, {params.num_heads} heads.

| setting | value |
|---|---|
{made}
"""


def imported_card(source: str, classes: Sequence[Label], params: BertConfig, decision: Decision) -> str:
    """The card of a model that was trained elsewhere, and imported from a folder of this name."""
    settings = {"multi_label": decision.multi_label}
    fitted = (
        ""
        if not decision.multi_label
        else "\nAn intent needs a probability of 0.5 unless config.json says otherwise.\n"
    )
    return f"""# Intent recogniser: {len(classes)} intents

Imported from {as_text(source)} with intent_bert {__version__}, {time.strftime("%Y-%m-%d")}. How it was trained, and how
good it is, is not known here: `intent-bert evaluate FOLDER TABLE` tells, on labelled sentences of yours.

Intents: {_listed(classes)}.
{fitted}
{_trust(decision)}
## Ask it

    intent-bert predict FOLDER "a sentence of yours"

    from intent_bert import IntentPredictor
    IntentPredictor.load("FOLDER").{_call(settings)}

## How it was made

Encoder: {params.num_layers} layers, hidden size {params.hidden_size}, {params.num_heads} heads.
"""


def _listed(classes: Sequence[Label]) -> str:
    listed = ", ".join(as_code(label) for label in classes[:INTENTS_LISTED_UP_TO])
    more = len(classes) - INTENTS_LISTED_UP_TO
    return f"{listed} and {more} more (labels.json)" if more > 0 else listed


def _metrics(evaluations: dict[str, AnyEvaluation]) -> str:
    _, *names = next(iter(evaluations.values())).METRICS  # the loss stands last
    shown = " | ".join(name.replace("_", " ").replace("f1", "F1").replace("hamming", "Hamming") for name in names)

    def line(name: str, each: AnyEvaluation) -> str:
        values = " | ".join(f"{getattr(each, metric):.4f}" for metric in names)
        loss = "-" if math.isnan(each.loss) else f"{each.loss:.4f}"
        return f"| {as_text(name)} | {each.rows} | {values} | {loss} |"

    head = f"| split | rows | {shown} | loss |\n|---|---|{'---|' * len(names)}---|\n"
    return head + "\n".join(line(*item) for item in evaluations.items())


def _gets(settings: dict[str, Any]) -> str:
    if not settings.get("multi_label"):
        return "Every sentence gets one of these\nintents, also one that means none of them."
    gets = "A sentence gets\nall intents whose probability reaches their threshold (config.json), or none."
    return (
        f'{gets} Some of "train" and "validation" were made\nby joining others (mix).' if settings.get("mix") else gets
    )


def _call(settings: dict[str, Any]) -> str:
    several = settings.get("multi_label")
    return 'predict_intents(["a sentence of yours"])' if several else 'predict_one("a sentence of yours")'


def _unknown(evaluations: dict[str, AnyEvaluation]) -> str:
    unknown = dict.fromkeys(label for each in evaluations.values() for label in each.unknown_labels)
    if not unknown:
        return ""
    return f"\nCounted as mistakes, because training never had them: {', '.join(map(as_code, unknown))}.\n"


def _trust(decision: Decision) -> str:
    """Whether probabilities are calibrated and sentences can be rejected; nothing of a multi-label model."""
    if decision.multi_label:
        return ""
    lines = [f"{_TRUST}\n"]
    if decision.calibration is None:
        lines.append("Probabilities are not calibrated: too few sentences were held out from training.")
    else:
        temperature, rows, source = decision.calibration
        lines.append(
            f"Probabilities are calibrated with temperature {temperature:.3f}, from {rows} sentences ({source})."
        )
    threshold = None if decision.scope is None else decision.scope.threshold
    if threshold is None:
        lines.append(
            "It can't reject sentences that mean none of its intents: nothing was held out to set a threshold."
        )
    elif threshold.interval is None:
        lines.append(
            f"It can reject sentences out of scope; {threshold.rows} known and unknown ones set the threshold."
        )
    else:
        low, high = threshold.interval
        lines.append(
            f"It can reject sentences out of scope (`--reject`): set on {threshold.rows} sentences, its threshold "
            f"accepts {low:.1%} to {high:.1%} of those in scope."
        )
    return "\n".join(lines) + "\n"


def with_trust(card: str, decision: Decision) -> str:
    """A card whose decision has changed since it was written; as it is where it is another's text."""
    before, trust, rest = card.partition(_TRUST)
    _, ask, after = rest.partition(_ASK)
    return f"{before}{_trust(decision)}\n{ask}{after}" if trust and ask else card
