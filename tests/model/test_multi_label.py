"""Several intents from logits: sigmoids, thresholds worked by hand, and the decision in a folder."""

import numpy as np
import pytest

from intent_bert.errors import ModelFolderError
from intent_bert.model.decision import NO_INTENT, Answer, Decision
from intent_bert.model.multi_label import (
    ROWS_FOR_A_THRESHOLD,
    MultiLabelDecision,
    best_threshold,
    decision_of,
    fit_thresholds,
    intents_of,
    sigmoid,
)
from intent_bert.model.outputs import Outputs

DECISION = MultiLabelDecision(thresholds=(0.5, 0.9, 0.1), fitted_on=40)


def outputs(logits: list) -> Outputs:
    nothing = np.empty((len(logits), 0), "float32")
    return Outputs(np.array(logits, "float32"), nothing, nothing)


def test_sigmoids_by_hand():
    np.testing.assert_allclose(sigmoid(np.log(np.array([[1, 3, 1 / 9]]))), [[0.5, 0.75, 0.1]], rtol=1e-6)
    extreme = sigmoid(np.array([[-1e5, 1e5]], "float32"))
    assert extreme.dtype == np.float32 and 0 < extreme[0, 0] < 1e-30 and extreme[0, 1] == 1


def test_an_intent_is_chosen_from_its_threshold_on():
    found = DECISION.predictions(
        outputs([[1, 1, 1], [-1, 1, -5], [-3, 2.3, -1], [9, 9, 9]]), np.array([0, 0, 0, 1], bool)
    )
    chosen = DECISION.chosen(found)
    assert chosen.tolist() == [[True, False, True], [False] * 3, [False, True, True], [False] * 3]
    assert found.numbers.tolist() == [0, NO_INTENT, 1, NO_INTENT]
    assert found.probabilities[3].tolist() == [0, 0, 0]  # no word in it


def test_rankings_name_as_many_as_there_are():
    row = np.array([0.6, 0.2, 0.3], "float32")
    ranked, intents = intents_of(row, np.array([True, False, True]), ["a", "b", "c"], 1)
    assert ranked == intents == [Answer("a", pytest.approx(0.6)), Answer("c", pytest.approx(0.3))]
    ranked, intents = intents_of(row, np.zeros(3, bool), ["a", "b", "c"], 2)
    assert [answer.intent for answer in ranked] == ["a", "c"] and intents == []
    assert intents_of(np.zeros(3), np.zeros(3, bool), ["a", "b", "c"], 2) == ([], [])


@pytest.mark.parametrize(
    ("probabilities", "expected", "threshold"),
    [
        ([0.1, 0.9], [False, True], 0.5),
        ([0.6, 0.9], [False, True], None),  # between them
        ([0.9, 0.8, 0.7, 0.1], [True, False, True, False], None),
        ([0.2, 0.3], [False, False], 0.5),  # nothing to fit
        ([0.5, 0.5], [False, True], None),  # equal ones are taken together
        ([1.0, 1.0, 0.0], [True, True, False], 0.5),
    ],
)
def test_the_threshold_has_the_best_f1(probabilities, expected, threshold):
    scores, labels = np.array(probabilities), np.array(expected)
    found = best_threshold(scores, labels)

    def f1(at: float) -> float:
        return 2 * (labels & (scores >= at)).sum() / (labels.sum() + (scores >= at).sum())

    if threshold is not None:
        assert found == pytest.approx(threshold)
    else:
        assert f1(found) == max(f1(at) for at in scores)
        assert found not in scores


def test_the_threshold_keeps_away_from_both_sides():
    """Between 1e-9 and 0.99 one as low as the middle of the gap would take in much that is unlikely."""
    found = best_threshold(np.array([1e-12, 0.99]), np.array([False, True]))
    assert 0.1 < found < 0.5


def test_a_label_has_its_own_threshold_where_it_has_enough_rows():
    rng = np.random.default_rng(0)
    expected = np.zeros((200, 3), bool)
    for label, fewer in enumerate((0, 1, 2)):
        expected[: ROWS_FOR_A_THRESHOLD - fewer, label] = True
    probabilities = np.where(expected, 0.4, 0.05) + rng.uniform(0, 0.01, expected.shape)
    probabilities[:, 0] += 0.5  # of this label all are likelier
    thresholds = fit_thresholds(probabilities, expected)
    assert 0.555 < thresholds[0] < 0.9
    assert thresholds[1] == thresholds[2] == best_threshold(probabilities.ravel(), expected.ravel())


def test_the_decision_survives_the_folder():
    assert decision_of(DECISION.to_dict(), dict) == DECISION
    assert decision_of(Decision().to_dict(), dict) == Decision()
    assert MultiLabelDecision.unfitted(2).thresholds == (0.5, 0.5)


@pytest.mark.parametrize(
    "change", [{"thresholds": None}, {"thresholds": [2.0]}, {"temperature": 1}, {"fitted_on": "x"}, {"scores": "votes"}]
)
def test_a_decision_of_another_version_is_refused(change):
    with pytest.raises(ModelFolderError, match=r"^the model decides in a way that this version does not know"):
        decision_of({**DECISION.to_dict(), **change}, dict)
