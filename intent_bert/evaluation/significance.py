"""How far an accuracy can be trusted, and whether two methods differ by more than chance."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

RESAMPLES = 10_000
SIGNIFICANT = 0.05


def bootstrap_interval(right: np.ndarray, share: float = 0.95) -> tuple[float, float]:
    """The bootstrap percentile interval of an accuracy from bool (rows,); seeded.

    Rows drawn with replacement from right and wrong answers are right as often as a binomial draw says, so that is
    what is drawn (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
    """
    draws = np.random.default_rng(0).binomial(len(right), right.mean(), RESAMPLES) / len(right)
    low, high = np.quantile(draws, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """The exact two-sided McNemar test of two methods on the same rows, from bool (rows,), right or wrong each.

    A binomial test of the rows that only one of them has right (McNemar, Psychometrika 12, 1947); 1 if there is none.
    """
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(~first & second))
    return float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction (Scandinavian Journal of Statistics 6, 1979) of the p-values that are not NaN, in order."""
    corrected = [float("nan")] * len(p_values)
    known = sorted((p, place) for place, p in enumerate(p_values) if not np.isnan(p))
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[place] = largest
    return corrected
