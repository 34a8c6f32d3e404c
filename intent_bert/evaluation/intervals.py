"""Bootstrap intervals of F1 scores, which no formula gives: rows are drawn again and counted again.

Of an accuracy significance.py has one, of calibration errors calibration.py.
"""

from collections.abc import Callable

import numpy as np

RESAMPLES = 300
MOST_DRAWN = 3_000_000  # rows of all resamples
SHARE = 0.95


def macro_f1_interval(expected: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """The interval of macro F1, from the numbers of labels and of predictions, int (N,), from 0 on; seeded.

    As in scikit-learn, the mean goes over what stands among the drawn labels or predictions.
    """
    number = int(max(expected.max(), predicted.max())) + 1

    def score(rows: np.ndarray) -> float:
        label, prediction = expected[rows], predicted[rows]
        right = np.bincount(label[label == prediction], minlength=number)
        either = np.bincount(label, minlength=number) + np.bincount(prediction, minlength=number)
        return float((2 * right[either > 0] / either[either > 0]).mean())

    return _interval(score, len(expected))


def micro_f1_interval(expected: np.ndarray, chosen: np.ndarray) -> tuple[float, float]:
    """The interval of micro F1 over label sets, from labels and chosen intents, bool (N, L) each; seeded."""
    right = (expected & chosen).sum(axis=1)
    either = expected.sum(axis=1) + chosen.sum(axis=1)
    return _interval(lambda rows: 2 * float(right[rows].sum()) / max(float(either[rows].sum()), 1.0), len(expected))


def _interval(score: Callable[[np.ndarray], float], number: int) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    resamples = min(RESAMPLES, max(MOST_DRAWN // number, 20))
    drawn = [score(rng.integers(0, number, number)) for _ in range(resamples)]
    low, high = np.quantile(drawn, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)
