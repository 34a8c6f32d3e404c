"""Several intents a text in scikit-learn's forms: what comes in goes out."""

import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import QUICK
from scipy.sparse import csr_matrix
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import MultiLabelBinarizer

from intent_bert import IntentClassifier
from intent_bert.errors import DataError
from intent_bert.estimators.targets import has_label_lists, in_columns, is_matrix, label_lists, right_rows

MATRIX = np.array([[1, 0, 1], [0, 0, 0]])
ASKED = ["play my song please", "will it rain", "please book a table"]


@pytest.fixture(scope="module")
def lists(small_table: pd.DataFrame) -> list[list[str]]:
    """The intent, and "polite" where a sentence has a please in it."""
    rows = zip(small_table["text"], small_table["intent"], strict=True)
    return [[intent, "polite"] if "please" in text else [intent] for text, intent in rows]


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (MATRIX, [[0, 2], []]),
        (csr_matrix(MATRIX), [[0, 2], []]),
        (MATRIX.astype(bool), [[0, 2], []]),
        (pd.DataFrame(MATRIX, columns=["a", "b", "c"]), [["a", "c"], []]),
    ],
)
def test_matrices_as_lists(y, expected):
    assert is_matrix(y) and not has_label_lists(y)
    assert label_lists(y) == expected


def test_lists_and_plain_labels_are_told_apart():
    assert has_label_lists([["a"], []]) and has_label_lists(pd.Series([[], ["a"]]))
    assert not has_label_lists(["a", "b"]) and not has_label_lists(np.array([1, 2]))


def test_what_is_no_indicator_is_refused():
    with pytest.raises(DataError) as caught:
        label_lists(np.array([[0, 1], [2, 0]]))
    assert str(caught.value) == ("expected an indicator matrix of 0 and 1, found 2 in row 1, column 0 (counted from 0)")


def test_places_and_right_rows():
    values = np.array([[0.5, 0.25]])
    assert in_columns(values, ["c", "a"], ["a", "b", "c"]).tolist() == [[0.25, 0, 0.5]]
    assert right_rows([["a", "b"], []], [("b", "a"), ["c"]]) == [True, False]
    assert right_rows(MATRIX, MATRIX[::-1]) == [False, False]


# --- the classifier ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(quick_checkpoint, small_table, lists) -> IntentClassifier:
    estimator = IntentClassifier(str(quick_checkpoint), **{**QUICK, "epochs": 12}, validation_split=0.2)
    return estimator.fit(small_table["text"], lists)


def test_lists_in_lists_out(fitted, small_table, lists):
    assert fitted.classes_.tolist() == ["music", "polite", "table", "weather"]
    assert fitted.predict(ASKED) == [["music", "polite"], ["weather"], ["polite", "table"]]
    assert fitted.predict([""]) == [[]]
    probabilities = fitted.predict_proba(ASKED)
    assert probabilities.shape == (3, 4) and probabilities[0].sum() > 1.3
    assert fitted.score(small_table["text"], lists) > 0.8
    assert "val_micro_f1" in fitted.history_


def test_saved_loaded_and_pickled_copies_give_the_same(fitted, tmp_path):
    copies = [IntentClassifier.load(fitted.save(tmp_path / "model")), pickle.loads(pickle.dumps(fitted))]
    for copy in copies:
        assert copy.predict(ASKED) == fitted.predict(ASKED)
        np.testing.assert_allclose(copy.predict_proba(ASKED), fitted.predict_proba(ASKED), atol=1e-6)
    assert copies[0].multi_label


def test_a_matrix_in_a_matrix_out(quick_checkpoint, small_table, lists, tmp_path):
    names = ["polite", "never", "music", "table", "weather"]
    matrix = MultiLabelBinarizer(classes=names).fit_transform(lists)
    estimator = IntentClassifier(str(quick_checkpoint), **QUICK).fit(small_table["text"], matrix)
    for each in (estimator, IntentClassifier.load(estimator.save(tmp_path / "model"))):
        assert each.classes_.tolist() == [0, 1, 2, 3, 4]
        found, probabilities = each.predict(small_table["text"]), each.predict_proba(small_table["text"])
        assert found.shape == probabilities.shape == matrix.shape
        assert not found[:, 1].any() and not probabilities[:, 1].any()
        assert each.score(small_table["text"], matrix) == (found == matrix).all(axis=1).mean() > 0.5


def test_plain_labels_are_mixed(quick_checkpoint, small_table):
    settings = {**QUICK, "epochs": 2, "multi_label": True, "mix": 1.0}
    estimator = IntentClassifier(str(quick_checkpoint), **settings).fit(small_table["text"], small_table["intent"])
    assert estimator.classes_.tolist() == ["music", "table", "weather"]
    assert all(isinstance(labels, list) for labels in estimator.predict(ASKED))


def test_cross_validation_of_a_matrix(quick_checkpoint, small_table, lists):
    matrix = MultiLabelBinarizer().fit_transform(lists)
    estimator = IntentClassifier(str(quick_checkpoint), **{**QUICK, "epochs": 1})
    scores = cross_val_score(estimator, np.array(small_table["text"]), matrix, cv=2)
    assert scores.shape == (2,) and ((scores >= 0) & (scores <= 1)).all()
