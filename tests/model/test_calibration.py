"""A temperature that is known beforehand, thresholds that accept what they promise, and too few sentences."""

import numpy as np
import pytest

from intent_bert.model.calibration import (
    best_threshold,
    conformal_threshold,
    fit_temperature,
    least_rows,
    taught_by_unknown,
)
from intent_bert.model.decision import softmax
from intent_bert.model.outputs import Outputs
from intent_bert.model.scope import Scope


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_temperature_is_found_again(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 6)).astype("float32")
    labels = np.array([rng.choice(6, p=row / row.sum()) for row in softmax(logits).astype("float64")])
    assert fit_temperature(temperature * logits, labels) == pytest.approx(temperature, rel=0.06)


def test_it_stays_finite_where_every_prediction_is_right():
    logits = 5 * np.eye(4, dtype="float32")[np.arange(40) % 4]
    assert 0.2 < fit_temperature(logits, np.arange(40) % 4) < 1
    assert fit_temperature(-logits, np.arange(40) % 4) <= 10.01


def test_new_sentences_in_scope_are_accepted_as_often_as_was_asked():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        threshold = conformal_threshold(rng.normal(size=99), 0.9, "validation")
        shares.append(np.mean(rng.normal(size=2000) >= threshold.value))
    assert np.mean(shares) == pytest.approx(0.9, abs=0.01)
    low, high = threshold.interval
    assert 0.91 < np.mean([low <= share <= high for share in shares]) <= 1
    assert (threshold.rows, threshold.source, threshold.known_acceptance) == (99, "validation", 0.9)


@pytest.mark.parametrize("acceptance, needed", [(0.95, 19), (0.9, 9), (0.5, 1), (0.99, 99)])
def test_a_threshold_needs_so_many_sentences(acceptance, needed):
    assert least_rows(acceptance) == needed
    assert conformal_threshold(np.zeros(needed - 1), acceptance, "x") is None
    assert conformal_threshold(np.arange(needed), acceptance, "x").value == pytest.approx(-1e-3)
    assert conformal_threshold(np.arange(200), 1e-12, "x").value == 198.5  # the highest score alone


def test_the_best_threshold_parts_what_can_be_parted():
    assert best_threshold(np.array([3.0, 4, 5]), np.array([0.0, 1, 2])) == 2.5
    assert best_threshold(np.array([0.0, 4, 5]), np.array([1.0, 1, 2])) == 3


def test_no_held_out_sentence_lies_on_the_threshold():
    scores = np.random.default_rng(0).normal(size=500).astype("float32")
    threshold = conformal_threshold(scores, 0.9, "x").value
    assert np.abs(scores - threshold).min() > 1e-4
    assert np.mean(scores >= threshold) == pytest.approx(0.9, abs=0.003)


def test_unknown_sentences_choose_the_threshold_and_hardly_the_weights():
    rng = np.random.default_rng(0)
    outputs = Outputs(*(rng.normal(size=(30, width)).astype("float32") for width in (3, 8, 16)))
    scope = Scope.of(outputs, np.arange(30) % 3, 3)
    known, unknown = rng.normal(size=(200, 3)), rng.normal(size=(50, 3)) - [0, 4, 0]
    known, unknown = (each * scope.spreads + scope.means for each in (known, unknown))
    taught = taught_by_unknown(scope, known.astype("float32"), unknown.astype("float32"), "known and unknown")
    assert taught.weights[1] > scope.weights[1] > 0 and min(taught.weights) >= 0
    scores = [taught.fused(each.astype("float32")) for each in (known, unknown)]
    assert np.mean(scores[0] >= taught.threshold.value) > 0.85
    assert np.mean(scores[1] < taught.threshold.value) > 0.85
    assert (taught.threshold.rows, taught.threshold.interval) == (250, None)
