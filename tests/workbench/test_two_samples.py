"""The statistics of two samples: values by hand, p-values that hold, and samples that differ."""

import numpy as np
import pytest

from intent_bert.workbench.two_samples import energy_test, histogram_test, holm, joined, psi


def test_psi_by_hand():
    expected = (0.4 - 0.2) * np.log(0.4 / 0.2) + (0.6 - 0.8) * np.log(0.6 / 0.8)
    assert psi(np.array([200_000, 800_000]), np.array([400_000, 600_000])) == pytest.approx(expected, abs=1e-4)
    assert np.isfinite(psi(np.array([0, 10]), np.array([10, 0])))


def test_cells_of_few_rows_are_joined():
    usual, new = np.array([500, 400, 3, 2, 4, 91]), np.array([50, 40, 0, 1, 0, 9])
    assert joined(usual, new).tolist() == [
        [500, 400, 100],
        [50, 40, 10],
    ]  # too few for a cell of their own: to the smallest
    usual, new = np.array([50, 40, 30, 30]), np.array([5, 4, 3, 30])
    assert joined(usual, new).shape == (2, 4)
    assert joined(np.array([100, 1]), np.array([50, 0])) is None
    assert histogram_test(np.array([100, 1, 0]), np.array([50, 0, 0])) is None


def test_a_share_has_an_exact_p_value():
    expected = 1 / 6 + 1 / 6  # of the six ways to choose two of four rows, the two that part them wholly
    assert histogram_test(np.array([2, 0]), np.array([0, 2])).p_value == pytest.approx(expected)


def test_p_values_of_histograms_hold_and_find():
    rng = np.random.default_rng(0)
    shares = np.array([0.02, 0.08, 0.2, 0.3, 0.4])
    p_values = [histogram_test(rng.multinomial(800, shares), rng.multinomial(200, shares)).p_value for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.09
    found = histogram_test(rng.multinomial(800, shares), rng.multinomial(200, shares[::-1]))
    assert found.p_value < 1e-6 and found.effect > 0.25


def test_the_energy_of_two_points_is_one_and_of_one_source_none():
    rng = np.random.default_rng(0)
    apart = energy_test(np.zeros((60, 2)), np.ones((60, 2)), rng)
    assert apart.effect == pytest.approx(1, abs=0.02)
    assert apart.p_value == pytest.approx(1 / 2001)
    same = energy_test(*rng.normal(size=(2, 60, 8)), rng)
    assert same.effect < 0.02 and same.p_value > 0.01


def test_p_values_of_vectors_hold():
    rng = np.random.default_rng(1)
    p_values = [energy_test(rng.normal(size=(50, 4)), rng.normal(size=(30, 4)), rng, 250).p_value for _ in range(120)]
    assert np.mean(np.array(p_values) <= 0.1) <= 0.17
    assert 0.35 < np.mean(p_values) < 0.65


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, 0.02])), [0.04, 0.03, 0.04])
    assert holm(np.array([0.9, 0.8])).max() == 1
    assert holm(np.empty(0)).shape == (0,)
