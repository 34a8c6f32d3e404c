"""A decision from sentences that the weights have not seen: its temperature, and what counts as in scope.

Where they are too few the decision stays as it is, and a line in the log says so.
"""

import logging
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np

from intent_bert.model.calibration import (
    LEAST_ROWS,
    Calibration,
    conformal_threshold,
    fit_temperature,
    least_rows,
    taught_by_unknown,
)
from intent_bert.model.decision import Decision
from intent_bert.model.outputs import Outputs
from intent_bert.model.scope import WEIGHTS, Scope

logger = logging.getLogger("intent_bert")


class HeldOut(NamedTuple):
    """Outputs for sentences in scope, and the numbers of their labels, int (N,)."""

    outputs: Outputs
    labels: np.ndarray

    @classmethod
    def none(cls) -> Self:
        """Of no sentence."""
        nothing = np.empty((0, 1), "float32")
        return cls(Outputs(nothing, nothing, nothing), np.empty(0, "int64"))


def decided(
    scope: Scope,
    held_out: HeldOut,
    unknown: Outputs,
    known_acceptance: float,
    source: str,
    former: Calibration | None = None,
) -> Decision:
    """A decision from sentences that the weights have not seen.

    Args:
        scope: what training sentences are like.
        held_out: sentences in scope.
        unknown: outputs for sentences out of scope, if there are any.
        known_acceptance: the share of those in scope that is to be accepted, where there are no unknown ones.
        source: what the sentences in scope are called.
        former: what stays where they are too few to calibrate on.
    """
    outputs, labels = held_out
    calibration = former
    if len(labels) >= LEAST_ROWS:
        calibration = Calibration(fit_temperature(outputs.logits, labels), len(labels), source)
    else:
        logger.warning(
            "%s: %d held-out sentences are too few, %d are needed (a validation table, or intent-bert calibrate)",
            "probabilities are not calibrated" if former is None else "the temperature stays as it is",
            len(labels),
            LEAST_ROWS,
        )
    return Decision(calibration, with_threshold(scope, outputs, unknown, known_acceptance, source))


def with_threshold(scope: Scope, known: Outputs, unknown: Outputs, known_acceptance: float, source: str) -> Scope:
    """The scope with its score standardised and a threshold, from sentences in scope and, if any, unknown ones."""
    predicted = known.logits.argmax(axis=1)
    parts = scope.parts(known, predicted) if len(predicted) else np.empty((0, 3), "float32")
    scope = replace(scope, weights=WEIGHTS).standardised(parts)
    if len(unknown.logits) and len(parts):
        return taught_by_unknown(scope, parts, scope.parts(unknown, unknown.logits.argmax(axis=1)), source)
    threshold = conformal_threshold(scope.fused(parts), known_acceptance, source)
    if threshold is None:
        logger.warning(
            "no threshold for sentences out of scope: %d held-out sentences are too few to accept %g of those in "
            "scope, %d are needed%s",
            len(parts),
            known_acceptance,
            least_rows(known_acceptance),
            "; without any, the unknown sentences choose nothing" if len(unknown.logits) else "",
        )
    return replace(scope, threshold=threshold)
