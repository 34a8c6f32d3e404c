"""Metrics of label sets: by hand, and beside scikit-learn's."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from intent_bert.evaluation.multi_label import evaluate_label_sets, evaluate_predictions
from intent_bert.evaluation.reports import evaluation_plot, write_reports
from intent_bert.model.decision import Decision
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.model.outputs import Outputs

CLASSES = ["a", "b", "c"]
LABELS = [("a", "b"), ("a",), (), ("c",), ("b", "new")]
CHOSEN = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 0]], bool)
PROBABILITIES = np.where(CHOSEN, 0.8, 0.3).astype("float32")


@pytest.fixture
def evaluation():
    return evaluate_label_sets(["one", "two", "three", "four", "five"], LABELS, PROBABILITIES, CHOSEN, CLASSES)


def test_by_hand(evaluation):
    assert evaluation.rows == 5
    assert evaluation.subset_accuracy == 2 / 5
    assert evaluation.micro_f1 == pytest.approx(2 * 3 / (6 + 5))
    assert evaluation.hamming_loss == 5 / 20
    assert evaluation.unknown_labels == {"new": 1}
    wrong, right = -np.log(0.2), -np.log(0.8)  # of what was chosen; of the others -log(0.3), -log(0.7)
    chosen_wrong, chosen_right, missed = 2, 3, 2
    expected = chosen_wrong * wrong + chosen_right * right - missed * np.log(0.3) - (15 - 7) * np.log(0.7)
    assert evaluation.loss == pytest.approx(expected / 15, rel=1e-6)
    assert evaluation.per_intent["a"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}


def test_what_was_confused_and_what_stands_together(evaluation):
    assert evaluation.labels == ["a", "b", "c", "new"]
    table = evaluation.confusion_table()
    assert table.loc["a", "b"] == 1  # missed a, and b stands in its place
    assert table.loc["(no intent)", "a"] == 1  # a without anything missed
    assert table.loc["b", "(no intent)"] == table.loc["new", "(no intent)"] == 1
    assert np.diag(table).tolist() == [1, 1, 1, 0, 1]
    assert evaluation.confusion.sum() == 8
    assert evaluation.together[0, 1] == evaluation.together_right[0, 1] == 1
    assert evaluation.together[1, 3] == 1 and evaluation.together_right[1, 3] == 0


def test_mistakes_name_what_was_missed_and_what_was_added(evaluation):
    assert evaluation.mistakes.to_dict("records") == [
        {"text": "five", "label": "b|new", "prediction": "", "missed": "b|new", "added": "", "confidence": 1.0},
        {"text": "two", "label": "a", "prediction": "b", "missed": "a", "added": "b", "confidence": 0.8},
        {"text": "four", "label": "c", "prediction": "a|c", "missed": "", "added": "a", "confidence": 0.8},
    ]


def test_beside_scikit_learn():
    rng = np.random.default_rng(3)
    expected, chosen = rng.random((200, 5)) < 0.3, rng.random((200, 5)) < 0.3
    names = list("abcde")
    labels = [tuple(name for name, has in zip(names, row, strict=True) if has) for row in expected]
    found = evaluate_label_sets([""] * 200, labels, rng.random((200, 5)), chosen, names)
    assert found.subset_accuracy == pytest.approx(metrics.accuracy_score(expected, chosen))
    assert found.micro_f1 == pytest.approx(metrics.f1_score(expected, chosen, average="micro"))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(expected, chosen, average="macro"))
    assert found.hamming_loss == pytest.approx(metrics.hamming_loss(expected, chosen))


def test_the_dictionary_and_the_report(evaluation):
    values = json.loads(json.dumps(evaluation.to_dict()))
    assert list(values) == [
        "rows", "subset_accuracy", "micro_f1", "macro_f1", "hamming_loss", "loss", "per_intent", "unknown_labels",
    ]  # fmt: skip
    assert evaluation.report().endswith("labels that training never had, counted as missed: new (1)")
    assert "subset accuracy 0.4000  micro F1 0.5455" in evaluation.report()


def test_rows_without_a_label_and_without_an_intent_are_right():
    found = evaluate_label_sets(["x"], [()], np.zeros((1, 2)), np.zeros((1, 2), bool), ["a", "b"])
    assert (found.subset_accuracy, found.hamming_loss, found.mistakes.empty) == (1, 0, True)
    assert found.confusion[2, 2] == 1


def test_the_decision_says_which_metrics(evaluation):
    nothing = np.empty((2, 0), "float32")
    outputs = Outputs(np.array([[2, -2], [-2, 2]], "float32"), nothing, nothing)
    several = MultiLabelDecision.unfitted(2)
    for decision, labels in ((Decision(), ["a", "b"]), (several, [("a",), ("b",)])):
        predictions = decision.predictions(outputs, np.zeros(2, bool))
        found = evaluate_predictions(decision, ["x", "y"], labels, predictions, ["a", "b"])
        assert found.headline in ("accuracy 100.00%", "subset accuracy 100.00%")
        assert [getattr(found, name) for name in found.METRICS[1:3]] == [1, 1]


def test_reports_and_plots(evaluation, tmp_path):
    write_reports(tmp_path, evaluation, "test")
    assert (tmp_path / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"
    read = pd.read_csv(tmp_path / "confusion_matrix.csv", index_col="label")
    pd.testing.assert_frame_equal(read, evaluation.confusion_table())
    mistakes = pd.read_csv(tmp_path / "mistakes.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(mistakes, evaluation.mistakes, check_dtype=False)
    confused, together = evaluation_plot(evaluation, "test").axes
    assert [label.get_text() for label in confused.get_yticklabels()] == ["a", "b", "c", "new", "(no intent)"]
    assert [label.get_text() for label in together.get_yticklabels()] == ["a", "b", "c", "new"]


def test_of_many_labels_the_most_confused_are_drawn():
    names = [f"label {number}" for number in range(60)]
    chosen = np.eye(60, dtype=bool)
    chosen[7, [7, 8]] = False, True
    labels = [(name,) for name in names]
    evaluation = evaluate_label_sets(names, labels, chosen.astype("float32"), chosen, names)
    figure = evaluation_plot(evaluation, "many")
    assert figure.get_suptitle() == "many\nthe 30 most confused of 60 labels"
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(shown) == 31 and {"label 7", "label 8"} <= set(shown)
