"""Intervals and tests, against figures worked by hand or by other libraries."""

import numpy as np
import pytest
from scipy.stats import bootstrap, norm

from intent_bert.evaluation.significance import bootstrap_interval, holm, mcnemar


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


def test_holm_by_hand():
    assert holm([0.01, float("nan"), 0.04, 0.03]) == pytest.approx([0.03, float("nan"), 0.06, 0.06], nan_ok=True)
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([float("nan")]) == pytest.approx([float("nan")], nan_ok=True)
