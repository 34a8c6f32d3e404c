"""Do two samples come from one source? The statistics that tell drift; what is sampled, they don't know.

    counts, counts    -> histogram_test   PSI, the population stability index, and a chi-square p-value
    vectors, vectors  -> energy_test      energy distance (Szekely and Rizzo 2013) and a permutation p-value
    p-values          -> holm             p-values that hold together, however many were looked at

The PSI says how much has changed, below 0.1 little, from 0.25 on a lot, but in few rows it is large by chance alone.
The p-value says whether it is more than chance, but with many rows it is small for any trifle. An alarm needs both.
"""

from typing import NamedTuple

import numpy as np

LEAST_IN_A_CELL = 5.0  # rows that a cell has in the smaller sample if nothing differs; cells with fewer are joined
_ADDED = 0.5  # to each cell, so that an empty one has a logarithm
_AT_ONCE = 250  # permutations
_ENOUGH = 10  # permutations as extreme as what was seen, after which no more are drawn


class TwoSamples(NamedTuple):
    """How far two samples lie apart, and how probable as much is where both come from one source."""

    effect: float
    p_value: float


def histogram_test(usual: np.ndarray, new: np.ndarray) -> TwoSamples | None:
    """The PSI of two histograms, counts (cells,) each, and the p-value of a chi-square test of homogeneity.

    Cells with few rows are joined to one; of two cells the p-value is Fisher's exact one. None where fewer than two
    cells are left: there is nothing to compare.

    >>> round(histogram_test(np.array([500, 500]), np.array([50, 50])).effect, 3)
    0.0
    """
    from scipy.stats import chi2_contingency, fisher_exact

    if len(usual) == 2 and usual.sum() and new.sum():
        return TwoSamples(psi(usual, new), float(fisher_exact(np.stack([usual, new])).pvalue))
    cells = joined(usual, new)
    if cells is None:
        return None
    p_value = float(chi2_contingency(cells, correction=False).pvalue)
    return TwoSamples(psi(*cells), p_value)


def psi(usual: np.ndarray, new: np.ndarray) -> float:
    """The population stability index of counts (cells,): the sum of (n - u) * log(n / u) over their shares."""
    shares = [(each + _ADDED) / (each + _ADDED).sum() for each in (usual, new)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def joined(usual: np.ndarray, new: np.ndarray) -> np.ndarray | None:
    """Both histograms, (2, cells), with cells of few rows joined; None where fewer than two cells are left."""
    both = np.stack([usual, new]).astype("float64")
    expected = both.sum(axis=0) * both.sum(axis=1).min() / max(both.sum(), 1)
    small = expected < LEAST_IN_A_CELL
    cells = [*both[:, ~small].T]
    rest, rest_expected = both[:, small].sum(axis=1), expected[small].sum()
    if rest_expected >= LEAST_IN_A_CELL:
        cells.append(rest)
    elif len(cells) > 1 and rest.any():  # too few for a cell of their own
        place = int(np.argmin([each.sum() for each in cells]))
        cells[place] = cells[place] + rest
    return np.stack(cells, axis=1) if len(cells) > 1 else None


def energy_test(
    usual: np.ndarray, new: np.ndarray, rng: np.random.Generator, most_permutations: int = 2000
) -> TwoSamples:
    """The energy distance of vectors (M, d) and (N, d), 0 for one source and 1 for two points, and its p-value.

    Rows change sides at random, in ``most_permutations`` ways at most: fewer where the first of them tell that nothing
    differs (Besag and Clifford 1991). What chance alone brings is taken off the distance.
    """
    rows = np.concatenate([usual, new]).astype("float32")
    distances = _distances(rows)
    sides = np.zeros(len(rows), "float32")
    sides[: len(usual)] = 1
    seen, between = _energy(sides[None], distances)
    by_chance: list[np.ndarray] = []
    extreme = drawn = 0
    while drawn < most_permutations and extreme < _ENOUGH:
        number = min(_AT_ONCE, most_permutations - drawn)
        permuted, _ = _energy(rng.permuted(np.tile(sides, (number, 1)), axis=1), distances)
        extreme, drawn = extreme + int((permuted >= seen[0]).sum()), drawn + number
        by_chance.append(permuted)
    effect = (seen[0] - np.concatenate(by_chance).mean()) / max(between[0], 1e-12)
    return TwoSamples(float(max(effect, 0.0)), (extreme + 1) / (drawn + 1))


def _distances(rows: np.ndarray) -> np.ndarray:
    """Euclidean distances between rows (R, d): float32 (R, R)."""
    squares = (rows * rows).sum(axis=1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0))


def _energy(sides: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of P divisions of the rows, float32 (P, R) of 1 and 0: the energy, and twice the mean distance between sides."""
    ones = sides.sum(axis=1)
    zeros = sides.shape[1] - ones
    to_ones = sides @ distances
    within = (to_ones * sides).sum(axis=1, dtype="float64")
    across = to_ones.sum(axis=1, dtype="float64") - within
    rest = distances.sum(dtype="float64") - within - 2 * across
    between = 2 * across / (ones * zeros)
    return between - within / ones**2 - rest / zeros**2, between


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values (N,) that hold together: Holm's, each at least as large as before.

    >>> holm(np.array([0.01, 0.04])).tolist()
    [0.02, 0.04]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted
