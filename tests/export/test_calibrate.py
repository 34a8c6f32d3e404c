"""A saved model's decision found anew: the threshold moves and the weights stay; older folders get what they lack."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from intent_bert import FullTokenizer, IntentPredictor, read_table
from intent_bert.cli import main
from intent_bert.errors import DataError, SettingsError
from intent_bert.export.calibrate import calibrate
from intent_bert.model.folder import SCOPE_FILE, WEIGHTS_FILE, ModelFolder, file_sha256
from intent_bert.model.scope import WEIGHTS

FORMAT_1 = Path(__file__).parents[1] / "references" / "model_folder_format_1"


@pytest.fixture
def folder(trained, tmp_path):
    return Path(shutil.copytree(trained.folder, tmp_path / "model"))


@pytest.fixture
def table(small_table):
    return read_table(pd.concat([small_table] * 3, ignore_index=True))


def with_unknown(table: pd.DataFrame, number: int = 20) -> pd.DataFrame:
    rows = pd.DataFrame({"text": [f"zzz {'xyz' * (n % 4 + 1)}" for n in range(number)], "intent": "none"})
    return read_table(pd.concat([table, rows], ignore_index=True))


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_the_threshold_moves_with_the_share_and_the_weights_stay(folder, table, engine):
    before = {name: file_sha256(folder / name) for name in (WEIGHTS_FILE, "model.onnx", "labels.json", "metrics.json")}
    values = []
    for share in (0.95, 0.5):
        report = calibrate(folder, table, share, engine=engine)
        values.append(report.after.threshold)
        predictor = IntentPredictor.load(folder, engine=engine)
        accepted = predictor.in_scope(list(table.text)).mean()
        assert accepted >= share and (share == 0.95 or accepted < 0.95)
        assert predictor.decision.threshold == report.after.threshold
        assert (report.known, report.unknown) == (len(table), 0)
    assert values[0] < values[1]
    assert {name: file_sha256(folder / name) for name in before} == before
    assert ModelFolder(folder).decision.calibration.source == "the DataFrame"


def test_a_sentence_is_tokenized_once(folder, table, monkeypatch):
    seen: list[str] = []
    encode = FullTokenizer.encode

    def counted(self, texts, max_seq_len):
        seen.extend(texts)
        return encode(self, texts, max_seq_len)

    monkeypatch.setattr(FullTokenizer, "encode", counted)
    calibrate(folder, table, engine="onnx")
    assert sorted(seen) == sorted(table.text)


def test_a_sentence_without_a_word_does_not_calibrate(folder, table):
    rows = pd.concat([table, pd.DataFrame({"text": ["\u200b", "\u200b"], "intent": ["music", "table"]})])
    assert calibrate(folder, rows).after.calibration.rows == len(table)


def test_unknown_sentences_choose_the_threshold(folder, table):
    report = calibrate(folder, with_unknown(table), unknown_label="none")
    predictor = IntentPredictor.load(folder)
    assert (report.known, report.unknown) == (len(table), 20)
    assert predictor.in_scope(list(table.text)).mean() > 0.9
    assert predictor.in_scope(["zzz xyz", "zzz xyzxyz"]).tolist() == [False, False]
    answers = predictor.predict(["zzz xyz", table.text[0]], reject=True)
    assert [answer.intent is None for answer in answers] == [True, False] and answers[0].confidence > 0


def test_a_folder_of_an_earlier_version_gets_what_it_lacks(tmp_path, table, capsys):
    old = Path(shutil.copytree(FORMAT_1, tmp_path / "old"))
    labels = json.loads((old / "labels.json").read_text())
    known = table.assign(intent=[labels[hash(intent) % 3] for intent in table.intent])
    texts = list(known.text)
    before = IntentPredictor.load(old).predict_proba(texts)
    assert main(["predict", str(old), "--reject", "play music"]) == 2
    assert f"intent-bert calibrate {old} TABLE" in capsys.readouterr().err
    report = calibrate(old, known, 0.9)
    assert report.before.scope is None and (old / SCOPE_FILE).exists()
    assert ModelFolder(old).holds("model.onnx")
    for engine in ("onnx", "keras"):
        predictor = IntentPredictor.load(old, engine=engine)
        assert predictor.in_scope(texts).mean() > 0.7
        np.testing.assert_array_equal(predictor.predict_proba(texts).argmax(axis=1), before.argmax(axis=1))


def test_what_can_not_be_used_is_refused_and_nothing_changes(folder, table, several):
    config = (folder / "config.json").read_bytes()
    with pytest.raises(
        DataError, match=r"the DataFrame, row \d+: the model has no intent 'none'; if .*--unknown-label"
    ):
        calibrate(folder, with_unknown(table))
    with pytest.raises(SettingsError, match="no row of the DataFrame has the label 'oos'"):
        calibrate(folder, table, unknown_label="oos")
    with pytest.raises(SettingsError, match="known_acceptance must be above 0 and below 1, not 1"):
        calibrate(folder, table, 1.0)
    with pytest.raises(DataError, match=r"the DataFrame has too few sentences in scope, 5, to set a threshold"):
        calibrate(folder, read_table(table[:5]))
    with pytest.raises(SettingsError, match="is a multi-label model"):
        calibrate(several.folder, table)
    assert (folder / "config.json").read_bytes() == config


def test_few_sentences_move_the_threshold_and_leave_the_temperature(folder, table, caplog):
    temperature = calibrate(folder, table).after.calibration
    report = calibrate(folder, table[:25], 0.8)
    assert report.after.calibration == temperature and report.after.threshold != report.before.threshold
    assert "the temperature stays as it is: 25 held-out sentences are too few, 30 are needed" in caplog.text


def test_the_same_sentences_give_the_same_decision_whatever_was_before(folder, table):
    values = [calibrate(folder, with_unknown(table), unknown_label="none").after for _ in range(2)]
    assert values[0].to_dict() == values[1].to_dict()
    plain = calibrate(folder, table).after
    assert plain.scope.weights == WEIGHTS != values[0].scope.weights


def test_rows_are_unknown_only_where_a_label_is_named(folder, table):
    with pytest.raises(DataError, match="the model has no intent 'None'"):
        calibrate(folder, read_table(pd.concat([table, pd.DataFrame({"text": ["x"], "intent": ["None"]})])))
    with pytest.raises(SettingsError, match="'music' is an intent of the model"):
        calibrate(folder, table, unknown_label="music")


def test_the_card_tells_of_the_new_decision(folder, table):
    assert "Probabilities are not calibrated" in (folder / "README.md").read_text()
    calibrate(folder, table)
    card = (folder / "README.md").read_text()
    assert "Probabilities are not calibrated" not in card and f"from {len(table)} sentences" in card
    assert card.count("## Can it be trusted?") == 1 and "## Ask it" in card and "## How it was made" in card
    (folder / "README.md").write_text("mine")
    calibrate(folder, table)
    assert (folder / "README.md").read_text() == "mine"


@pytest.mark.parametrize("share", ["0.9", None, [0.9], True, float("nan")])
def test_a_share_that_is_none_is_refused(folder, table, share):
    with pytest.raises(SettingsError, match="known_acceptance must be above 0 and below 1"):
        calibrate(folder, table, share)
    assert calibrate(folder, (list(table.text), list(table.intent)), np.float32(0.9)).known == len(table)


def test_the_command_says_what_it_has_changed(folder, table, tmp_path, capsys):
    with_unknown(table).to_csv(tmp_path / "t.csv", index=False)
    command = ["calibrate", str(folder), str(tmp_path / "t.csv")]
    assert main([*command, "--unknown-label", "none"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["before", "now", "from"]
    assert lines[2] == f"from {len(table)} sentences in scope and 20 unknown ones of {tmp_path / 't.csv'}"
    assert main(command) == 2
    assert "say --unknown-label none" in capsys.readouterr().err
