"""The metrics against scikit-learn's, and the tables made of them."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

from intent_bert.evaluation.metrics import Evaluation, evaluate_probabilities, format_report

CLASSES = ["a", "b", "c", "d"]

LOSSES = ("ece", "ece_equal_mass", "brier", "log_loss")


def random_case(rows: int = 200, seed: int = 0) -> tuple[list[str], list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), rows).astype("float32")
    labels = [CLASSES[number] for number in rng.integers(0, 3, rows)]  # "d" is never the label, sometimes predicted
    return [f"text {row}" for row in range(rows)], labels, probabilities


def test_metrics_are_scikit_learns():
    texts, labels, probabilities = random_case()
    result = evaluate_probabilities(texts, labels, probabilities, CLASSES)
    predictions = [CLASSES[number] for number in probabilities.argmax(axis=1)]
    assert result.rows == 200
    assert result.accuracy == pytest.approx(accuracy_score(labels, predictions))
    assert result.macro_f1 == pytest.approx(f1_score(labels, predictions, average="macro"))
    exact = probabilities.astype("float64")
    exact /= exact.sum(axis=1, keepdims=True)
    assert result.loss == pytest.approx(log_loss(labels, exact, labels=CLASSES), abs=1e-5)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=CLASSES, zero_division=0
    )
    for place, name in enumerate(CLASSES):
        expected = {"precision": precision[place], "recall": recall[place], "f1": f1[place]}
        assert result.per_intent[name] == pytest.approx({**expected, "support": support[place]})
    assert result.per_intent["d"]["support"] == 0
    assert result.confusion.sum() == 200
    assert result.confusion[0, 1] == sum(t == "a" and p == "b" for t, p in zip(labels, predictions, strict=True))


def test_mistakes_come_with_the_surest_first():
    texts, labels, probabilities = random_case()
    mistakes = evaluate_probabilities(texts, labels, probabilities, CLASSES).mistakes
    predictions = probabilities.argmax(axis=1)
    assert list(mistakes.columns) == ["text", "label", "prediction", "confidence", "runner_up"]
    assert (
        len(mistakes)
        == sum(CLASSES[prediction] != label for prediction, label in zip(predictions, labels, strict=True))
        > 50
    )
    assert mistakes["confidence"].is_monotonic_decreasing
    first = mistakes.iloc[0]
    row = texts.index(first["text"])
    assert first["label"] == labels[row] != first["prediction"]
    ranking = np.argsort(-probabilities[row])
    assert [first["prediction"], first["runner_up"]] == [CLASSES[ranking[0]], CLASSES[ranking[1]]]
    assert first["confidence"] == pytest.approx(probabilities[row].max(), abs=1e-4)


def test_labels_that_training_never_had_are_mistakes_with_a_name():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], "float32")
    result = evaluate_probabilities(["p", "q", "r", "s"], ["a", "b", "new", "new"], probabilities, ["a", "b"])
    assert result.accuracy == 0.5
    assert result.unknown_labels == {"new": 2}
    assert result.labels == ["a", "b", "new"]
    assert result.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 0]]
    assert result.per_intent["new"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2}
    assert result.macro_f1 == pytest.approx(f1_score(["a", "b", "new", "new"], ["a", "b", "a", "b"], average="macro"))
    assert result.loss == pytest.approx(-np.log([0.9, 0.8]).mean(), abs=1e-6)
    assert result.mistakes["label"].tolist() == ["new", "new"]
    assert result.mistakes["prediction"].tolist() == ["b", "a"]
    assert "labels that training never had, counted as mistakes: new (2)" in result.report()
    assert result.confusion_table().loc["new", "a"] == 1
    assert result.confusion_table().index.name == "label"


def test_nothing_but_unknown_labels_has_no_loss_and_is_still_json():
    result = evaluate_probabilities(["p"], ["new"], np.array([[0.9, 0.1]], "float32"), ["a", "b"])
    assert np.isnan(result.loss)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["loss"] is None
    assert "accuracy 0.0000   macro F1 0.0000   loss -   (1 rows)" in result.report()


def test_all_right_and_all_wrong():
    perfect = evaluate_probabilities(["p", "q"], ["a", "b"], np.eye(2, dtype="float32"), ["a", "b"])
    assert (perfect.accuracy, perfect.macro_f1, perfect.loss) == (1.0, 1.0, 0.0)
    assert perfect.mistakes.empty
    assert list(perfect.mistakes.columns) == ["text", "label", "prediction", "confidence", "runner_up"]
    wrong = evaluate_probabilities(["p", "q"], ["b", "a"], np.eye(2, dtype="float32"), ["a", "b"])
    assert (wrong.accuracy, wrong.macro_f1) == (0.0, 0.0)
    assert wrong.loss == pytest.approx(-np.log(1e-15))
    assert wrong.confusion.tolist() == [[0, 1], [1, 0]]


def test_number_and_boolean_labels_are_found_as_written():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]], "float32")
    assert evaluate_probabilities(["p", "q"], [1, 2], probabilities, [1, 2]).accuracy == 1
    assert evaluate_probabilities(["p", "q"], ["1", "2"], probabilities, [1, 2]).accuracy == 1
    result = evaluate_probabilities(["p", "q"], [False, False], probabilities, [False, True])
    assert result.accuracy == 0.5
    assert result.mistakes.loc[0, "prediction"] == "True"


def test_the_report_and_metrics_say_the_same():
    texts, labels, probabilities = random_case()
    result: Evaluation = evaluate_probabilities(texts, labels, probabilities, CLASSES)
    metrics = json.loads(json.dumps(result.to_dict()))
    losses = {f"{name}{suffix}" for name in LOSSES for suffix in ("", "_uncalibrated")}
    assert (
        set(metrics) == {"rows", "accuracy", "macro_f1", "loss", "per_intent", "unknown_labels", "intervals"} | losses
    )
    assert metrics["log_loss"] == pytest.approx(metrics["loss"])
    assert format_report(metrics) == result.report()
    lines = result.report().split("\n")
    assert lines[0].split() == ["precision", "recall", "f1", "support"]
    assert [line.split()[0] for line in lines[1:5]] == CLASSES
    a = result.per_intent["a"]
    assert lines[1].split()[1:] == [f"{a[key]:.3f}" for key in ("precision", "recall", "f1")] + [str(a["support"])]
    assert lines[-1] == f"calibration error {metrics['ece']:.2%}   Brier score {metrics['brier']:.4f}"
    assert lines[-2] == (
        f"accuracy {result.accuracy:.4f}   macro F1 {result.macro_f1:.4f}   loss {result.loss:.4f}   (200 rows)"
    )
