"""The methods by name: each is there, fits raw texts and predicts."""

import numpy as np
import pytest

from intent_bert.config import CompareConfig
from intent_bert.errors import SettingsError
from intent_bert.estimators.baselines import DEFAULT_METHODS, METHODS, chosen
from intent_bert.evaluation.comparison_plots import FAMILIES


def test_the_list_is_the_one_that_is_promised():
    assert list(METHODS) == [
        "majority", "tfidf-logreg", "tfidf-svm", "word2vec-svm",
        "bert-cls-logreg", "bert-cls-svm", "bert-cls-rbf", "bert-mean-logreg", "bert-mean-svm", "bert-mean-rbf",
        "bert-sum4-logreg", "bert-sum4-svm", "bert-sum4-rbf", "bert-mean-normalised-logreg", "bert-mean-normalised-svm",
        "bert-tfidf-svm",
        "frozen-linear", "frozen-rnn", "last-2", "fine-tuning", "few-shot",
    ]  # fmt: skip
    assert {method.family for method in METHODS.values()} == set(FAMILIES)


def test_names_groups_and_their_order():
    assert [method.name for method in chosen("fine-tuning, tfidf-svm,tfidf-svm,last-1")] == [
        "tfidf-svm", "last-1", "fine-tuning",
    ]  # fmt: skip
    for group in ("default", "ladder"):  # the second is its former name
        assert tuple(method.name for method in chosen(group)) == DEFAULT_METHODS
    assert [method.name for method in chosen("all")] == list(METHODS)
    assert chosen("last-3")[0].what == "fine-tuning of the last 3 encoder layers"


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ("tfidf-svn", "unknown method 'tfidf-svn': did you mean 'tfidf-svm'? Known are default, all, majority, "),
        ("last-0", "unknown method 'last-0': did you mean 'last-2'?"),
        (" , ", "no method is named: give some, separated by commas, or default, or all"),
    ],
)
def test_unknown_names(methods, expected):
    with pytest.raises(SettingsError) as caught:
        chosen(methods)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("name", list(METHODS))
def test_each_fits_raw_texts_and_predicts(name, tiny_checkpoint, small_table):
    if name == "word2vec-svm":
        pytest.importorskip("gensim")
    config = CompareConfig(checkpoint=str(tiny_checkpoint), max_seq_len=48, epochs=1, class_weight="balanced")
    estimator = METHODS[name].make(config)
    estimator.fit(list(small_table.text), list(small_table.intent))
    predictions = estimator.predict(["play music", "will it rain"])
    assert set(predictions) <= set(small_table.intent)
    right = np.mean(estimator.predict(list(small_table.text)) == small_table.intent.to_numpy())
    if METHODS[name].family in ("words", "frozen") and not name.startswith("frozen-"):
        assert right > 0.75, "a classifier on features learns what it has seen"


def test_vectors_of_length_one(tiny_checkpoint, small_table):
    config = CompareConfig(checkpoint=str(tiny_checkpoint))
    method = METHODS["bert-mean-normalised-svm"]
    estimator = method.make(config).fit(list(small_table.text), list(small_table.intent))
    np.testing.assert_allclose(np.linalg.norm(estimator[:-1].transform(["play music"]), axis=1), 1, atol=1e-6)
    assert (method.family, method.pooling) == ("frozen", "mean")


def test_more_layers_than_there_are(tiny_checkpoint):
    config = CompareConfig(checkpoint=str(tiny_checkpoint))
    chosen("last-4")[0].check(config, ["play"])
    with pytest.raises(SettingsError) as caught:
        chosen("last-5")[0].check(config, ["play"])
    assert str(caught.value) == (
        f"last-5 is one of 5 or more layers, but {tiny_checkpoint} has 4: take last-1 to last-4"
    )
