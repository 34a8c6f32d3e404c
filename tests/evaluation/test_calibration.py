"""Calibration errors by hand and beside scikit-learn's scores."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from intent_bert.evaluation.calibration import Reliability, before_and_after, expected_calibration_error, uncalibrated
from intent_bert.model.decision import softmax


@pytest.fixture(scope="module")
def case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (500, 4)).astype("float32")
    return logits, softmax(logits / 2), rng.integers(0, 4, 500)


def test_the_losses_are_scikit_learns(case):
    logits, probabilities, labels = case
    after, before = Reliability.of(probabilities, labels), Reliability.of(uncalibrated(probabilities, 2.0), labels)
    found = before_and_after(before.metrics(), after.metrics())
    intervals = before_and_after(before.intervals(), after.intervals())
    assert set(intervals) == set(found)
    assert found["log_loss"] == pytest.approx(log_loss(labels, probabilities), abs=1e-5)
    assert found["brier"] == pytest.approx(brier_score_loss(labels, probabilities, scale_by_half=False), abs=1e-5)
    assert found["log_loss_uncalibrated"] == pytest.approx(log_loss(labels, softmax(logits)), abs=1e-4)
    for name, (low, high) in intervals.items():
        assert low <= high and (low <= found[name] <= high or name.startswith("ece")), name


def test_probabilities_before_calibration_are_those_of_the_logits(case):
    logits, probabilities, _ = case
    np.testing.assert_allclose(uncalibrated(probabilities, 2.0), softmax(logits), atol=1e-5)
    np.testing.assert_array_equal(uncalibrated(probabilities, 1.0), probabilities)


def test_the_error_by_hand():
    confidence = np.array([0.55, 0.55, 0.95, 0.95, 0.95, 1.0])
    right = np.array([True, False, True, True, False, True])
    # bins of a 15th: 0.55 in one, 0.95 and 1.0 in the last
    expected = (2 * abs(0.55 - 0.5) + 4 * abs((3 * 0.95 + 1) / 4 - 3 / 4)) / 6
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)
    assert expected_calibration_error(np.ones(3), np.ones(3, bool)) == 0


def test_bins_of_equal_mass_hold_as_many_each():
    confidence = np.linspace(0.5, 0.99, 30)
    right = np.random.default_rng(0).random(30) < confidence
    probabilities = np.column_stack([confidence, 1 - confidence])
    found = Reliability.of(probabilities, np.where(right, 0, 1)).metrics()
    pairs = [abs(confidence[row : row + 2].sum() - right[row : row + 2].sum()) for row in range(0, 30, 2)]
    assert found["ece_equal_mass"] == pytest.approx(sum(pairs) / 30)
