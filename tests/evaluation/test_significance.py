"""Intervals and tests, against figures worked by hand or by other libraries."""

import numpy as np
import pytest
from scipy.stats import bootstrap, multinomial, norm

from intent_bert.evaluation.significance import (
    bootstrap_interval,
    holm,
    mcnemar,
    mcnemar_of_counts,
    paired_interval,
    wilson_interval,
)


def test_the_interval_is_scipys_bootstrap():
    right = np.arange(400) % 10 != 0  # 90 % of 400
    ours = bootstrap_interval(right)
    theirs = bootstrap((right,), np.mean, n_resamples=4000, method="percentile", random_state=np.random.default_rng(1))
    np.testing.assert_allclose(ours, theirs.confidence_interval, atol=0.004)
    half = norm.ppf(0.975) * np.sqrt(0.9 * 0.1 / 400)
    np.testing.assert_allclose(ours, (0.9 - half, 0.9 + half), atol=0.005)
    assert bootstrap_interval(right) == ours
    assert bootstrap_interval(np.ones(50, bool)) == (1.0, 1.0)


def table_of(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    rows = [(True, True)] * both + [(True, False)] * first + [(False, True)] * second + [(False, False)] * neither
    return np.array(rows, bool)[:, 0], np.array(rows, bool)[:, 1]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((50, 0, 5, 3), 2 / 32),  # five heads of five, two-sided
        ((50, 1, 5, 3), 2 * (1 + 6) / 64),
        ((10, 4, 4, 0), 1.0),
        ((10, 0, 0, 2), 1.0),
        ((0, 8, 0, 0), 2 / 256),
    ],
)
def test_mcnemar_by_hand(counts, expected):
    first, second = table_of(*counts)
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == pytest.approx(expected)
    assert mcnemar_of_counts(counts[1], counts[2]) == pytest.approx(expected)


def test_holm_by_hand():
    assert holm([0.01, float("nan"), 0.04, 0.03]) == pytest.approx([0.03, float("nan"), 0.06, 0.06], nan_ok=True)
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([float("nan")]) == pytest.approx([float("nan")], nan_ok=True)


@pytest.mark.parametrize(("lost", "won"), [(0.05, 0.1), (0.1, 0.1), (0.02, 0.2), (0.0, 0.1)])
@pytest.mark.parametrize("rows", [15, 40])
def test_the_paired_interval_holds_as_often_as_it_says(lost, won, rows):
    """Every outcome of so few rows, weighted by how likely it is."""
    counts = [(a, b) for a in range(rows + 1) for b in range(rows + 1 - a)]
    held = 0.0
    for a, b in counts:
        low, high = paired_interval(a, b, rows)
        if low <= won - lost <= high:
            held += multinomial.pmf([a, b, rows - a - b], rows, [lost, won, 1 - lost - won])
    assert 0.93 < held <= 1


def test_the_paired_interval_by_hand():
    low, high = paired_interval(1, 5, 38)  # (2 and 6 of 40) 0.1 +- 1.96 * sqrt((0.2 - 0.01) / 40)
    assert (low, high) == pytest.approx((0.1 - 1.959964 * 0.0689202, 0.1 + 1.959964 * 0.0689202), abs=1e-5)
    assert paired_interval(5, 1, 38) == pytest.approx((-high, -low))
    low, high = paired_interval(0, 0, 100)
    assert low < 0 < high


def test_wilsons_interval_by_hand():
    z, p, n = 1.959964, 0.9, 50
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert wilson_interval(45, 50) == pytest.approx((middle - half, middle + half), abs=1e-6)
