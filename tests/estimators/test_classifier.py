"""The estimator, as scikit-learn's own tools use it."""

import inspect
import pickle
from dataclasses import fields

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import QUICK
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.class_weight import compute_class_weight

from intent_bert import IntentClassifier, IntentPredictor
from intent_bert.config import TrainingConfig
from intent_bert.errors import DataError, SettingsError

LONG = ["play my song", "will it rain", "book a table"]


@pytest.fixture(scope="module")
def texts(small_table) -> list[str]:
    return list(small_table["text"])


@pytest.fixture(scope="module")
def classifier(quick_checkpoint, small_table) -> IntentClassifier:
    """Fitted on number labels, with a held-out share."""
    numbers = small_table["intent"].map({"music": 30, "table": 10, "weather": 20})
    estimator = IntentClassifier(str(quick_checkpoint), **QUICK, validation_split=0.1, seed=5)
    return estimator.fit(small_table["text"], numbers)


def quickest(quick_checkpoint, **settings) -> IntentClassifier:
    return IntentClassifier(str(quick_checkpoint), **{**QUICK, "epochs": 1, "batch_size": 32, **settings})


# --- fit and ask -------------------------------------------------------------------------------------------------


def test_fit_predict_score_and_what_is_learnt(classifier, small_table):
    assert classifier.interrupted_ is False
    assert classifier.classes_.tolist() == [10, 20, 30]
    assert classifier.classes_.dtype.kind == "i"
    answers = classifier.predict(small_table["text"])
    truth = small_table["intent"].map({"music": 30, "table": 10, "weather": 20})
    assert answers.dtype.kind == "i"
    assert (answers == truth).mean() > 0.9
    assert classifier.score(small_table["text"], truth) == (answers == truth).mean()
    probabilities = classifier.predict_proba(LONG)
    assert probabilities.shape == (3, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert classifier.predict(np.array(LONG)).tolist() == [30, 20, 10]
    assert classifier.n_epochs_ == len(classifier.history_) == 8
    assert "val_accuracy" in classifier.history_


def test_saved_loaded_pickled_and_joblib_copies_answer_the_same(classifier, tmp_path):
    expected = classifier.predict_proba(LONG)
    folder = classifier.save(tmp_path / "model")
    assert {"model.onnx", "model.onnx.json"} <= {entry.name for entry in folder.iterdir()}
    loaded = IntentClassifier.load(folder)
    joblib.dump(classifier, tmp_path / "model.joblib")
    copies = [loaded, pickle.loads(pickle.dumps(classifier)), joblib.load(tmp_path / "model.joblib")]
    for copy in copies:
        np.testing.assert_allclose(copy.predict_proba(LONG), expected, atol=1e-6)
        assert copy.predict(LONG).tolist() == [30, 20, 10]
    assert [copy.get_params() for copy in copies[1:]] == [classifier.get_params()] * 2
    for name, given in classifier.get_params().items():  # the folder has the resolved settings
        left_open = given is None and name not in ("adapter_size", "callbacks", "class_weight", "do_lower_case")
        if left_open or given == "auto":
            assert loaded.get_params()[name] not in (None, "auto"), name
        else:
            assert loaded.get_params()[name] == given, name
    pd.testing.assert_frame_equal(copies[1].history_, classifier.history_)
    assert [answer.intent for answer in IntentPredictor.load(folder).predict(LONG)] == [30, 20, 10]
    assert b"tensorflow" not in pickle.dumps(classifier)
    assert b"model.onnx" not in pickle.dumps(classifier), "a copy in memory answers with Keras"


def test_an_unfitted_estimator_pickles_and_refuses_to_answer(quick_checkpoint, tmp_path):
    estimator = pickle.loads(pickle.dumps(quickest(quick_checkpoint)))
    assert estimator.get_params() == quickest(quick_checkpoint).get_params()
    for ask in (estimator.predict, estimator.predict_proba):
        with pytest.raises(NotFittedError, match="This IntentClassifier instance is not fitted yet"):
            ask(LONG)
    with pytest.raises(NotFittedError):
        estimator.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("labels", [[True, False], ["b", "a"], [2, "a"]])
def test_labels_keep_their_type(quick_checkpoint, labels):
    estimator = quickest(quick_checkpoint, seed=1).fit(
        ["play", "rain", "play now", "rain now"], np.array(labels * 2, "O")
    )
    answers = estimator.predict(["play", "rain", "book", "me", "you"])
    assert set(estimator.classes_.tolist()) == set(labels)
    assert {type(label) for label in estimator.classes_.tolist()} == {type(label) for label in labels}
    assert {type(answer) for answer in answers.tolist()} <= {type(label) for label in labels}
    assert len(answers) == 5


def test_a_share_that_leaves_nothing_to_hold_out_trains_on_everything(quick_checkpoint):
    estimator = quickest(quick_checkpoint, validation_split=0.2, epochs=2).fit(["play", "rain"], ["a", "b"])
    assert "val_accuracy" not in estimator.history_
    assert estimator.n_epochs_ == 2


# --- mistakes ----------------------------------------------------------------------------------------------------


def test_mistakes_are_told_before_training(quick_checkpoint, texts, monkeypatch):
    monkeypatch.setattr("intent_bert.estimators.classifier.fit", lambda *_, **__: pytest.fail("training began"))
    estimator = quickest(quick_checkpoint)
    bare = "^expected a list of texts, got a single string: put it in a list$"
    with pytest.raises(DataError, match=bare):
        estimator.fit("play", ["a"])
    with pytest.raises(DataError, match=r"^expected as many labels as texts, got 90 texts and 1 labels$"):
        estimator.fit(texts, ["a"])
    with pytest.raises(DataError, match=r"^expected a list with a label for each text, got int$"):
        estimator.fit(texts, 5)
    with pytest.raises(DataError, match=r"^the given texts has one intent only, 'a': expected at least two$"):
        estimator.fit(texts, ["a"] * 90)
    with pytest.raises(DataError, match=r"^the given texts, row 1, column 'text': the text is empty"):
        estimator.fit(["a", " "], ["a", "b"])
    with pytest.raises(SettingsError, match=r"^epochs must be at least 1, not 0$"):
        quickest(quick_checkpoint, epochs=0).fit(texts, texts)


def test_a_bare_string_is_no_list_of_texts(classifier):
    for ask in (classifier.predict, classifier.predict_proba):
        with pytest.raises(DataError, match=r"^expected a list of texts, got a single string: put it in a list$"):
            ask("play my song")
        with pytest.raises(DataError, match=r"^expected texts, found None in row 1 \(counted from 0\)"):
            ask(["play my song", None])
        with pytest.raises(DataError, match=r"^expected texts, found \['play'\] in row 0"):
            ask([["play"]])
    assert classifier.predict_proba([]).shape == (0, 3)
    with pytest.raises(DataError, match=r"^expected as many labels as texts, got 1 texts and 2 labels$"):
        classifier.score(["play my song"], ["music", "weather"])


# --- scikit-learn's tools ----------------------------------------------------------------------------------------


def test_the_parameters_are_the_settings_with_the_same_defaults():
    defaults = {name: each.default for name, each in inspect.signature(IntentClassifier).parameters.items()}
    settings = {each.name: each.default for each in fields(TrainingConfig)}
    for name, value in defaults.items():
        if name not in ("verbose", "callbacks", "validation_split"):
            assert settings[name] == value, name
    assert defaults["validation_split"] == 0.0


def test_clone_get_and_set_params(classifier):
    copy = clone(classifier)
    assert copy.get_params() == classifier.get_params()
    assert not hasattr(copy, "classes_")
    copy.set_params(epochs=7, pooling="mean")
    assert (copy.epochs, copy.pooling, classifier.epochs) == (7, "mean", 8)
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        copy.set_params(epoch=3)
    assert is_classifier(copy)


def test_grid_search_and_a_pipeline(quick_checkpoint, texts, small_table):
    upper = FunctionTransformer(lambda texts: [text.upper() for text in texts])
    pipeline = make_pipeline(upper, quickest(quick_checkpoint, epochs=3, batch_size=4))
    grid = {"intentclassifier__learning_rate": [1e-6, 2e-3]}
    search = GridSearchCV(pipeline, grid, cv=[(np.arange(0, 90, 2), np.arange(1, 90, 2))], n_jobs=1, refit=False)
    search.fit(texts, small_table["intent"])
    assert search.best_params_ == {"intentclassifier__learning_rate": 2e-3}
    assert search.cv_results_["mean_test_score"][1] > 0.5


def test_numbers_of_numpy_and_weights_of_whole_number_labels_are_kept_with_the_model(quick_checkpoint, texts, tmp_path):
    labels = [number % 3 for number in range(len(texts))]
    classes = np.unique(labels)
    weights = dict(zip(classes, compute_class_weight("balanced", classes=classes, y=labels), strict=True))
    grid = {"epochs": np.array([1]), "learning_rate": np.array([1e-3]), "batch_size": np.arange(16, 17)}
    search = GridSearchCV(quickest(quick_checkpoint, class_weight=weights), grid, cv=2).fit(texts, labels)
    fitted = pickle.loads(pickle.dumps(search)).best_estimator_
    loaded = IntentClassifier.load(fitted.save(tmp_path / "model"))
    assert loaded.get_params()["class_weight"] == {str(label): pytest.approx(w) for label, w in weights.items()}
    assert loaded.get_params()["epochs"] == 1
    assert loaded.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(loaded.predict(texts), search.predict(texts))


def test_cross_val_score(quick_checkpoint, texts, small_table):
    scores = cross_val_score(quickest(quick_checkpoint, epochs=2), np.array(texts), small_table["intent"], cv=2)
    assert scores.shape == (2,)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_checks_that_need_no_numeric_input(check):
    check("IntentClassifier", IntentClassifier())


def test_a_table_is_no_list_of_texts(small_table):
    expected = r"^expected one column of texts, got DataFrame of shape \(\d+, 1\): choose a column$"
    with pytest.raises(DataError, match=expected):
        IntentClassifier().fit(small_table[["text"]], small_table.intent)
