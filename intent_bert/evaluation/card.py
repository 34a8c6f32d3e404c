"""The model card: a README.md written from the facts of the run."""

import time
from collections.abc import Sequence
from typing import Any

from intent_bert.bert.config import BertConfig
from intent_bert.data.labels import Label
from intent_bert.evaluation.metrics import Evaluation
from intent_bert.version import __version__

INTENTS_LISTED_UP_TO = 40


def model_card(
    settings: dict[str, Any], classes: Sequence[Label], evaluations: dict[str, Evaluation], params: BertConfig
) -> str:
    """Markdown: what the model is, how good it is, how it was made and how to ask it."""
    source = settings.get("data") or settings.get("train_file") or "the given texts"
    rows = "\n".join(
        f"| {name} | {each.rows} | {each.accuracy:.4f} | {each.macro_f1:.4f} | {each.loss:.4f} |"
        for name, each in evaluations.items()
    )
    listed = ", ".join(f"`{label}`" for label in classes[:INTENTS_LISTED_UP_TO])
    more = (
        f" and {len(classes) - INTENTS_LISTED_UP_TO} more (labels.json)" if len(classes) > INTENTS_LISTED_UP_TO else ""
    )
    made = "\n".join(f"| {name} | {value} |" for name, value in settings.items() if value is not None)
    unknown = {label: n for each in evaluations.values() for label, n in each.unknown_labels.items()}
    warning = f"\nCounted as mistakes, because training never had them: {', '.join(unknown)}.\n" if unknown else ""
    return f"""# Intent recogniser: {len(classes)} intents

Names the intent of a sentence. Fine-tuned from {settings.get("checkpoint")} on {source} with intent_bert {__version__},
{time.strftime("%Y-%m-%d")}.

Intents: {listed}{more}.

| split | rows | accuracy | macro F1 | loss |
|---|---|---|---|---|
{rows}
{warning}
"train" is what it learnt from; only splits it has not seen say how good it is. Every sentence gets one of these
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
