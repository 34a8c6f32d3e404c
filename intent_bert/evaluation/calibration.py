"""Are probabilities what they say? Expected calibration error, Brier score and log loss, with bootstrap intervals.

ECE            mean gap between confidence and accuracy over 15 bins of equal width, weighted by their rows
               (Naeini et al. 2015; Guo et al. 2017); ``ece_equal_mass`` has bins of equally many rows
Brier score    mean over the rows of the squared distance between probabilities and the label, 0 to 2
log loss       mean of -log(probability of the label), in nats
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 15
RESAMPLES = 200  # for an interval; fewer where the rows are many
MOST_DRAWN = 2_000_000  # rows of all resamples
SMALLEST_PROBABILITY = 1e-15  # where the label got none at all, the log loss stays finite


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram shows of N rows.

    Attributes:
        confidence: of the prediction, float64 (N,).
        uncalibrated: the same before calibration.
        right: bool (N,).
    """

    confidence: np.ndarray
    uncalibrated: np.ndarray
    right: np.ndarray


def calibration_metrics(probabilities: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, Any]:
    """The metrics of the module's docstring, before and after calibration, with 95 % intervals.

    Args:
        probabilities: float (N, C), calibrated; N at least 1.
        labels: int (N,), columns of ``probabilities``.
        temperature: what their logits were divided by, 1 for none.

    Returns:
        ``ece``, ``ece_equal_mass``, ``brier``, ``log_loss``, each also with ``_uncalibrated`` behind it, and
        ``intervals``: name -> [low, high].
    """
    rng, resamples = np.random.default_rng(0), min(RESAMPLES, max(MOST_DRAWN // len(labels), 20))
    rows = [rng.integers(0, len(labels), len(labels)) for _ in range(resamples)]
    metrics: dict[str, Any] = {}
    intervals: dict[str, list[float]] = {}
    for suffix, each in (("", probabilities), ("_uncalibrated", uncalibrated(probabilities, temperature))):
        confidence, right = each.max(axis=1).astype("float64"), each.argmax(axis=1) == labels
        per_row = {"brier": _brier(each, labels), "log_loss": _log_loss(each, labels)}
        for name, error in (("ece", expected_calibration_error), ("ece_equal_mass", _equal_mass_error)):
            metrics[name + suffix] = error(confidence, right)
            intervals[name + suffix] = _interval([error(confidence[each], right[each]) for each in rows])
        for name, losses in per_row.items():
            metrics[name + suffix] = float(losses.mean())
            intervals[name + suffix] = _interval([losses[each].mean() for each in rows])
    return {**metrics, "intervals": intervals}


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


def _brier(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    given = probabilities[np.arange(len(labels)), labels].astype("float64")
    return (probabilities.astype("float64") ** 2).sum(axis=1) - 2 * given + 1


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    given = probabilities[np.arange(len(labels)), labels].astype("float64")
    return -np.log(np.maximum(given, SMALLEST_PROBABILITY))


def _interval(values: Any) -> list[float]:
    return [float(value) for value in np.quantile(np.asarray(values), [0.025, 0.975])]
