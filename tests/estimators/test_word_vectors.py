"""WordVectorTransformer: its averages by hand and against gensim, the files it reads, and what bad input gets."""

import hashlib
import os
import pickle
import subprocess
import sys
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from gensim.models import KeyedVectors, Word2Vec
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC
from sklearn_checks import CHECKS_OF_THE_CLASS, NumbersAsText, passed_checks
from word_vector_tables import BY_HAND, GLOVE, TEXTS, written

from intent_bert import WordVectorTransformer
from intent_bert.errors import DataError, SettingsError
from intent_bert.estimators import word_vector_files
from intent_bert.estimators.word_vectors import words_of

# --- the average -------------------------------------------------------------------------------------------------


def test_an_average_worked_by_hand(glove):
    rows = WordVectorTransformer(glove).fit_transform(TEXTS)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, BY_HAND, atol=1e-6)


def test_capitals_are_kept_when_asked(glove):
    rows = WordVectorTransformer(glove, lower_case=False).fit(TEXTS).transform(["Rain", "rain", "Rain play"])
    np.testing.assert_allclose(rows, [[7, 7, 7], [0, 0, 0], [4, 3.5, 2.5]])


def test_texts_without_a_known_word_are_counted_in_one_warning(glove, caplog):
    words = WordVectorTransformer(glove)
    words.fit_transform(TEXTS)
    assert caplog.messages == ["2 of 6 texts have no known word: their rows are zeros"]
    caplog.clear()
    words.transform(TEXTS[:3])
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop-me now", ["don", "t", "stop", "me", "now"]),
        ("snake_case  9:30\t№5 ½", ["snake", "case", "9", "30", "5", "½"]),
        ("ÀÉ Straße İ", ["àé", "straße", "i\u0307"]),
        ("e\u0301te\u0301", ["été"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("播放音乐。你好", ["播放音乐", "你好"]),
        ("I ❤️ you❤️too 🎵", ["i", "you", "too"]),
        ("", []),
        (" ?!…\ud800 ", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


def test_lists_arrays_and_series(glove):
    words = WordVectorTransformer(glove).fit(TEXTS)
    plain = words.transform(TEXTS)
    for same in (np.array(TEXTS), np.array(TEXTS, object), pd.Series(TEXTS, index=range(7, 13)), tuple(TEXTS)):
        np.testing.assert_array_equal(clone(words).fit(same).transform(same), plain)
    np.testing.assert_array_equal(clone(words).fit_transform(text for text in TEXTS), plain)
    assert words.transform([]).shape == (0, 3)


# --- training ----------------------------------------------------------------------------------------------------


def test_trained_vectors_and_means_are_gensims_own(small_table):
    settings = {"window": 3, "min_count": 2, "epochs": 7, "seed": 5}
    words = WordVectorTransformer(size=20, **settings).fit(small_table.text)
    sentences = [words_of(text) for text in small_table.text]
    keyed = Word2Vec(sentences, sg=1, alpha=0.05, vector_size=20, workers=1, **settings).wv
    assert list(words.words_) == keyed.index_to_key
    assert [words.words_[word] for word in keyed.index_to_key] == list(range(len(keyed)))
    np.testing.assert_array_equal(words.vectors_, keyed.vectors)
    for text, row in zip(small_table.text, words.transform(small_table.text), strict=True):
        expected = keyed.get_mean_vector([word for word in words_of(text) if word in keyed], pre_normalize=False)
        np.testing.assert_allclose(row, expected, atol=1e-6)
    assert (words.vectors_.shape[1], words.vectors_.dtype, words.n_epochs_) == (20, np.float32, 7)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_vectors_in_any_process(small_table):
    first = WordVectorTransformer(epochs=5).fit(small_table.text)
    np.testing.assert_array_equal(clone(first).fit(small_table.text).vectors_, first.vectors_)
    other = clone(first).set_params(seed=1).fit(small_table.text)
    assert np.abs(other.vectors_ - first.vectors_).max() > 1e-3
    script = (
        "import hashlib, sys; from intent_bert import WordVectorTransformer\n"
        "words = WordVectorTransformer(epochs=5).fit(sys.stdin.read().splitlines())\n"
        "assert 'tensorflow' not in sys.modules\n"
        "print(list(words.words_), hashlib.sha256(words.vectors_.tobytes()).hexdigest())"
    )
    seen = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        options = {"capture_output": True, "text": True, "check": True, "env": environment}
        seen.add(subprocess.run([sys.executable, "-c", script], input="\n".join(small_table.text), **options).stdout)
    assert len(seen) == 1
    assert hashlib.sha256(first.vectors_.tobytes()).hexdigest() in seen.pop()


def test_a_small_table_is_passed_over_more_often():
    def epochs(words: int, **settings: Any) -> int:
        return WordVectorTransformer(size=2, **settings).fit(["play music"] * (words // 2)).n_epochs_

    assert epochs(10) == 1000
    assert epochs(10_000) == 25
    assert epochs(100_000) == 10
    assert epochs(100_000, epochs=1) == 1


def test_rare_words_stay_unknown():
    texts = ["play music", "play songs", "music now"]
    assert sorted(WordVectorTransformer(min_count=2).fit(texts).words_) == ["music", "play"]
    assert sorted(WordVectorTransformer(lower_case=False).fit(["Play", "play"]).words_) == ["Play", "play"]


def test_nothing_is_logged_by_gensim_in_training(small_table, caplog):
    WordVectorTransformer().fit(small_table.text[:3])
    assert caplog.messages == []


# --- scikit-learn's tools ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pipeline_with_a_linear_svm_learns(small_table):
    classifier = Pipeline([("words", WordVectorTransformer()), ("svm", LinearSVC())])
    scores = cross_val_score(classifier, small_table.text, small_table.intent, cv=3)
    assert scores.mean() > 0.9
    classifier.fit(small_table.text, small_table.intent)
    assert classifier.predict(["play my song", "will it rain", "book a table"]).tolist() == [
        "music",
        "weather",
        "table",
    ]


def test_names_and_pandas_output(glove):
    words = WordVectorTransformer(glove).set_output(transform="pandas")
    frame = words.fit_transform(TEXTS)
    assert list(frame.columns) == ["wordvectortransformer0", "wordvectortransformer1", "wordvectortransformer2"]
    assert words.get_feature_names_out().tolist() == list(frame.columns)


def test_clone_get_and_set_params():
    settings = {
        "vectors": "glove.txt", "size": 50, "window": 2, "min_count": 3, "epochs": 4, "seed": 5, "lower_case": False,
        "limit": 6,
    }  # fmt: skip
    words = WordVectorTransformer(**settings)
    assert words.get_params() == clone(words).get_params() == settings
    assert WordVectorTransformer().get_params() | settings == settings
    tags = words.__sklearn_tags__()
    assert (tags.input_tags.string, tags.input_tags.two_d_array, tags.requires_fit) == (True, False, True)


def test_it_pickles_as_plain_arrays_and_needs_no_file(glove, small_table, tmp_path):
    for words in (WordVectorTransformer(epochs=2, size=10), WordVectorTransformer(glove)):
        classifier = make_pipeline(words, LinearSVC()).fit(small_table.text, small_table.intent)
        assert b"gensim" not in pickle.dumps(words)
        joblib.dump(classifier, tmp_path / "classifier.joblib")
        glove.unlink(missing_ok=True)
        copy = joblib.load(tmp_path / "classifier.joblib")
        np.testing.assert_array_equal(copy.predict(small_table.text), classifier.predict(small_table.text))
        np.testing.assert_array_equal(copy[0].vectors_, words.vectors_)
        glove.write_text(GLOVE, encoding="utf-8")


def test_a_search_reads_the_file_once_and_a_changed_file_again(glove, small_table, monkeypatch):
    reads = []
    table = word_vector_files._table
    monkeypatch.setattr(word_vector_files, "_table", lambda *arguments: reads.append(arguments) or table(*arguments))
    pipeline = Pipeline([("words", WordVectorTransformer(glove)), ("svm", LinearSVC())])
    search = GridSearchCV(pipeline, {"svm__C": [0.1, 1]}, cv=3).fit(small_table.text, small_table.intent)
    assert len(reads) == 1
    assert not search.best_estimator_[0].vectors_.flags.writeable
    written(glove, GLOVE + "more 1 2 3\n")
    assert "more" in WordVectorTransformer(glove).fit(TEXTS).words_


class WordsOfNumbers(NumbersAsText, WordVectorTransformer):
    def __init__(self, vectors: Any = None, *, size: int = 5, epochs: int = 1) -> None:
        super().__init__(vectors, size=size, epochs=epochs)


def test_scikit_learns_estimator_checks():
    assert "check_estimators_unfitted" in passed_checks(WordsOfNumbers())


@pytest.mark.parametrize("check", CHECKS_OF_THE_CLASS, ids=lambda check: check.__name__)
def test_checks_of_the_class_itself(check):
    check("WordVectorTransformer", WordVectorTransformer())


def test_trained_vectors_come_back_from_a_file(small_table, tmp_path):
    trained = WordVectorTransformer(epochs=2).fit(small_table.text)
    keyed = KeyedVectors(100)
    keyed.add_vectors(list(trained.words_), trained.vectors_)
    for name, binary in (("v.txt", False), ("v.bin", True)):
        keyed.save_word2vec_format(str(tmp_path / name), binary=binary)
        again = WordVectorTransformer(str(tmp_path / name)).fit([])
        np.testing.assert_array_equal(again.transform(small_table.text), trained.transform(small_table.text))


def test_reading_needs_no_gensim_and_training_says_so(glove, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "gensim"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gensim", None)
    np.testing.assert_allclose(WordVectorTransformer(glove).fit_transform(TEXTS), BY_HAND, atol=1e-6)
    with pytest.raises(
        SettingsError,
        match=r"^training word vectors needs gensim, which can't be imported \(.*gensim.*\): "
        r"pip install --upgrade gensim, or give a file of pretrained vectors$",
    ):
        WordVectorTransformer().fit(TEXTS)


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("play", r"^expected a list of texts, got a single string: put it in a list$"),
        (7, r"^expected a list of texts, got int$"),
        (["play", None], r"^expected texts, found None in row 1 \(counted from 0\): fill it in or drop the row$"),
        (pd.Series(["a", "b", np.nan], index=[5, 6, 7], dtype=object), r"^expected texts, found nan in row 2 \("),
        (np.array([["a"], ["b"]]), r"^expected one column of texts, got ndarray of shape \(2, 1\): choose a column$"),
    ],
    ids=["string", "number", "none", "nan", "matrix"],
)
def test_what_is_no_list_of_texts(glove, texts, message):
    words = WordVectorTransformer(glove).fit(TEXTS)
    for ask in (words.fit, words.transform, words.fit_transform, WordVectorTransformer().fit):
        with pytest.raises(DataError, match=message):
            ask(texts)


def test_before_fit():
    for ask in (WordVectorTransformer().get_feature_names_out, lambda: WordVectorTransformer().transform(TEXTS)):
        with pytest.raises(NotFittedError, match="This WordVectorTransformer instance is not fitted yet"):
            ask()


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        ([], {}, r"^expected texts to learn word vectors from, but no word stands in these 0$"),
        (["", "?!"], {}, r"^expected texts to learn word vectors from, but no word stands in these 2$"),
        (["a b", "b"], {"min_count": 3}, r"^no word stands min_count=3 times in these 2 texts: lower min_count$"),
    ],
)
def test_no_word_to_learn_from(texts, settings, message):
    with pytest.raises(DataError, match=message):
        WordVectorTransformer(**settings).fit(texts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, r"^size must be 1 to 10000, not 0$"),
        ({"size": 12.5}, r"^size must be a whole number, not 12.5$"),
        ({"size": None}, r"^size must be a whole number, not None$"),
        ({"window": 10**12}, r"^window must be 1 to 10000, not 1000000000000$"),
        ({"min_count": 0}, r"^min_count must be at least 1, not 0$"),
        ({"epochs": 0}, r"^epochs must be at least 1, not 0$"),
        ({"epochs": True}, r"^epochs must be a whole number, not True$"),
        ({"seed": -1}, r"^seed must be 0 to 4294967295, not -1$"),
        ({"seed": "1"}, r"^seed must be a whole number, not '1'$"),
        ({"limit": 0}, r"^limit must be at least 1, not 0$"),
        ({"vectors": {"a": [1]}}, r"^vectors must be the path of a file or None, not dict$"),
    ],
)
def test_settings_that_can_t_be(settings, message):
    with pytest.raises(SettingsError, match=message):
        WordVectorTransformer(**settings).fit(TEXTS)


# --- real sentences ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_linear_svm_on_word_vectors_recognises_snips(real_data):
    train, test = (pd.read_csv(real_data / "snips" / f"{name}.csv") for name in ("train", "test"))
    train = train.groupby("intent").head(50)
    classifier = make_pipeline(WordVectorTransformer(), LinearSVC()).fit(train.text, train.intent)
    assert classifier.score(test.text, test.intent) > 0.9
