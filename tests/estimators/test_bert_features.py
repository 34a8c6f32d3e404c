"""BertTransformer: its vectors against numpy by hand, scikit-learn's tools around it, and what bad input gets."""

import csv
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import TINY_CONFIG, tiny_weights
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.svm import LinearSVC
from sklearn_checks import CHECKS_OF_THE_CLASS, NumbersAsText, passed_checks

from intent_bert import BertModelLayer, BertTransformer, params_from_pretrained_ckpt
from intent_bert.bert.checkpoint import CHECKPOINT_PREFIX, load_stock_weights, write_stock_weights
from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.data.batches import pad
from intent_bert.errors import CheckpointError, DataError, DiskError, ModelFolderError, SettingsError
from intent_bert.estimators import shared_encoder as encoders
from intent_bert.estimators.bert_features import FEATURE_POOLINGS
from intent_bert.estimators.shared_encoder import shared_encoder
from intent_bert.model.saved import load_artifact

TEXTS = ["play music", "will it rain in the park tomorrow", "book", "", "a table for me please!", "play music"]
H, L, LENGTH = TINY_CONFIG["hidden_size"], TINY_CONFIG["num_hidden_layers"], 24


@pytest.fixture
def bert(tiny_checkpoint: Path) -> BertTransformer:
    """One whose encoder has computed nothing yet."""
    return fresh(BertTransformer(str(tiny_checkpoint), max_seq_len=LENGTH))


def fresh(bert: BertTransformer) -> BertTransformer:
    shared_encoder(bert.checkpoint).forget()
    return bert


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sentences each call of the encoder was for."""
    numbers: list[int] = []

    def counting(predict: Any, ids: Any, *arguments: Any) -> np.ndarray:
        numbers.append(len(ids))
        return original(predict, ids, *arguments)

    original = encoders.predict_in_batches
    monkeypatch.setattr(encoders, "predict_in_batches", counting)
    return numbers


@pytest.fixture(scope="module")
def hidden(tiny_checkpoint: Path) -> list[np.ndarray]:
    """For each of TEXTS, alone and unpadded: the output of every layer (L, T, H), from the layer itself."""
    params = params_from_pretrained_ckpt(tiny_checkpoint)
    params.out_layer_ndxs = list(range(L))
    layer = BertModelLayer.from_params(params, name="bert")
    layer.build((None, None))
    load_stock_weights(layer, tiny_checkpoint)
    ids, _ = FullTokenizer(tiny_checkpoint / "vocab.txt").encode(TEXTS, LENGTH)
    return [np.stack([state[0] for state in layer(pad([each]))]) for each in ids]


# --- the vectors -------------------------------------------------------------------------------------------------


def by_hand(pooling: str, states: np.ndarray, layer: int) -> np.ndarray:
    """One sentence (L, T, H) -> its features."""
    last, four = states[layer], states[layer - 3 : layer + 1]
    if pooling == "cls":
        return last[0]
    if pooling == "mean":
        return last.sum(0) / len(last)
    if pooling == "max":
        return last.max(0)
    if pooling == "pooler":
        weights = tiny_weights()
        return np.tanh(states[-1][0] @ weights["bert/pooler/dense/kernel"] + weights["bert/pooler/dense/bias"])
    if pooling == "flatten":
        return np.concatenate([*last, np.zeros((LENGTH - len(last)) * H)])
    if pooling == "concat_last_four":
        return np.concatenate(list(four), axis=1).mean(0)
    total = (four[0] + four[1] + four[2] + four[3]).mean(0)
    return total / 4 if pooling == "mean_last_four" else total


@pytest.mark.parametrize("pooling", FEATURE_POOLINGS)
def test_each_pooling_by_hand(bert, hidden, pooling):
    rows = bert.set_params(pooling=pooling, batch_size=4).fit_transform(TEXTS)
    expected = np.stack([by_hand(pooling, states, L - 1) for states in hidden])
    assert rows.dtype == np.float32
    assert rows.shape == expected.shape == (len(TEXTS), bert.n_features_out_)
    np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 2, -1, -4])
def test_any_layer(bert, hidden, layer):
    for pooling in ("cls", "mean", "flatten"):
        rows = bert.set_params(pooling=pooling, layer=layer).transform(TEXTS)
        expected = np.stack([by_hand(pooling, states, layer % L) for states in hidden])
        np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_a_function_sees_sentences_without_their_padding(bert, hidden):
    seen = []

    def middle(output):
        last_hidden_state, pooled_output = output
        seen.append((last_hidden_state.shape, pooled_output.shape))
        return np.concatenate([last_hidden_state.min(axis=1), pooled_output], axis=1)

    rows = bert.set_params(pooling=middle).fit_transform(TEXTS)
    expected = [np.concatenate([states[-1].min(0), by_hand("pooler", states, -1)]) for states in hidden]
    np.testing.assert_allclose(rows, np.stack(expected), atol=1e-5)
    assert rows.dtype == np.float32
    assert {shape[1] for shape, _ in seen} == {states.shape[1] for states in hidden}
    assert bert.get_feature_names_out().shape == (2 * H,)


def test_the_function_of_the_blog_post_gives_cls(bert):
    rows = bert.set_params(pooling=lambda x: x[0][:, 0, :]).transform(TEXTS)
    squeezed = bert.set_params(pooling=lambda x: x[0][:, 0, :].squeeze()).transform(TEXTS)
    cls = bert.set_params(pooling="cls").transform(TEXTS)
    np.testing.assert_allclose(rows, cls, atol=1e-6)
    np.testing.assert_allclose(squeezed, cls, atol=1e-6)


def test_the_same_sentence_in_any_company(bert):
    company = [f"book a table number {number} " * (number % 3 + 1) for number in range(40)]
    for pooling in (*FEATURE_POOLINGS, lambda x: x[0].max(axis=1)):
        bert.set_params(pooling=pooling)
        alone = np.concatenate([fresh(bert).transform([text]) for text in TEXTS])
        together = fresh(bert).transform([*company, *TEXTS])[-len(TEXTS) :]
        backwards = fresh(bert).set_params(batch_size=2).transform(TEXTS[::-1])[::-1]
        np.testing.assert_allclose(together, alone, atol=1e-5)
        np.testing.assert_allclose(backwards, alone, atol=1e-5)


def test_normalize_and_lists_arrays_and_series(bert):
    plain = bert.transform(TEXTS)
    rows = bert.set_params(normalize=True).transform(TEXTS)
    np.testing.assert_allclose(rows, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(bert.set_params(normalize=False).transform(TEXTS), plain)  # what is known stays as it is
    for same in (np.array(TEXTS), np.array(TEXTS, object), pd.Series(TEXTS, index=range(7, 13)), tuple(TEXTS)):
        np.testing.assert_array_equal(bert.fit(same).transform(same), plain)
    np.testing.assert_array_equal(bert.fit_transform(text for text in TEXTS), plain)
    assert bert.transform([]).shape == (0, H)


def test_nothing_learns_and_nothing_is_dropped(bert):
    first = bert.transform(TEXTS)
    encoder = shared_encoder(bert.checkpoint)
    before = [weight.numpy() for weight in encoder.bert.weights]
    bert.fit(TEXTS, [0, 1] * 3)
    np.testing.assert_array_equal(fresh(bert).transform(TEXTS), first)
    for old, weight in zip(before, encoder.bert.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())
    assert encoder.bert.trainable_weights == []


def test_changes_of_what_is_returned_do_not_come_back(bert):
    first = bert.transform(TEXTS)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(bert.transform(TEXTS), kept)


# --- once --------------------------------------------------------------------------------------------------------


def test_repeats_are_computed_once(bert, computed):
    rows = bert.transform([*TEXTS, "Play MUSIC"])
    assert computed == [5]
    np.testing.assert_array_equal(rows[0], rows[-1])
    np.testing.assert_array_equal(rows[0], rows[5])
    bert.transform([*TEXTS, "a new one"])
    assert computed == [5, 1]


def test_cross_validation_computes_each_sentence_once(bert, small_table, computed):
    classifier = make_pipeline(bert, LinearSVC())
    scores = cross_val_score(classifier, small_table.text, small_table.intent, cv=5)
    assert scores.mean() > 0.6  # of an encoder with random weights; chance is a third
    assert sum(computed) == small_table.text.nunique()


def test_memory_outlives_the_process(bert, computed, tmp_path):
    bert.set_params(memory=str(tmp_path / "new" / "memory"))
    first = bert.transform(TEXTS)
    assert fresh(bert) and computed == [5]
    np.testing.assert_array_equal(bert.transform(TEXTS[:3]), first[:3])
    assert computed == [5]
    for changed in ({"pooling": "cls"}, {"layer": 1}):  # other vectors, other names
        fresh(clone(bert).set_params(**changed)).transform(TEXTS[:3])
    assert computed == [5, 3, 3]
    fresh(bert).set_params(pooling=lambda x: x[0][:, 0]).transform(TEXTS[:3])
    fresh(bert).transform(TEXTS[:3])
    assert computed == [5, 3, 3, 3, 3]  # a function can't be told from another
    assert [path.name for path in (tmp_path / "new" / "memory").iterdir()] == ["features.sqlite"]


def test_memory_knows_other_weights_by_their_content(bert, computed, tmp_path, tiny_checkpoint):
    bert.set_params(memory=tmp_path / "memory").transform(TEXTS)
    same = shutil.copytree(tiny_checkpoint, tmp_path / "same")
    fresh(clone(bert)).set_params(checkpoint=same).transform(TEXTS)
    assert computed == [5]
    write_stock_weights(tiny_weights(seed=1), same / CHECKPOINT_PREFIX)  # written over while its encoder is loaded
    changed = clone(bert).set_params(checkpoint=same).transform(TEXTS)
    assert computed == [5, 5]
    assert np.abs(changed - bert.transform(TEXTS)).max() > 0.1


def test_the_oldest_vectors_go_first(bert, computed, monkeypatch):
    monkeypatch.setattr(encoders, "REMEMBERED_BYTES", 3 * 4 * H)
    rows = bert.transform(TEXTS[:5])
    np.testing.assert_allclose(bert.transform(TEXTS[:5]), rows, atol=1e-6)
    assert computed == [5, 2]


def test_one_encoder_for_a_checkpoint_and_few_at_once(bert, tiny_checkpoint, tmp_path, monkeypatch):
    encoder = shared_encoder(tiny_checkpoint)
    assert shared_encoder(str(tiny_checkpoint)) is encoder
    monkeypatch.setattr(encoders, "ENCODERS_AT_ONCE", 2)
    copies = [shutil.copytree(tiny_checkpoint, tmp_path / f"uncased_{number}") for number in range(3)]
    first, second, third = (shared_encoder(copy) for copy in copies)
    assert shared_encoder(copies[1]) is second and shared_encoder(copies[2]) is third
    assert shared_encoder(copies[0]) is not first


# --- scikit-learn's tools ----------------------------------------------------------------------------------------


def test_pipeline_with_a_linear_svm(bert, small_table):
    classifier = Pipeline([("bert", bert), ("svm", LinearSVC(class_weight="balanced"))])
    classifier.fit(small_table.text, small_table.intent)
    assert classifier.predict(["play my song", "will it rain", "book a table"]).tolist() == [
        "music",
        "weather",
        "table",
    ]
    assert classifier[:-1].get_feature_names_out()[:2].tolist() == ["berttransformer0", "berttransformer1"]
    assert len(classifier[:-1].get_feature_names_out()) == H


def test_feature_union_with_tf_idf(bert, small_table):
    tf_idf = Pipeline([("count", CountVectorizer()), ("tf_idf", TfidfTransformer())])
    union = FeatureUnion([("bert", bert), ("tf_idf", tf_idf)])
    table = union.fit_transform(small_table.text)
    names = union.get_feature_names_out()
    assert table.shape == (len(small_table), len(names))
    assert names[0] == "bert__berttransformer0" and names[-1].startswith("tf_idf__")
    np.testing.assert_allclose(table.toarray()[:, :H], bert.transform(small_table.text), atol=1e-6)
    classifier = make_pipeline(union, LinearSVC()).fit(small_table.text, small_table.intent)
    assert classifier.score(small_table.text, small_table.intent) > 0.95


def test_grid_search_over_pooling(bert, small_table, computed):
    pipeline = Pipeline([("bert", bert), ("svm", LinearSVC())])
    grid = {"bert__pooling": ["cls", "mean", "concat_last_four"], "bert__layer": [-1], "svm__C": [0.1, 1]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(small_table.text, small_table.intent)
    assert search.best_score_ > 0.6
    assert search.best_params_["bert__pooling"] in grid["bert__pooling"]
    assert sum(computed) == 3 * small_table.text.nunique()


def test_calibrated_probabilities(bert, small_table):
    classifier = CalibratedClassifierCV(make_pipeline(bert, LinearSVC()), cv=3)
    classifier.fit(small_table.text, small_table.intent)
    probabilities = classifier.predict_proba(["play my song", "will it rain"])
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_numbers_and_texts_of_numpy_as_a_grid_gives_them(bert, small_table, tmp_path):
    pipeline = make_pipeline(bert.set_params(pooling="flatten", memory=tmp_path), LinearSVC())
    grid = {
        "berttransformer__max_seq_len": np.array([8, 12]),
        "berttransformer__layer": np.array([-1]),
        "berttransformer__batch_size": np.array([16]),
        "berttransformer__normalize": np.array([True]),
        "berttransformer__do_lower_case": np.array([True]),
        "berttransformer__pooling": np.array(["flatten"]),
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(small_table.text, small_table.intent)
    copy = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(copy.predict(TEXTS), search.predict(TEXTS))


def test_pandas_output(bert):
    frame = bert.set_output(transform="pandas").fit_transform(TEXTS)
    assert list(frame.columns[:2]) == ["berttransformer0", "berttransformer1"]
    assert frame.shape == (len(TEXTS), H)


def test_it_pickles_as_its_parameters(bert, small_table, tmp_path):
    classifier = make_pipeline(bert, LinearSVC()).fit(small_table.text, small_table.intent)
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    assert len(pickle.dumps(bert)) < 1000
    assert b"keras" not in pickle.dumps(bert)
    copy = joblib.load(tmp_path / "classifier.joblib")
    np.testing.assert_array_equal(copy.predict(small_table.text), classifier.predict(small_table.text))
    assert copy[0].get_params() == bert.get_params()
    assert copy[0].n_features_out_ == H


def test_clone_get_and_set_params():
    settings = {
        "checkpoint": "bert", "pooling": "max", "layer": 2, "max_seq_len": 20, "batch_size": 7, "normalize": True,
        "memory": "vectors", "do_lower_case": False, "verbose": 1,
    }  # fmt: skip
    bert = BertTransformer(**settings)
    assert bert.get_params() == clone(bert).get_params() == settings
    assert BertTransformer().get_params() | settings == settings
    with pytest.raises(ValueError, match="Invalid parameter 'pool'"):
        bert.set_params(pool="cls")
    tags = bert.__sklearn_tags__()
    assert (tags.input_tags.string, tags.input_tags.two_d_array, tags.requires_fit) == (True, False, False)


def test_transform_needs_no_fit_and_names_do(bert):
    assert bert.transform(TEXTS).shape == (len(TEXTS), H)
    with pytest.raises(NotFittedError, match="This BertTransformer instance is not fitted yet"):
        bert.get_feature_names_out()


class BertOfNumbers(NumbersAsText, BertTransformer):
    """Left out, by a tag of BertTransformer: ``check_estimators_unfitted`` (``requires_fit``); it needs no ``fit``."""

    def __init__(self, checkpoint: Any = None, *, max_seq_len: int = LENGTH) -> None:
        super().__init__(checkpoint, max_seq_len=max_seq_len)


def test_scikit_learns_estimator_checks(tiny_checkpoint):
    assert "check_estimators_unfitted" not in passed_checks(BertOfNumbers(str(tiny_checkpoint)))


@pytest.mark.parametrize("check", CHECKS_OF_THE_CLASS, ids=lambda check: check.__name__)
def test_checks_of_the_class_itself(check):
    check("BertTransformer", BertTransformer())


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("play", r"^expected a list of texts, got a single string: put it in a list$"),
        (7, r"^expected a list of texts, got int$"),
        (["play", None], r"^expected texts, found None in row 1 \(counted from 0\): fill it in or drop the row$"),
        (pd.Series(["a", "b", np.nan], index=[5, 6, 7], dtype=object), r"^expected texts, found nan in row 2 \("),
        (pd.Series(["a", None], dtype="string"), r"^expected texts, found <NA> in row 1 \("),
        ([b"play"], r"^expected texts, found b'play' in row 0 \("),
        (np.array([["a"], ["b"]]), r"^expected one column of texts, got ndarray of shape \(2, 1\): choose a column$"),
        (pd.DataFrame({"text": ["a"]}), r"^expected one column of texts, got DataFrame of shape \(1, 1\): choose a c"),
    ],
    ids=["string", "number", "none", "nan", "na", "bytes", "matrix", "frame"],
)
def test_what_is_no_list_of_texts(bert, texts, message):
    for ask in (bert.fit, bert.transform, bert.fit_transform):
        with pytest.raises(DataError, match=message):
            ask(texts)


def test_a_bare_string_is_an_error_for_tf_idf_too():
    with pytest.raises(ValueError):
        TfidfVectorizer().fit("play")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"pooling": "first"},
            r"^unknown pooling 'first': expected one of cls, mean, max, sum_last_four, mean_last_four, "
            r"concat_last_four, pooler, flatten, or a function$",
        ),
        ({"pooling": None}, r"^unknown pooling None: "),
        ({"max_seq_len": 49}, r"^max_seq_len must be 3 to 48 tokens for this checkpoint, not 49$"),
        ({"max_seq_len": 2}, r"^max_seq_len must be 3 to 48 tokens for this checkpoint, not 2$"),
        ({"max_seq_len": 12.5}, r"^max_seq_len must be a whole number, not 12.5$"),
        ({"layer": 4}, r"^the encoder has 4 layers: layer must be 0 to 3, or -4 to -1, not 4$"),
        ({"layer": "last"}, r"^layer must be a whole number, not 'last'$"),
        (
            {"layer": 1, "pooling": "sum_last_four"},
            r"^pooling 'sum_last_four' needs four layers, but layer=1 of this checkpoint's 4 has 1 below it$",
        ),
        ({"batch_size": 0}, r"^batch_size must be at least 1, not 0$"),
        ({"memory": 7}, r"^memory must be a folder or None, not int$"),
        ({"checkpoint": "all-MiniLM"}, r"all-MiniLM-L6-v2"),
        ({"checkpoint": 7}, r"^expected a known checkpoint's name or a path, got int$"),
        (
            {"pooling": lambda states, pooled: states},
            r"^the pooling function must take one argument, the pair \(last_hidden_state, pooled_output\)$",
        ),
        ({"pooling": lambda x: ["a"]}, r"^the pooling function gave list: expected an array of numbers$"),
        (
            {"pooling": lambda x: x[0]},
            r"^the pooling function gave shape \(1, 2, 32\) for hidden states of shape \(1, 2, 32\): "
            r"expected \(1, features\)$",
        ),
    ],
)
def test_settings_that_can_t_be(bert, settings, message):
    bert.set_params(**settings)
    for ask in (bert.fit, bert.transform):
        with pytest.raises(SettingsError, match=message):
            ask(TEXTS)


def test_a_default_above_the_positions_is_lowered(tiny_checkpoint, tmp_path, caplog):
    bert = BertTransformer(shutil.copytree(tiny_checkpoint, tmp_path / "uncased_copy"), pooling="flatten")
    with caplog.at_level("INFO", "intent_bert"):
        for _ in range(2):
            assert bert.fit_transform(TEXTS).shape == (len(TEXTS), 48 * H)
    assert caplog.messages == ["max_seq_len is 48, for the checkpoint has no more positions (the default is 60)"]


def test_a_function_whose_width_follows_the_sentence(bert):
    bert.set_params(pooling=lambda x: x[0].reshape(len(x[0]), -1))
    with pytest.raises(
        SettingsError, match=r"gave shape \(1, 128\) for hidden states of shape \(1, 4, 32\): expected \(1, 64\)$"
    ):
        bert.fit(TEXTS[:1]).transform(TEXTS[:1])
    bert.set_params(pooling=lambda x: x[0][:1, 0])
    with pytest.raises(
        SettingsError, match=r"gave shape \(1, 32\) for hidden states of shape \(2, 3, 32\): expected \(2, 32\)$"
    ):
        bert.transform(["play", "music"])


def test_a_checkpoint_without_a_pooler(tiny_checkpoint, tmp_path):
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "uncased_bare")
    arrays = {name: array for name, array in tiny_weights().items() if "pooler" not in name}
    write_stock_weights(arrays, folder / CHECKPOINT_PREFIX)
    bert = BertTransformer(folder, max_seq_len=LENGTH, pooling="pooler")
    with pytest.raises(
        SettingsError, match=r"^pooling 'pooler' needs the checkpoint's own pooler, but .* has none: ch"
    ):
        bert.fit(TEXTS)
    given = []
    bert.set_params(pooling=lambda x: (given.append(x[1]), x[0][:, 0])[1]).transform(TEXTS)
    assert set(given) == {None}


def test_cut_sentences_are_counted_and_told_once(tiny_checkpoint, tmp_path, caplog):
    bert = BertTransformer(shutil.copytree(tiny_checkpoint, tmp_path / "uncased_copy"), max_seq_len=5)
    for _ in range(2):
        bert.fit(TEXTS)
        clone(bert).transform(TEXTS)
    assert caplog.messages == ["2 of 6 sentences cut to max_seq_len=5 tokens (said once)"]
    np.testing.assert_allclose(bert.transform(TEXTS)[1], bert.transform(["will it rain"])[0], atol=1e-5)


def test_memory_that_can_t_be_kept(bert, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="memory can't be kept in"):
        bert.set_params(memory=tmp_path / "file").transform(TEXTS)


# --- the tuned encoder -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_features_of_a_model_folder(trained, quick_checkpoint):
    folder = Path(trained.folder)
    tuned = BertTransformer(folder, max_seq_len=LENGTH, pooling="cls")
    rows = tuned.fit_transform(TEXTS)
    model = load_artifact(folder).model
    ids, _ = FullTokenizer(folder / "vocab.txt").encode(TEXTS, LENGTH)
    np.testing.assert_allclose(rows, model.get_layer("bert")(pad(ids))[:, 0], atol=1e-5)
    assert np.abs(rows - clone(tuned).set_params(checkpoint=quick_checkpoint).transform(TEXTS)).max() > 1e-3
    with pytest.raises(SettingsError, match=r"^pooling 'pooler' needs the checkpoint's own pooler, but .* has none"):
        clone(tuned).set_params(pooling="pooler").transform(TEXTS)
    with pytest.raises(CheckpointError, match="do_lower_case=False contradicts"):
        clone(tuned).set_params(do_lower_case=False).transform(TEXTS)


def test_a_damaged_model_folder_is_told(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"format_version": 1}))
    with pytest.raises(ModelFolderError, match="is damaged"):
        BertTransformer(tmp_path).fit(TEXTS)


# --- against others, on real weights and sentences ---------------------------------------------------------------


@pytest.mark.real_weights
@pytest.mark.slow
def test_snips_vectors_are_those_of_hugging_face_and_sentence_transformers(real_checkpoint, real_data):
    """As scripts/make_feature_reference.py wrote them; see there for which numbers are kept."""
    reference = np.load(Path(__file__).parents[1] / "references" / "feature_vectors.npz")
    with (real_data / "snips" / "test.csv").open(encoding="utf-8", newline="") as rows:
        texts = [row["text"] for row in csv.DictReader(rows)]
    assert len(texts) == len(reference["sentence"]) == 700
    bert = BertTransformer(real_checkpoint)
    embeddings = clone(bert).set_params(normalize=True).transform(texts)
    np.testing.assert_allclose(kept(embeddings, reference["sentence"]), reference["sentence"], atol=1e-4)
    pooled = clone(bert).set_params(pooling="pooler").transform(texts)
    np.testing.assert_allclose(kept(pooled, reference["pooler"]), reference["pooler"], atol=1e-4)
    for layer in range(6):
        tokens = clone(bert).set_params(pooling="flatten", layer=layer).transform(texts).reshape(700, 60, 384)
        ours = tokens[np.arange(700), reference["place"]]
        theirs = reference["hidden"][:, layer]
        np.testing.assert_allclose(kept(ours, theirs), theirs, atol=1e-4)


def kept(table: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The features that the script keeps of each row (S, H): evenly spaced, starting one further in every row."""
    number, width = like.shape[-1], table.shape[-1]
    columns = np.arange(number) * (width // number)
    return np.stack([row[(place + columns) % width] for place, row in enumerate(table)])


@pytest.mark.real_weights
@pytest.mark.slow
def test_a_linear_svm_on_real_features_recognises_snips(real_checkpoint, real_data):
    train, test = (pd.read_csv(real_data / "snips" / f"{name}.csv") for name in ("train", "test"))
    train = train.groupby("intent").head(30)
    classifier = make_pipeline(BertTransformer(real_checkpoint), LinearSVC(class_weight="balanced"))
    assert classifier.fit(train.text, train.intent).score(test.text, test.intent) > 0.9
