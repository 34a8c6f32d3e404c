"""What a trained model answers, whatever it is asked."""

import copy
import json
import logging
import pickle
import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from intent_bert.errors import DataError, IntentBertError, ModelFolderError, SettingsError
from intent_bert.inference import predictor as prediction
from intent_bert.inference.engines import OnnxEngine
from intent_bert.inference.predictor import Answer, IntentPredictor
from intent_bert.model.folder import ModelFolder, write_config

TEXTS = ["play my song", "will it rain tomorrow", "book a table for me please", "rain", "a", "play music at noon"]


@pytest.fixture(scope="module")
def predictor(trained) -> IntentPredictor:
    return IntentPredictor.load(trained.folder)


def test_training_leaves_a_folder_that_answers_on_onnx_runtime_as_on_keras(trained, predictor):
    assert predictor.engine == "onnx"
    keras = IntentPredictor.load(trained.folder, engine="keras")
    assert keras.engine == "keras"
    np.testing.assert_allclose(predictor.predict_proba(TEXTS), keras.predict_proba(TEXTS), atol=1e-5)
    with pytest.raises(
        SettingsError, match=r"^unknown engine 'torch': expected one of auto, onnx, onnx-int8, openvino, keras$"
    ):
        IntentPredictor.load(trained.folder, engine="torch")


def test_answers_come_in_order_with_intent_and_probability(predictor):
    answers = predictor.predict(["play my song", "will it rain", "book a table"])
    assert [answer.intent for answer in answers] == ["music", "weather", "table"]
    assert all(0.5 < answer.confidence <= 1 for answer in answers)
    assert answers[0] == Answer("music", answers[0].confidence)
    probabilities = predictor.predict_proba(["play my song", "will it rain", "book a table"])
    assert probabilities.shape == (3, 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert probabilities.max(axis=1).tolist() == [answer.confidence for answer in answers]
    assert predictor.classes == ["music", "table", "weather"]


def test_batches_and_company_change_no_answer(trained, predictor):
    expected = np.concatenate([predictor.predict_proba([text]) for text in TEXTS])
    for batch_size in (1, 2, 64):
        asked = IntentPredictor.load(trained.folder, batch_size=batch_size, engine="keras").predict_proba(TEXTS * 3)
        np.testing.assert_allclose(asked, np.tile(expected, (3, 1)), atol=1e-5)
    np.testing.assert_allclose(predictor.predict_proba(TEXTS * 3), np.tile(expected, (3, 1)), atol=1e-6)


def test_chunks_keep_the_order_and_the_position_of_a_mistake(predictor, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 4)
    expected = predictor.predict_proba(TEXTS)
    many = [text for _ in range(3) for text in TEXTS]
    np.testing.assert_allclose(predictor.predict_proba(iter(many)), np.tile(expected, (3, 1)), atol=1e-5)
    assert [answer.intent for answer in predictor.predict(many)[:6]] == [a.intent for a in predictor.predict(TEXTS)]
    with pytest.raises(DataError, match=r"^expected texts, found None at position 9$"):
        predictor.predict([*TEXTS, "b", "c", "d", None])
    with pytest.raises(DataError, match=r"^expected texts, found 5 at position 0$"):
        predictor.predict_proba([5])


def test_an_endless_source_is_read_a_chunk_at_a_time(predictor, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 4)
    taken = []

    def source() -> Iterator[str]:
        for text in TEXTS:
            taken.append(text)
            yield text
        raise RuntimeError("end of the line")

    seen = []
    predictions = predictor.predictions
    monkeypatch.setattr(
        predictor, "predictions", lambda chunk, scope: seen.append(len(taken)) or predictions(chunk, scope)
    )
    with pytest.raises(RuntimeError, match="end of the line"):
        predictor.predict(source())
    assert seen == [4]


def test_top_k_ranks_the_likeliest_first(predictor):
    (ranking,) = predictor.predict(["play my song"], top_k=2)
    probabilities = predictor.predict_proba(["play my song"])[0]
    assert len(ranking) == 2
    assert [answer.confidence for answer in ranking] == sorted(probabilities.tolist(), reverse=True)[:2]
    assert ranking[0] == predictor.predict_one("play my song")
    assert {answer.intent for answer in predictor.predict(["play"], top_k=99)[0]} == set(predictor.classes)
    for top_k in (0, -1):
        with pytest.raises(SettingsError, match=f"^top_k must be at least 1, not {top_k}$"):
            predictor.predict(["play"], top_k=top_k)
    for top_k in (1.5, "2", True):
        with pytest.raises(SettingsError, match=f"^top_k must be a whole number, not {top_k!r}$"):
            predictor.predict(["play"], top_k=top_k)
    assert predictor.predict(["play"], top_k=np.int64(2)) == predictor.predict(["play"], top_k=2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"threads": "x"}, "threads must be a whole number, not 'x'"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"folder": None}, "expected the path of a model folder, got NoneType"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_told_when_the_model_is_loaded(trained, arguments, expected):
    with pytest.raises(IntentBertError) as caught:
        IntentPredictor.load(**{"folder": trained.folder, **arguments})
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b\u0000", " " * 5000])
def test_a_text_without_a_word_has_no_intent(predictor, text):
    assert predictor.predict_one(text) == Answer(None, 0.0)
    assert predictor.predict([text, "play my song"])[1].intent == "music"
    assert predictor.predict([text], top_k=3) == [[]]
    np.testing.assert_allclose(predictor.predict_proba([text]), 1 / 3)


def test_words_behind_much_white_space_are_answered(predictor):
    assert predictor.predict_one(" " * 1500 + "play my song") == pytest.approx(predictor.predict_one("play my song"))


def test_emoji_long_and_odd_texts_get_an_answer(predictor, caplog):
    texts = ["🎵🎶", "spiel Musik, 播放音乐", "play my song " * 800, "x" * 10_000, "\ud83d alone"]
    predictor._warned_of_cut = False  # it is shared with other tests
    with caplog.at_level(logging.WARNING, "intent_bert"):
        answers = predictor.predict(texts)
        predictor.predict(texts)
    assert all(answer.intent in predictor.classes for answer in answers)
    assert answers[2].intent == "music"
    assert caplog.messages == ["of a text longer than 32 tokens the beginning counts (this warning comes once)"]
    np.testing.assert_allclose(
        predictor.predict_proba(["play my song " * 800]), predictor.predict_proba(["play my song " * 20]), atol=1e-6
    )


def test_a_bare_string_is_one_text_and_no_texts_are_no_answers(predictor):
    assert predictor.predict("play my song") == predictor.predict(["play my song"])
    assert predictor.predict_proba("play my song").shape == (1, 3)
    assert predictor.predict([]) == []
    assert predictor.predict([], top_k=2) == []
    assert predictor.predict_proba([]).shape == (0, 3)
    assert predictor.predict_proba(()).dtype == np.float32


def test_predict_one_takes_one_text(predictor):
    for texts, name in ((["play"], "list"), (None, "NoneType")):
        with pytest.raises(DataError, match=f"^predict_one takes one text, not {name}: use predict for several$"):
            predictor.predict_one(texts)


@pytest.mark.parametrize("classes", [["music", "table"], ["music", "table", "weather", "more"]])
@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_labels_that_are_not_as_many_as_the_outputs_are_damage(trained, tmp_path, engine, classes):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    (folder / "labels.json").write_text(json.dumps(classes))
    write_config(folder, ModelFolder(folder).config, ["labels.json"])
    with pytest.raises(ModelFolderError) as caught:
        IntentPredictor.load(folder, engine=engine)
    assert str(caught.value).startswith(f"{folder} is damaged: ")
    if engine == "onnx":
        assert str(caught.value) == (
            f"{folder} is damaged: labels.json names {len(classes)} intents, and model.onnx knows 3; copy the whole "
            "folder again"
        )


def test_what_is_no_text_and_no_list_of_texts_is_told(predictor):
    for texts, name in ((None, "NoneType"), (5, "int"), (b"play", "bytes"), ({"play": 1}, "dict")):
        with pytest.raises(DataError, match=f"^expected a text or a list of texts, got {name}$"):
            predictor.predict(texts)


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_it_pickles_as_its_folder(trained, tmp_path, engine, monkeypatch):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    predictor = IntentPredictor.load("model", engine=engine, threads=2)
    content = pickle.dumps(predictor)
    assert len(content) < 1000
    monkeypatch.chdir("/")
    for again in (pickle.loads(content), copy.deepcopy(predictor)):
        assert again.engine == engine
        assert again.predict(TEXTS) == predictor.predict(TEXTS)
    shutil.rmtree(folder)
    with pytest.raises(ModelFolderError, match=f"^no such model folder: {folder}$"):
        pickle.loads(content)


def test_a_pickle_is_the_model_that_was_pickled_or_none(trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    content = pickle.dumps(IntentPredictor.load(folder, engine="onnx"))
    config = ModelFolder(folder).config
    write_config(folder, {**config, "settings": {**config["settings"], "seed": 99}}, [])
    with pytest.raises(ModelFolderError) as caught:
        pickle.loads(content)
    assert str(caught.value) == f"{folder} has changed since the predictor was pickled: load it anew"


def test_a_predictor_that_was_not_loaded_cannot_be_pickled(trained):
    predictor = IntentPredictor(ModelFolder(trained.folder), OnnxEngine(trained.folder / "model.onnx"))
    with pytest.raises(SettingsError) as caught:
        pickle.dumps(predictor)
    assert str(caught.value) == (
        "only a predictor from IntentPredictor.load(folder) can be pickled: save the model and load it"
    )
