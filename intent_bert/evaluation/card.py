"""The model card: a README.md written from the facts of the run."""

import math
import time
from collections.abc import Sequence
from typing import Any

from intent_bert.bert.config import BertConfig
from intent_bert.data.labels import Label
from intent_bert.evaluation.markdown import as_code, as_text
from intent_bert.evaluation.metrics import Evaluation
from intent_bert.version import __version__

INTENTS_LISTED_UP_TO = 40


def model_card(
    settings: dict[str, Any], classes: Sequence[Label], evaluations: dict[str, Evaluation], params: BertConfig
) -> str:
    """Markdown: what the model is, how good it is, how it was made and how to ask it.

    Args:
        settings: the run's settings by name; those that are None are left out.
        classes: the intents.
        evaluations: the metrics of each split.
        params: the encoder's shape.
    """
    source = settings.get("data") or settings.get("train_file") or "the given texts"
    made = "\n".join(f"| {name} | {as_text(value)} |" for name, value in settings.items() if value is not None)
    return f"""# Intent recogniser: {len(classes)} intents

Names the intent of a sentence. Fine-tuned from {as_text(settings.get("checkpoint"))} on {as_text(source)} with
intent_bert {__version__}, {time.strftime("%Y-%m-%d")}.

Intents: {_listed(classes)}.

| split | rows | accuracy | macro F1 | loss |
|---|---|---|---|---|
{_metrics(evaluations)}
{_unknown(evaluations)}
The model was trained on "train": the other splits say how good it is on new sentences. Every sentence gets one of these
intents, also one that means none of them. `mistakes.csv` and `confusion_matrix.png` show where it goes wrong.

## Ask it

    intent-bert predict FOLDER "a sentence of yours"

    from intent_bert import IntentPredictor
    IntentPredictor.load("FOLDER").predict_one("a sentence of yours")

## How it was made

Encoder: {params.num_layers} layers, hidden size {params.hidden_size}, {params.num_heads} heads.

| setting | value |
|---|---|
{made}
"""


def _listed(classes: Sequence[Label]) -> str:
    listed = ", ".join(as_code(label) for label in classes[:INTENTS_LISTED_UP_TO])
    more = len(classes) - INTENTS_LISTED_UP_TO
    return f"{listed} and {more} more (labels.json)" if more > 0 else listed


def _metrics(evaluations: dict[str, Evaluation]) -> str:
    def line(name: str, each: Evaluation) -> str:
        loss = "-" if math.isnan(each.loss) else f"{each.loss:.4f}"
        return f"| {as_text(name)} | {each.rows} | {each.accuracy:.4f} | {each.macro_f1:.4f} | {loss} |"

    return "\n".join(line(*item) for item in evaluations.items())


def _unknown(evaluations: dict[str, Evaluation]) -> str:
    unknown = dict.fromkeys(label for each in evaluations.values() for label in each.unknown_labels)
    if not unknown:
        return ""
    return f"\nCounted as mistakes, because training never had them: {', '.join(map(as_code, unknown))}.\n"
