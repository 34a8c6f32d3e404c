"""What a run's own sentences teach: the decision in the folder, the same on every engine, and what is told of it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import QUICK

from intent_bert import IntentClassifier, IntentPredictor, TrainingConfig, train
from intent_bert.cli import main
from intent_bert.export.exports import export_model
from intent_bert.model.folder import ModelFolder
from intent_bert.model.saved import load_artifact
from intent_bert.training import deciding


@pytest.fixture(scope="module")
def tables(small_table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    strange = pd.DataFrame({"text": [f"zzz {'qq' * (n % 5 + 1)} x{n}" for n in range(30)], "intent": "none"})
    pd.concat([small_table, strange[:20]]).to_csv(folder / "train.csv", index=False)
    pd.concat([small_table] * 2).to_csv(folder / "valid.csv", index=False)
    pd.concat([small_table, strange[20:]]).to_csv(folder / "test.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(tables, quick_checkpoint, tmp_path_factory):
    settings = {**QUICK, "data": tables, "checkpoint": quick_checkpoint, "unknown_label": "none"}
    output = tmp_path_factory.mktemp("run") / "model"
    return train(TrainingConfig(**settings, output_dir=output), verbose=0)


def test_unknown_rows_are_not_learnt_and_judge_the_model(run):
    folder = ModelFolder(run.folder)
    assert "none" not in folder.classes
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert list(metrics) == ["train", "validation", "test"]
    found = metrics["test"]["out_of_scope"]
    assert found["unknown"] == 10 and found["auroc"] > 0.9 and found["rejected_unknown"] > 0.8
    assert metrics["test"]["rows"] == found["known"] and not metrics["test"]["unknown_labels"]
    assert folder.decision.scope.threshold.known_acceptance is None  # unknown sentences chose it
    assert folder.decision.calibration.rows == metrics["validation"]["rows"]
    for name in ("reliability", "scope", "coverage"):
        assert (run.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_of_many_training_sentences_a_sample_is_judged(quick_checkpoint, small_table, tmp_path, monkeypatch):
    monkeypatch.setattr(deciding, "MOST_JUDGED", 20)
    small_table.to_csv(tmp_path / "t.csv", index=False)
    settings = {**QUICK, "train_file": tmp_path / "t.csv", "checkpoint": quick_checkpoint, "export": False}
    result = train(TrainingConfig(**settings, output_dir=tmp_path / "m"), verbose=0)
    evaluation = result.evaluations["train"]
    assert evaluation.rows == 20 < len(small_table) - result.evaluations["validation"].rows
    table = small_table[small_table.text.isin(evaluation.mistakes.text)]
    predictions = IntentPredictor.load(result.folder, engine="keras").predict(list(evaluation.mistakes.text))
    assert [each.intent for each in predictions] == list(evaluation.mistakes.prediction)
    assert evaluation.accuracy == pytest.approx(1 - len(table) / 20)


def test_a_sketch_of_the_validation_sentences_is_left(run):
    sketch = ModelFolder(run.folder).sketch
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert sketch.rows == metrics["validation"]["rows"]
    assert set(sketch.usual.counts) == {"intents", "confidence", "score", "refused", "length", "unknown words"}
    assert load_artifact(run.folder).sketch.rows == sketch.rows


@pytest.mark.slow
def test_every_engine_and_export_decides_alike(run, tables):
    texts = list(pd.read_csv(tables / "test.csv").text)
    export_model(run.folder, "onnx", "int8")
    predictors = {name: IntentPredictor.load(run.folder, engine=name) for name in ("onnx", "keras", "onnx-int8")}
    scores = {name: each.in_scope_score(texts) for name, each in predictors.items()}
    probabilities = {name: each.predict_proba(texts) for name, each in predictors.items()}
    np.testing.assert_allclose(scores["onnx"], scores["keras"], atol=1e-4)
    np.testing.assert_allclose(probabilities["onnx"], probabilities["keras"], atol=1e-4)
    assert np.mean(predictors["onnx"].in_scope(texts) == predictors["onnx-int8"].in_scope(texts)) > 0.9
    alone = [predictors["onnx"].in_scope_score([text])[0] for text in texts[:5]]
    np.testing.assert_allclose(alone, scores["onnx"][:5], atol=1e-4)


def test_predict_and_evaluate_tell_of_the_scope(run, tables, capsys):
    assert main(["predict", str(run.folder), "--json", "play music", "zzz qqqq x9"]) == 0
    known, unknown = map(json.loads, capsys.readouterr().out.splitlines())
    assert (known["in_scope"], unknown["in_scope"]) == (True, False)
    assert known["in_scope_score"] > unknown["in_scope_score"]
    assert main(["predict", str(run.folder), "--reject", "play music", "zzz qqqq x9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("music ") and lines[1].startswith("- ")
    assert main(["evaluate", str(run.folder), str(tables / "test.csv"), "--unknown-label", "none"]) == 0
    found = json.loads(capsys.readouterr().out)
    stored = json.loads((run.folder / "metrics.json").read_text())["test"]
    assert found["out_of_scope"]["auroc"] == pytest.approx(stored["out_of_scope"]["auroc"], abs=1e-3)
    for label, told in (("nope", "no row of"), ("music", "'music' is an intent of the model")):
        assert main(["evaluate", str(run.folder), str(tables / "test.csv"), "--unknown-label", label]) == 2
        assert told in capsys.readouterr().err
    assert main(["evaluate", str(run.folder), str(tables / "test.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unknown_labels"] == {"none": 10} and found["out_of_scope"]["unknown"] == 10


def test_a_table_of_unknown_sentences_alone_can_not_be_judged(run, tables, tmp_path, capsys):
    table = pd.read_csv(tables / "test.csv")
    table[table.intent == "none"].to_csv(tmp_path / "u.csv", index=False)
    assert main(["evaluate", str(run.folder), str(tmp_path / "u.csv"), "--unknown-label", "none"]) == 2
    assert "u.csv has unknown sentences alone" in capsys.readouterr().err


def test_too_few_held_out_sentences_are_told_and_training_goes_on(quick_checkpoint, small_table, tmp_path, caplog):
    config = TrainingConfig(**QUICK, train_file="-", checkpoint=str(quick_checkpoint), output_dir=str(tmp_path / "m"))
    small_table.to_csv(tmp_path / "t.csv", index=False)
    result = train(replace(config, train_file=str(tmp_path / "t.csv"), epochs=1, export=False), verbose=0)
    told = [message for message in caplog.messages if "too few" in message]
    assert told[0].startswith("probabilities are not calibrated: ") and "30 are needed" in told[0]
    assert told[1].startswith("no threshold for sentences out of scope: ") and "19 are needed" in told[1]
    decision = ModelFolder(result.folder).decision
    assert decision.calibration is None and decision.threshold is None and decision.scope is not None


def test_the_classifier_is_calibrated_on_the_rows_that_it_holds_out(quick_checkpoint, small_table, tmp_path):
    texts, intents = list(small_table.text) * 4, list(small_table.intent) * 4
    texts = [f"{text}{' please' * (row % 4)}" for row, text in enumerate(texts)]
    classifier = IntentClassifier(quick_checkpoint, **QUICK, validation_split=0.5).fit(texts, intents)
    predictor = IntentPredictor.load(classifier.save(tmp_path / "model"))
    np.testing.assert_allclose(predictor.predict_proba(texts), classifier.predict_proba(texts), atol=1e-4)
    assert predictor.decision.calibration.temperature != 1
    assert predictor.in_scope(texts).mean() > 0.5
