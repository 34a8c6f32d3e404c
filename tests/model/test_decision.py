"""What outputs mean: probabilities worked by hand, texts without a word, and the same prediction on every road."""

import json

import numpy as np
import pandas as pd
import pytest

from intent_bert import Answer, IntentClassifier, IntentPredictor
from intent_bert.cli import main
from intent_bert.errors import ModelFolderError, SettingsError
from intent_bert.model.calibration import Calibration
from intent_bert.model.decision import NO_INTENT, Decision, is_wordless, rankings, softmax
from intent_bert.model.outputs import Outputs

WORDLESS = ["", "   ", "\t\n", "\u200b"]


def test_probabilities_by_hand():
    logits = np.log(np.array([[1, 2, 5], [3, 1, 1]], "float32")) + 700  # too large for a plain exponential
    expected = [[0.125, 0.25, 0.625], [0.6, 0.2, 0.2]]
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-4)
    assert softmax(logits).dtype == np.float32
    assert softmax(np.empty((0, 3), "float32")).shape == (0, 3)


def test_a_text_without_a_word_has_no_intent_whatever_the_logits():
    nothing = np.empty((2, 0), "float32")
    outputs = Outputs(np.array([[9, 0, 0], [9, 0, 0]], "float32"), nothing, nothing)
    found = Decision().predictions(outputs, is_wordless([[101, 102], [101, 7, 102]]))
    assert found.numbers.tolist() == [NO_INTENT, 0]
    np.testing.assert_allclose(found.probabilities[0], 1 / 3, rtol=1e-6)
    assert [[answer.intent for answer in each] for each in rankings(found, "abc", 2)] == [[], ["a", "b"]]
    assert [[answer.intent for answer in each] for each in rankings(found, "abc", 1)] == [[], ["a"]]


def test_a_temperature_changes_probabilities_and_no_prediction():
    rng, nothing = np.random.default_rng(0), np.empty((200, 0), "float32")
    outputs, wordless = Outputs(rng.normal(0, 3, (200, 5)).astype("float32"), nothing, nothing), np.zeros(200, bool)
    plain = Decision().predictions(outputs, wordless)
    for temperature in (0.3, 1.0, 2.5):
        found = Decision(Calibration(temperature, 100, "validation")).predictions(outputs, wordless)
        np.testing.assert_array_equal(found.numbers, plain.numbers)
        np.testing.assert_array_equal(found.probabilities.argmax(axis=1), plain.numbers)
        np.testing.assert_allclose(found.probabilities, softmax(outputs.logits / temperature), atol=1e-6)


def test_it_is_written_and_read_and_refuses_what_it_does_not_know():
    for decision in (Decision(), Decision(Calibration(1.5, 420, "validation"))):
        assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision
    assert Decision.from_dict({"scores": "softmax"}) == Decision()
    for values in ({"scores": "sigmoid"}, {"scores": "softmax", "votes": 1}):
        with pytest.raises(ModelFolderError, match="in a way that this version does not know"):
            Decision.from_dict(values)
    with pytest.raises(ModelFolderError, match="calibration can't be read"):
        Decision.from_dict({"scores": "softmax", "calibration": {"heat": 1}})


def test_without_a_threshold_nobody_can_be_rejected():
    with pytest.raises(SettingsError) as error:
        Decision().check_threshold()
    assert str(error.value) == (
        "the model can't tell which sentences are in scope: intent-bert calibrate MODEL_DIR TABLE, with labelled "
        "sentences that training has not seen, adds what it needs"
    )


# --- the four roads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_wordless_texts_on_the_predictors_roads(trained, engine):
    predictor = IntentPredictor.load(trained.folder, engine=engine)
    assert predictor.predict(WORDLESS) == [Answer(None, 0.0)] * 4
    assert predictor.predict(WORDLESS, top_k=2) == [[]] * 4
    np.testing.assert_allclose(predictor.predict_proba(WORDLESS), 1 / 3, rtol=1e-6)


def test_wordless_texts_in_the_classifier(trained):
    classifier = IntentClassifier.load(trained.folder)
    labels = classifier.predict([*WORDLESS, "play music"])
    assert labels.tolist() == [None] * 4 + ["music"]
    np.testing.assert_allclose(classifier.predict_proba(WORDLESS), 1 / 3, rtol=1e-6)
    assert classifier.score(["", "play music"], ["music", "music"]) == 0.5


def test_wordless_texts_in_evaluate_and_in_files(trained, tmp_path, capsys):
    rows = pd.DataFrame({"text": ["\u200b", "play music"], "intent": ["music", "music"]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert main(["evaluate", str(trained.folder), str(tmp_path / "rows.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == 0.5
    assert found["per_intent"]["music"]["recall"] == 0.5
    assert main(["predict", str(trained.folder), "--input", str(tmp_path / "rows.csv"), "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["intent"], first["confidence"], first["intent_ranking"]) == (None, 0.0, [])
    assert second["intent"] == "music"
