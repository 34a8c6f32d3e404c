"""What a run's own sentences teach the decision of its model, once the weights are found.

    validation   a temperature, and the score from which on a sentence is in scope
    train        what sentences in scope are like
    unknown      (if there are any) the weights of the score and its threshold

The weights have not seen validation and unknown sentences. Where these are too few the decision stays as it is, and a
line in the log says so.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from intent_bert.config import TrainingConfig
from intent_bert.data.labels import Label
from intent_bert.model.calibration import (
    LEAST_ROWS,
    Calibration,
    conformal_threshold,
    fit_temperature,
    least_rows,
    taught_by_unknown,
)
from intent_bert.model.decision import Decision, Outputs, is_wordless
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.scope import Scope, kept_rows
from intent_bert.training.prepare import Prepared, Sentences

logger = logging.getLogger("intent_bert")


def run_outputs(engine: KerasEngine, prepared: Prepared, verbose: int = 1) -> tuple[dict[str, Outputs], Outputs]:
    """What the model computes for each table of a run, and for the training sentences that ``Scope`` keeps.

    Of train the outputs hold logits alone: of a large table the rest would take gigabytes.
    """
    named: dict[str, Outputs] = {}
    for name, split in prepared.splits.items():
        if name != "train":
            named[name] = engine.outputs(split.ids, f"evaluating {name}" if verbose else None)
    train = prepared.splits["train"]
    rows = scope_rows(train, prepared.classes, prepared.config.seed)
    others = np.setdiff1d(np.arange(len(train.ids)), rows)
    progress = "evaluating train" if verbose else None
    kept = engine.outputs([train.ids[row] for row in rows], progress)
    logits = np.empty((len(train.ids), kept.logits.shape[1]), "float32")
    logits[rows] = kept.logits
    if len(others):
        logits[others] = engine.logits([train.ids[row] for row in others], progress)
    named["train"] = logits_alone(logits)
    return {name: named[name] for name in prepared.splits}, kept


def scope_rows(train: Sentences, classes: Sequence[Label], seed: int) -> np.ndarray:
    """The training sentences that ``Scope`` keeps; of label sets none."""
    if any(isinstance(label, tuple) for label in train.labels[:1]):
        return np.empty(0, "int64")
    return kept_rows(train.numbers(classes), len(classes), seed)


def logits_alone(logits: np.ndarray) -> Outputs:
    """Outputs (N, ...) of which only the logits are known."""
    nothing = np.empty((len(logits), 0), "float32")
    return Outputs(logits, nothing, nothing)


def taught_decision(prepared: Prepared, outputs: dict[str, Outputs], kept: Outputs) -> Decision:
    """Temperature and scope from ``run_outputs``'s outputs."""
    train, classes = prepared.splits["train"], prepared.classes
    rows = scope_rows(train, classes, prepared.config.seed)
    scope = Scope.of(kept, train.numbers(classes)[rows], len(classes))
    held_out = _usable(outputs.get("validation"), prepared.splits.get("validation"), classes)
    unknown = _usable(outputs.get("unknown"), prepared.splits.get("unknown"), None)
    return decided(scope, held_out, unknown, prepared.config, "validation")


def decided(
    scope: Scope,
    held_out: tuple[Outputs, np.ndarray],
    unknown: tuple[Outputs, np.ndarray],
    config: TrainingConfig,
    source: str,
) -> Decision:
    """A decision from sentences that the weights have not seen.

    Args:
        scope: what training sentences are like.
        held_out: outputs for sentences in scope, and the numbers of their labels (N,).
        unknown: outputs for sentences out of scope; the numbers don't matter.
        config: gives ``known_acceptance``.
        source: what the sentences in scope are called.
    """
    outputs, labels = held_out
    calibration = None
    if len(labels) >= LEAST_ROWS:
        calibration = Calibration(fit_temperature(outputs.logits, labels), len(labels), source)
    else:
        logger.warning(
            "probabilities are not calibrated: %d held-out sentences are too few, %d are needed (a validation table, "
            "or intent-bert calibrate)",
            len(labels),
            LEAST_ROWS,
        )
    return Decision(calibration, with_threshold(scope, outputs, unknown[0], config.known_acceptance, source))


def with_threshold(scope: Scope, known: Outputs, unknown: Outputs, known_acceptance: float, source: str) -> Scope:
    """The scope with its score standardised and a threshold, from sentences in scope and, if any, unknown ones."""
    parts = scope.parts(known, known.logits.argmax(axis=1))
    scope = scope.standardised(parts)
    if len(unknown.logits) and len(parts):
        return taught_by_unknown(scope, parts, scope.parts(unknown, unknown.logits.argmax(axis=1)), source)
    threshold = conformal_threshold(scope.fused(parts), known_acceptance, source)
    if threshold is None:
        logger.warning(
            "no threshold for sentences out of scope: %d held-out sentences are too few to accept %g of those in "
            "scope, %d are needed",
            len(parts),
            known_acceptance,
            least_rows(known_acceptance),
        )
    return replace(scope, threshold=threshold)


def _usable(
    outputs: Outputs | None, sentences: Sentences | None, classes: Sequence[Label] | None
) -> tuple[Outputs, np.ndarray]:
    """The rows with a word in them and, unless ``classes`` is None, a known label."""
    if outputs is None or sentences is None:
        nothing = np.empty((0, 1), "float32")
        return Outputs(nothing, nothing, nothing), np.empty(0, "int64")
    usable = ~is_wordless(sentences.ids)
    numbers = np.zeros(len(usable), "int64")
    if classes is not None:
        numbers = sentences.numbers(classes)
        usable &= numbers >= 0
    return Outputs(*(each[usable] for each in outputs)), numbers[usable]
