"""Known against unknown: the metrics beside scikit-learn's, and what is not told."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from intent_bert import evaluate_probabilities
from intent_bert.evaluation.out_of_scope import ScopeScores, ranking_metrics


def scores_of(threshold: float | None = 0.0) -> ScopeScores:
    rng = np.random.default_rng(0)
    known = np.arange(300) < 200
    scores = (rng.normal(size=300) + 2 * known).astype("float32")
    return ScopeScores(scores, rng.random(300), known, known & (rng.random(300) < 0.9), threshold)


def test_the_metrics_are_scikit_learns():
    scope = scores_of()
    found = scope.metrics()
    assert found["auroc"] == pytest.approx(roc_auc_score(scope.known, scope.scores))
    assert found["open_f1"] == pytest.approx(f1_score(~scope.known, scope.scores < 0))
    assert found["rejected_unknown"] == np.mean(scope.scores[200:] < 0)
    assert found["accepted_known"] == pytest.approx(np.mean(scope.scores[:200] >= 0))
    assert found["known_accuracy"] == np.mean(scope.right[:200])
    assert found["max_probability"]["auroc"] == pytest.approx(roc_auc_score(scope.known, scope.confidence))
    assert (found["known"], found["unknown"]) == (200, 100)
    accepted = scope.scores >= np.sort(scope.scores[:200])[9]  # 191 of 200 known ones reach it
    assert found["fpr95"] == np.mean(accepted[200:])
    json.dumps(found)


def test_perfect_scores():
    found = ranking_metrics(np.array([3.0, 2, 1, 0]), np.array([True, True, False, False]))
    assert found == {"auroc": 1, "aupr_in": 1, "aupr_out": 1, "fpr95": 0}


def test_without_a_threshold_only_the_order_is_judged():
    found = scores_of(None).metrics()
    assert (found["threshold"], found["open_f1"], found["rejected_unknown"]) == (None, None, None)
    assert found["auroc"] > 0.8


def test_rows_of_one_kind_tell_nothing():
    scope = scores_of()
    for rows in (slice(0, 200), slice(200, 300)):
        part = ScopeScores(*(each[rows] for each in (scope.scores, scope.confidence, scope.known, scope.right)), 0.0)
        assert part.metrics() is None


def test_rows_of_the_unknown_label_are_no_mistakes():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], "float32")
    labels, scores = ["a", "b", "oos", "new"], np.array([3, 2, 0, -1], "float32")
    found = evaluate_probabilities(
        list("wxyz"), labels, probabilities, ["a", "b"], scores=scores, threshold=1.0, unknown_label="oos"
    )
    assert (found.rows, found.accuracy, found.unknown_labels) == (3, pytest.approx(2 / 3), {"new": 1})
    assert found.mistakes["text"].tolist() == ["z"]
    assert (found.out_of_scope["unknown"], found.out_of_scope["open_f1"], found.out_of_scope["auroc"]) == (2, 1, 1)
    plain = evaluate_probabilities(list("wxyz"), labels, probabilities, ["a", "b"], scores=scores, threshold=1.0)
    assert (plain.rows, plain.accuracy, plain.unknown_labels) == (4, 0.5, {"oos": 1, "new": 1})
    assert plain.out_of_scope == found.out_of_scope
