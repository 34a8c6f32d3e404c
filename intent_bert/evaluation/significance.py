"""How far an accuracy can be trusted, and whether two methods differ by more than chance."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, norm

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
    return mcnemar_of_counts(int(np.sum(first & ~second)), int(np.sum(~first & second)))


def mcnemar_of_counts(only_first: int, only_second: int) -> float:
    """The same test from how many rows only the first, and only the second, has right."""
    return float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def wilson_interval(right: int, rows: int, share: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share, ``right`` of ``rows``; it holds for few rows, and where all are right.

    >>> low, high = wilson_interval(10, 10)
    >>> round(low, 3), high
    (0.722, 1.0)
    """
    low, high = binomtest(right, rows).proportion_ci(share, method="wilson")
    return float(low), float(high)


def paired_interval(only_first: int, only_second: int, rows: int, share: float = 0.95) -> tuple[float, float]:
    """The interval of how much more the second of two methods has right on the same rows, as a share of them.

    Bonett and Price's adjusted Wald interval (Journal of Educational and Behavioral Statistics 37, 2012): one row more
    on each side keeps it from closing where the methods never differ.

    Args:
        only_first, only_second: how many rows only the first, and only the second, has right.
        rows: how many there are.
        share: how sure it is to be.
    """
    lost, won = (only_first + 1) / (rows + 2), (only_second + 1) / (rows + 2)
    half = norm.ppf((1 + share) / 2) * np.sqrt((lost + won - (won - lost) ** 2) / (rows + 2))
    return float(max(-1.0, won - lost - half)), float(min(1.0, won - lost + half))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction (Scandinavian Journal of Statistics 6, 1979) of the p-values that are not NaN, in order."""
    corrected = [float("nan")] * len(p_values)
    known = sorted((p, place) for place, p in enumerate(p_values) if not np.isnan(p))
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[place] = largest
    return corrected
