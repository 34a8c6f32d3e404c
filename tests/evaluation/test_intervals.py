"""Bootstrap intervals of F1 scores."""

import numpy as np
from sklearn.metrics import f1_score

from intent_bert.evaluation.intervals import macro_f1_interval, micro_f1_interval


def test_the_interval_of_macro_f1_holds_the_score_and_narrows_with_the_rows():
    rng = np.random.default_rng(1)
    widths = []
    for number in (100, 1600):
        expected = rng.integers(0, 4, number)
        predicted = np.where(rng.random(number) < 0.8, expected, rng.integers(0, 4, number))
        low, high = macro_f1_interval(expected, predicted)
        assert low < f1_score(expected, predicted, average="macro") < high
        assert (low, high) == macro_f1_interval(expected, predicted)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2.5


def test_the_interval_of_macro_f1_is_that_of_scikit_learn_s_scores():
    expected, predicted = np.array([0, 1, 2, 2, 0, 5]), np.array([0, 1, 1, 2, 3, 5])
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 6, 6) for _ in range(300)]
    scores = [f1_score(expected[rows], predicted[rows], average="macro", zero_division=0) for rows in drawn]
    np.testing.assert_allclose(macro_f1_interval(expected, predicted), np.quantile(scores, [0.025, 0.975]), atol=1e-12)


def test_the_interval_of_micro_f1_holds_the_score():
    rng = np.random.default_rng(2)
    expected = rng.random((300, 5)) < 0.3
    chosen = expected ^ (rng.random((300, 5)) < 0.1)
    low, high = micro_f1_interval(expected, chosen)
    assert low < f1_score(expected, chosen, average="micro") < high
    assert micro_f1_interval(np.zeros((3, 2), bool), np.zeros((3, 2), bool)) == (0.0, 0.0)
    assert micro_f1_interval(expected, expected) == (1.0, 1.0)
