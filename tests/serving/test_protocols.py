"""Requests of each protocol, good and bad, and the answers in each one's own shape."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from intent_bert.inference.prediction_file import as_json
from intent_bert.serving.problems import Problem
from intent_bert.serving.protocols.v2 import packed, unpacked

TEXTS = ["play music", "will it rain \u00e9"]


def lines(world: Any, texts: list[str], top_k: int = 1, name: str = "first", reject: bool = False) -> list[str]:
    """What ``predict --json`` prints."""
    predictor = world.predictors[name]
    return [as_json(*each) for each in zip(texts, predictor.described(texts, top_k, reject), strict=True)]


# --- our own -----------------------------------------------------------------------------------------------------


def test_one_text_gives_the_object_that_predict_writes(world):
    answer = world.post("/predict", {"text": TEXTS[1]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == lines(world, TEXTS[1:])[0]


@pytest.mark.parametrize("name", ["texts", "inputs"])
def test_several_texts_give_a_list(world, name):
    answer = world.post("/predict", {name: TEXTS, "top_k": 2})
    assert answer.text == f"[{', '.join(lines(world, TEXTS, 2))}]"
    assert world.post("/predict", {name: []}).json() == []


def test_inputs_may_be_one_text(world):
    assert world.post("/predict", {"inputs": TEXTS[0]}).text == lines(world, TEXTS)[0]


def test_a_ranking_has_at_most_as_many_as_there_are(world):
    assert len(world.post("/predict", {"text": "play", "top_k": 99}).json()["intent_ranking"]) == 3


def test_models_are_chosen_by_address_or_by_name(world):
    second = lines(world, ["play"], name="second")[0]
    assert second != lines(world, ["play"])[0]
    assert world.post("/predict", {"text": "play"}).text == lines(world, ["play"])[0]
    assert world.post("/predict", {"text": "play", "model": "second"}).text == second
    assert world.post("/models/second/predict", {"text": "play"}).text == second
    assert world.post("/models/second/predict", {"text": "play", "model": "second"}).text == second
    assert world.post("/models/second/predict", {"text": "play", "model": "first"}).status_code == 400


def test_reject_names_no_intent_out_of_scope(world):
    texts = [*TEXTS, "play", "song"]
    given = world.post("/predict", {"texts": texts, "reject": True}).json()
    assert given == [json.loads(line) for line in lines(world, texts, reject=True)]
    assert {each["intent"] is None for each in given} == {True, False}
    refusal = world.post("/models/second/predict", {"text": "play", "reject": True})
    assert refusal.status_code == 422
    assert "can't tell which sentences are in scope" in refusal.json()["error"]


def test_texts_of_any_characters_come_back(world):
    texts = ["", " ", "\x00\x1f", "\ud800 alone", "\u2028", "</script>", '"\\', "\U0001f600", "x" * 9999]
    given = world.post("/predict", {"texts": texts})
    assert given.status_code == 200
    assert [each["text"] for each in given.json()] == texts
    assert given.json()[0]["intent"] is None


BAD_BODIES = [
    (b"", 400, "the body is no JSON"),
    (b"{", 400, "the body is no JSON"),
    (b"\xff", 400, "not UTF-8 (byte 0)"),
    (b"[]", 400, "must be a JSON object, not a list"),
    (b"null", 400, "must be a JSON object, not null"),
    (b'{"text": NaN}', 400, "NaN is no JSON"),
    (b'{"top_k": ' + b"9" * 5000 + b"}", 400, "a number that is too long"),
    (b"[" * 100_000, 400, "nested too deeply"),
    ({}, 400, "and neither came"),
    ({"text": "a", "texts": ["a"]}, 400, "and 'text' and 'texts' came"),
    ({"text": ["a"]}, 400, '"text" must be a text, not a list'),
    ({"text": None}, 400, '"text" must be a text, not null'),
    ({"texts": "a"}, 400, "\"texts\" must be a list of texts, not 'a'"),
    ({"texts": ["a", 3]}, 400, 'text 2 of "texts" must be a text, not 3'),
    ({"inputs": 3}, 400, '"inputs" must be a list of texts, not 3'),
    ({"txt": "a"}, 400, "unknown name 'txt': did you mean 'text'?"),
    ({"text": "a", "top_k": 0}, 400, '"top_k" must be a whole number from 1 on, not 0'),
    ({"text": "a", "top_k": True}, 400, '"top_k" must be a whole number from 1 on, not true'),
    ({"text": "a", "reject": 1}, 400, '"reject" must be true or false, not 1'),
    ({"text": "a", "model": "third"}, 404, "no model is called 'third': there are first, second"),
    ({"text": "a", "model": ["first"]}, 404, "no model is called a list"),
    ({"text": "a" * 10_001}, 413, '"text" has 10,001 characters: at most 10,000 are taken'),
    ({"texts": ["a"] * 1001}, 413, '"texts" holds 1,001 texts: at most 1,000 are taken'),
    (b'{"text": "' + b"a" * (1 << 20) + b'"}', 413, "at most 1,048,576 bytes"),
]


@pytest.mark.parametrize(("body", "status", "sentence"), BAD_BODIES)
def test_bad_bodies_are_refused_with_a_sentence(world, body, status, sentence):
    answer = world.post("/predict", body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert sentence in answer.json()["error"]


# --- the words that carried it ------------------------------------------------------------------------------------


def test_explained_words_weigh_what_leaving_them_out_takes(world):
    text = "play  the song!"
    given = world.post("/explain", {"text": text, "top_k": 3}).json()
    predictor = world.predictors["first"]
    (explained,) = given.pop("explanation")
    assert given == json.loads(lines(world, [text], 3)[0])
    assert explained["intent"] == given["intent"]
    words = sorted(explained["words"], key=lambda each: each["start"])
    assert [each["word"] for each in words] == ["play", "the", "song", "!"]
    assert all(text[each["start"] :].startswith(each["word"]) for each in words)
    column = predictor.classes.index(given["intent"])
    without = predictor.predict_proba([text, "  the song!", "play   song!", "play  the !", "play  the song"])[:, column]
    assert np.abs(without[0] - without[1:] - [each["drop"] for each in words]).max() < 1e-5


def test_nothing_is_explained_where_there_is_nothing(world):
    assert world.post("/explain", {"text": " "}).json()["explanation"] == []
    assert world.post("/explain", {"texts": ["a"]}).status_code == 400


def test_words_far_behind_cost_nothing(world):
    passes = world.predictors["first"]._engine.passes
    passes.clear()
    given = world.post("/explain", {"text": "play " * 500}).json()
    assert len(given["explanation"][0]["words"]) == 500
    assert sum(passes) <= 24 + 2  # as many as the model takes tokens


# --- Open Inference Protocol -------------------------------------------------------------------------------------


def tensor(**changed: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": TEXTS, **changed}]}


def test_v2_tells_what_is_there(world):
    assert world.ask("GET", "/v2/health/live").json() == {"live": True}
    assert world.ask("GET", "/v2/health/ready").json() == {"ready": True}
    assert world.ask("GET", "/v2").json()["extensions"] == ["binary_tensor_data"]
    assert world.ask("GET", "/v2/models/first/ready").json() == {"name": "first", "ready": True}
    told = world.ask("GET", "/v2/models/first/versions/1").json()
    assert told["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [(each["name"], each["datatype"]) for each in told["outputs"]] == [
        ("intent", "BYTES"), ("confidence", "FP32"), ("in_scope", "BOOL"),
    ]  # fmt: skip
    second = world.ask("GET", "/v2/models/second").json()
    assert [each["name"] for each in second["outputs"]] == ["intent", "confidence"]  # it can't tell the scope
    for path in ("/v2/models/third", "/v2/models/third/ready", "/v2/models/first/versions/2"):
        assert world.ask("GET", path).status_code == 404


@pytest.mark.parametrize(("shape", "data"), [([2], TEXTS), ([2, 1], [[TEXTS[0]], [TEXTS[1]]]), ([1, 2], TEXTS)])
def test_v2_infers_in_json(world, shape, data):
    given = world.post("/v2/models/first/infer", {**tensor(shape=shape, data=data), "id": "7"}).json()
    expected = world.predictors["first"].described(TEXTS, 1)
    outputs = given.pop("outputs")
    assert given == {"model_name": "first", "model_version": "1", "id": "7"}
    assert all(each["shape"] == shape for each in outputs)
    intents, confidences, scopes = (each["data"] for each in outputs)
    assert intents == [str(each.answer.intent) for each in expected]
    assert np.abs(np.array(confidences) - [each.answer.confidence for each in expected]).max() < 1e-5
    assert scopes == [each.in_scope for each in expected]


def test_v2_infers_in_binary_as_tritonclient_sends_it(world):
    binary = packed(TEXTS)
    asked = {
        "inputs": [{"name": "text", "shape": [2], "datatype": "BYTES"}],
        "parameters": {"binary_data_output": True},
    }
    asked["inputs"][0]["parameters"] = {"binary_data_size": len(binary)}
    head = json.dumps(asked).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = world.post("/v2/models/first/infer", head + binary, headers=headers)
    end = int(answer.headers["inference-header-content-length"])
    outputs, place, tensors = json.loads(answer.content[:end])["outputs"], end, {}
    for each in outputs:
        size = each["parameters"]["binary_data_size"]
        tensors[each["name"]] = answer.content[place : place + size]
        place += size
    assert place == len(answer.content)
    expected = world.predictors["first"].described(TEXTS, 1)
    assert unpacked(tensors["intent"]) == [str(each.answer.intent) for each in expected]
    confidences = np.frombuffer(tensors["confidence"], "<f4")
    assert np.abs(confidences - [each.answer.confidence for each in expected]).max() < 1e-5
    assert np.frombuffer(tensors["in_scope"], "?").tolist() == [each.in_scope for each in expected]


def test_v2_gives_the_outputs_that_are_asked_for(world):
    asked = {**tensor(), "outputs": [{"name": "confidence"}, {"name": "intent", "parameters": {"binary_data": True}}]}
    answer = world.post("/v2/models/first/infer", asked)
    end = int(answer.headers["inference-header-content-length"])
    first, second = json.loads(answer.content[:end])["outputs"]
    assert (first["name"], len(first["data"])) == ("confidence", 2)
    assert (second["name"], "data" in second) == ("intent", False)
    assert len(unpacked(answer.content[end:])) == 2


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, '"inputs" must be a list of one tensor'),
        ({"inputs": []}, '"inputs" must be a list of one tensor'),
        ({"inputs": [1]}, '"inputs" must be a list of one tensor'),
        (tensor(datatype="INT32"), "the datatype \"BYTES\", not 'INT32'"),
        (tensor(shape=2), '"shape" must be a list'),
        (tensor(shape=[]), '"shape" must be a list'),
        (tensor(shape=[-2]), '"shape" must be a list'),
        (tensor(shape=[True]), '"shape" must be a list'),
        (tensor(shape=[10**4000] * 4), '"shape" must be a list'),
        (tensor(shape=[3]), "the shape holds 3 texts, and 2 came"),
        (tensor(shape=[1 << 31] * 5), "at most 1,000 are taken"),
        (tensor(data="a"), '"data" must be a list'),
        (tensor(data=["a", 1]), "text 2 of the tensor must be a text"),
        (tensor(data=[["a"], "b"]), "text 1 of the tensor must be a text, not a list"),
        (tensor(parameters={"binary_data_size": 4}), "the tensor has 4 binary bytes, and 0 came"),
        (tensor(parameters={"binary_data_size": "4"}), '"binary_data_size" of the tensor must be a whole number'),
        (tensor(parameters=[]), '"parameters" of the tensor must be an object'),
        ({**tensor(), "id": 7}, '"id" must be a text'),
        ({**tensor(), "outputs": [{"name": "class"}]}, "no output is called 'class'"),
        ({**tensor(), "outputs": ["intent"]}, '"outputs" must be a list of objects'),
        (
            {**tensor(), "outputs": [{"name": "intent", "parameters": {"classification": 3}}]},
            "classification extension",
        ),
        ({**tensor(), "parameters": {"binary_data_output": 1}}, "must be true or false"),
    ],
)
def test_v2_refuses_bad_tensors(world, asked, sentence):
    answer = world.post("/v2/models/first/infer", asked)
    assert answer.status_code in (400, 413)
    assert sentence in answer.json()["error"]


def test_v2_refuses_a_scope_that_the_model_lacks(world):
    asked = {**tensor(), "outputs": [{"name": "in_scope"}]}
    assert "there are intent, confidence" in world.post("/v2/models/second/infer", asked).json()["error"]


@pytest.mark.parametrize("length", ["-1", "999", "abc", "", "\u0663", "0" * 5000 + "9"])
def test_v2_refuses_a_wrong_length_of_its_json(world, length):
    headers = {"Inference-Header-Content-Length": length.encode()}
    answer = world.post("/v2/models/first/infer", json.dumps(tensor()).encode(), headers=headers)
    assert answer.status_code == 400
    assert "bytes are JSON" in answer.json()["error"]


def test_binary_texts_are_packed_as_they_are_unpacked():
    texts = ["", "a", "\u00e9" * 300]
    assert unpacked(packed(texts)) == texts
    for cut in (b"\x01", b"\x05\x00\x00\x00abc", b"\x01\x00\x00\x00\xff"):
        with pytest.raises(Problem, match="binary tensor is"):
            unpacked(cut)


# --- TensorFlow Serving ------------------------------------------------------------------------------------------


def test_tensorflow_serving(world):
    expected = [json.loads(line) for line in lines(world, TEXTS)]
    coded = {"b64": base64.b64encode(TEXTS[1].encode()).decode()}
    for instances in (TEXTS, [{"text": TEXTS[0]}, TEXTS[1]], [TEXTS[0], coded]):
        assert world.post("/v1/models/first:predict", {"instances": instances}).json() == {"predictions": expected}
    for inputs in (TEXTS, {"text": TEXTS}):
        assert world.post("/v1/models/first:predict", {"inputs": inputs}).json() == {"outputs": expected}
    status = world.ask("GET", "/v1/models/first").json()["model_version_status"][0]
    assert (status["version"], status["state"]) == ("1", "AVAILABLE")
    assert world.post("/v1/models/first/versions/1:predict", {"instances": []}).json() == {"predictions": []}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "one of them"),
        ({"instances": ["a"], "inputs": ["a"]}, "one of them"),
        ({"instances": "a"}, '"instances" must be a list'),
        ({"instances": [1]}, "instance 1 must be a text, not 1"),
        ({"instances": [{}]}, 'must have "text" or "b64"'),
        ({"instances": [{"b64": "?"}]}, "no text in UTF-8 and base64"),
        ({"instances": [{"b64": 3}]}, "no text in UTF-8 and base64"),
        ({"inputs": {"text": 1}}, '"inputs" must be a list of texts'),
        ({"inputs": {"words": ["a"]}}, "unknown name 'words'"),
        ({"instances": ["a"], "signature_name": "other"}, "there is one signature"),
        ({"instances": ["a"] * 1001}, "at most 1,000 are taken"),
    ],
)
def test_tensorflow_serving_refuses(world, asked, sentence):
    answer = world.post("/v1/models/first:predict", asked)
    assert answer.status_code in (400, 413)
    assert sentence in answer.json()["error"]


# --- Rasa --------------------------------------------------------------------------------------------------------


def test_rasa(world):
    given = world.post("/model/parse", {"text": TEXTS[0], "message_id": "b2831e73"}).json()
    (expected,) = world.predictors["first"].described([TEXTS[0]], 10)
    assert given["text"] == TEXTS[0]
    assert given["entities"] == []
    assert given["intent"] == given["intent_ranking"][0]
    assert [each["name"] for each in given["intent_ranking"]] == [str(each.intent) for each in expected.ranking]
    assert given["in_scope"] is expected.in_scope
    assert world.post("/model/parse", {"text": ""}).json()["intent"] == {"name": None, "confidence": 0.0}
    assert world.post("/model/parse", {"text": "a", "model": "second"}).status_code == 200
    assert 'no "text" came' in world.post("/model/parse", {}).json()["error"]
