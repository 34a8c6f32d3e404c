"""Are probabilities what they say? Expected calibration error, Brier score and log loss, with bootstrap intervals.

ECE            mean gap between confidence and accuracy over 15 bins of equal width, weighted by their rows
               (Naeini et al. 2015; Guo et al. 2017); ``ece_equal_mass`` has bins of equally many rows
Brier score    mean over the rows of the squared distance between probabilities and the label, 0 to 2
log loss       mean of -log(probability of the label), in nats
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

BINS = 15
RESAMPLES = 200  # for an interval; fewer where the rows are many
MOST_DRAWN = 2_000_000  # rows of all resamples
SMALLEST_PROBABILITY = 1e-15  # where the label got none at all, the log loss stays finite


@dataclass(frozen=True)
class Reliability:
    """How far the probabilities of N rows can be trusted.

    Attributes:
        confidence: of the predictions, float64 (N,).
        right: bool (N,).
        brier, log_loss: of each row, float64 (N,).
    """

    confidence: np.ndarray
    right: np.ndarray
    brier: np.ndarray
    log_loss: np.ndarray

    @classmethod
    def of(cls, probabilities: np.ndarray, labels: np.ndarray) -> Self:
        """Of probabilities (N, C) and the columns of their labels, int (N,)."""
        given = probabilities[np.arange(len(labels)), labels].astype("float64")
        return cls(
            confidence=probabilities.max(axis=1, initial=0).astype("float64"),
            right=probabilities.argmax(axis=1) == labels,
            brier=(probabilities.astype("float64") ** 2).sum(axis=1) - 2 * given + 1,
            log_loss=-np.log(np.maximum(given, SMALLEST_PROBABILITY)),
        )

    def metrics(self) -> dict[str, float]:
        """``ece``, ``ece_equal_mass``, ``brier`` and ``log_loss``; empty without rows."""
        return self._metrics_of(slice(None)) if len(self.right) else {}

    def intervals(self) -> dict[str, list[float]]:
        """The same names with 95 % intervals, [low, high], from resampled rows."""
        number = len(self.right)
        rng, resamples = np.random.default_rng(0), min(RESAMPLES, max(MOST_DRAWN // max(number, 1), 20))
        drawn = [self._metrics_of(rng.integers(0, number, number)) for _ in range(resamples if number else 0)]
        return {name: np.quantile([each[name] for each in drawn], [0.025, 0.975]).tolist() for name in self.metrics()}

    def _metrics_of(self, rows: Any) -> dict[str, float]:
        confidence, right = self.confidence[rows], self.right[rows]
        return {
            "ece": expected_calibration_error(confidence, right),
            "ece_equal_mass": _equal_mass_error(confidence, right),
            "brier": float(self.brier[rows].mean()),
            "log_loss": float(self.log_loss[rows].mean()),
        }


def before_and_after(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The metrics after calibration under their names, those before with ``_uncalibrated`` behind it."""
    return {**after, **{f"{name}_uncalibrated": value for name, value in before.items()}}


def uncalibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, C) as they were before their logits were divided by this temperature, float64."""
    if temperature == 1:
        return probabilities.astype("float64")
    logits = temperature * np.log(np.maximum(probabilities.astype("float64"), np.finfo("float32").tiny))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The ECE of confidences (N,) and whether each prediction was right, bool (N,), in bins of equal width.

    >>> round(expected_calibration_error(np.array([0.8, 0.8, 0.8, 0.8]), np.array([True, True, True, False])), 3)
    0.05
    """
    return _error(confidence, right, np.minimum((confidence * bins).astype(int), bins - 1), bins)


def _equal_mass_error(confidence: np.ndarray, right: np.ndarray) -> float:
    places = np.empty(len(confidence), int)
    places[np.argsort(confidence, kind="stable")] = np.arange(len(confidence)) * BINS // len(confidence)
    return _error(confidence, right, places, BINS)


def _error(confidence: np.ndarray, right: np.ndarray, places: np.ndarray, bins: int) -> float:
    gaps = np.bincount(places, confidence, bins) - np.bincount(places, right, bins)
    return float(np.abs(gaps).sum() / len(confidence))
