"""The run from a table to a folder: what it leaves, what it checks first, and what a mistake leaves (nothing)."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import QUICK

from intent_bert import IntentPredictor, TrainingConfig, train
from intent_bert.cli import command_line as cli
from intent_bert.data.datasets import read_tables
from intent_bert.data.splits import with_validation
from intent_bert.errors import CheckpointError, DataError, DiskError, IntentBertError, ModelFolderError, SettingsError
from intent_bert.model.network import create_model
from intent_bert.model.saved import load_artifact
from intent_bert.training import run
from intent_bert.training.fit import compile_model
from intent_bert.training.resume import Progress, UnfinishedRun
from intent_bert.training.tensorboard import TensorBoardLogs


@pytest.fixture
def files(small_table, tmp_path) -> dict[str, str]:
    """A folder with train.csv, valid.csv and test.csv; test has a label that train never had."""
    parts = {"train": small_table.iloc[::2], "valid": small_table.iloc[1::4], "test": small_table.iloc[3::4]}
    folder = tmp_path / "data"
    folder.mkdir()
    new = pd.DataFrame({"text": ["jump", "run"], "intent": ["sport", "sport"]})
    parts["test"] = pd.concat([parts["test"], new])
    for name, table in parts.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return {name: str(folder / f"{name}.csv") for name in parts} | {"data": str(folder)}


def config_of(recipe: str = "default", **settings: Any) -> TrainingConfig:
    return TrainingConfig.from_recipe(recipe, **{**QUICK, **settings})


# --- what a run leaves -------------------------------------------------------------------------------------------


def test_the_folder_holds_what_the_design_promises(trained):
    assert {entry.name for entry in trained.folder.iterdir()} == {
        "README.md", "config.json", "confusion_matrix.csv", "confusion_matrix.png", "history.csv", "labels.json",
        "logs", "metrics.json", "mistakes.csv", "model.onnx", "model.onnx.json", "model.weights.h5",
        "tokenizer_config.json", "vocab.txt", "scope.npz", "scope.png", "coverage.png", "reliability.png",
    }  # fmt: skip
    check = json.loads((trained.folder / "model.onnx.json").read_text())
    assert (check["sentences"], check["sentences_from"], check["changed_predictions"]) == (15, "test of the run", 0)
    assert check["largest_difference"] < 1e-5
    assert json.loads((trained.folder / "labels.json").read_text()) == ["music", "table", "weather"]
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert list(metrics) == ["train", "validation", "test"]
    for name, figures in metrics.items():
        assert figures == json.loads(json.dumps(trained.evaluations[name].to_dict()))
        assert figures["accuracy"] == trained.evaluations[name].accuracy
    assert (metrics["train"]["rows"] + metrics["validation"]["rows"], metrics["test"]["rows"]) == (75, 15)
    supports = [figures["support"] for figures in metrics["validation"]["per_intent"].values()]
    assert supports == [2, 2, 2]  # a tenth of 25 each
    history = pd.read_csv(trained.folder / "history.csv", index_col="epoch")
    pd.testing.assert_frame_equal(history, trained.history)
    assert set(history.columns) == {"loss", "accuracy", "macro_f1", "val_loss", "val_accuracy", "val_macro_f1"}
    confusion = pd.read_csv(trained.folder / "confusion_matrix.csv", index_col="label")
    assert confusion.to_numpy().tolist() == trained.evaluations["test"].confusion.tolist()
    assert (trained.folder / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")
    mistakes = pd.read_csv(trained.folder / "mistakes.csv")
    assert list(mistakes.columns) == ["text", "label", "prediction", "confidence", "runner_up"]
    assert len(mistakes) == round(15 * (1 - metrics["test"]["accuracy"]))


def test_config_and_card_tell_the_facts_of_the_run(trained):
    config = json.loads((trained.folder / "config.json").read_text())
    assert config["settings"] | QUICK == config["settings"]
    assert config["settings"]["interrupted"] is False
    assert config["settings"]["train_seconds"] == round(trained.seconds, 1)
    assert config["encoder"]["num_layers"] == 1
    card = (trained.folder / "README.md").read_text()
    test = trained.evaluations["test"]
    assert f"| test | 15 | {test.accuracy:.4f} | {test.macro_f1:.4f} | {test.loss:.4f} |" in card
    assert "Intents: `music`, `table`, `weather`." in card
    assert "| learning_rate | 0.002 |" in card
    assert "Encoder: 1 layers, hidden size 32, 4 heads." in card


def test_the_saved_model_answers_as_the_figures_say(trained):
    test = pd.read_csv(trained.folder.parent / "test.csv")
    answers = IntentPredictor.load(trained.folder).predict(test["text"])
    right = sum(answer.intent == truth for answer, truth in zip(answers, test["intent"], strict=True))
    assert right / len(test) == pytest.approx(trained.evaluations["test"].accuracy)


@pytest.mark.slow
def test_the_tutorial_recipe_a_folder_of_tables_and_then_an_interrupted_run_in_its_place(
    files, quick_checkpoint, tmp_path, monkeypatch, caplog
):
    output = tmp_path / "new" / "model"
    settings = {"data": files["data"], "checkpoint": str(quick_checkpoint), "max_seq_len": 32}
    config = TrainingConfig.from_recipe("tutorial", **settings, epochs=1, output_dir=str(output))
    first = train(config, verbose=0)
    assert (first.folder, first.interrupted, len(first.history)) == (output, False, 1)
    assert list(first.evaluations) == ["train", "validation", "test"]
    assert first.evaluations["validation"].rows == 23
    assert first.evaluations["test"].unknown_labels == {"sport": 2}
    assert json.loads((output / "metrics.json").read_text())["test"]["unknown_labels"] == {"sport": 2}
    assert "because training never had them: `sport`" in (output / "README.md").read_text()
    assert "test has labels that train never had, counted as mistakes: sport (2)" in caplog.text
    assert json.loads((output / "labels.json").read_text()) == ["music", "table", "weather"]
    (output / "notes.txt").write_text("mine")

    def interrupt(_: Any, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(TensorBoardLogs, "on_epoch_begin", interrupt)
    second = train(config_of(**settings | {"epochs": 3, "output_dir": str(output), "export": False}), verbose=0)
    assert second.interrupted
    assert len(second.history) == 1
    assert json.loads((output / "config.json").read_text())["settings"]["interrupted"] is True
    assert {folder.name for folder in (output / "logs").iterdir()} == {first.log_dir.name, second.log_dir.name}
    assert (output / "notes.txt").read_text() == "mine"
    assert [entry.name for entry in output.parent.iterdir()] == ["model"]
    assert not list(output.glob("model.onnx*"))
    predictor = IntentPredictor.load(output)
    assert (predictor.engine, len(predictor.predict(["play music"]))) == ("keras", 1)


# --- tables ------------------------------------------------------------------------------------------------------


def test_tables_come_from_a_folder_or_from_files(files):
    from_folder = read_tables(TrainingConfig(data=files["data"]))
    from_files = read_tables(
        TrainingConfig(train_file=files["train"], validation_file=files["valid"], test_file=files["test"])
    )
    assert list(from_folder) == list(from_files) == ["train", "validation", "test"]
    for name, table in from_folder.items():
        pd.testing.assert_frame_equal(table, from_files[name])
    replaced = read_tables(TrainingConfig(data=files["data"], test_file=files["valid"]))
    pd.testing.assert_frame_equal(replaced["test"], from_folder["validation"])


def test_validation_is_split_off_when_there_is_none(files):
    config = TrainingConfig(train_file=files["train"], validation_split=0.2, seed=3)
    tables = with_validation(read_tables(config), config)
    assert tables["validation"]["intent"].value_counts().to_dict() == {"music": 3, "weather": 3, "table": 3}
    assert len(tables["train"]) == 36
    again = with_validation(read_tables(config), config)
    pd.testing.assert_frame_equal(tables["validation"], again["validation"])
    config.validation_split = 0
    assert list(with_validation(read_tables(config), config)) == ["train"]


def test_strict_makes_warnings_errors(files):
    with pytest.raises(DataError, match=r"never had, counted as mistakes: sport \(2\) \(an error because of --strict"):
        read_tables(TrainingConfig(data=files["data"], strict=True))


def test_what_to_train_on_must_be_said_once(files):
    for settings in ({}, {"data": files["data"], "train_file": files["train"]}):
        with pytest.raises(
            SettingsError, match=r"^say what to train on: either --data NAME or --train-file FILE, and not both$"
        ):
            read_tables(TrainingConfig(**settings))


# --- mistakes leave nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        ({"max_seq_len": 49}, SettingsError, "max_seq_len must be 3 to 48 tokens for this checkpoint, not 49"),
        ({"pooling": "concat_last_four"}, SettingsError, "needs four layers, the checkpoint has 1"),
        ({"text_column": "utterance"}, DataError, "has no column 'utterance'; it has: text, intent"),
        ({"checkpoint": "nowhere/at/all"}, SettingsError, "The checkpoint folder 'nowhere/at/all' does not exist"),
        ({"test_file": "no.csv"}, DataError, "no such file: no.csv"),
        ({"epochs": 0}, SettingsError, "epochs must be at least 1"),
    ],
)
def test_a_mistake_is_told_and_leaves_nothing(files, quick_checkpoint, tmp_path, settings, kind, expected):
    before = sorted(tmp_path.rglob("*"))
    given = {"train_file": files["train"], "checkpoint": str(quick_checkpoint), "output_dir": str(tmp_path / "x" / "y")}
    with pytest.raises(kind) as caught:
        train(TrainingConfig(**{**QUICK, **given, **settings}), verbose=0)
    assert expected in str(caught.value)
    assert issubclass(kind, IntentBertError)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_casing_flag_is_kept_or_refused(files, quick_checkpoint, tmp_path):
    settings = {"data": files["data"], "output_dir": str(tmp_path / "model"), "epochs": 1}
    with pytest.raises(
        CheckpointError, match=r"do_lower_case=False contradicts .*uncased_quick says do_lower_case=True"
    ):
        train(config_of(**settings, checkpoint=str(quick_checkpoint), do_lower_case=False), verbose=0)
    assert not (tmp_path / "model").exists()

    silent = tmp_path / "quick"  # neither its name nor a tokenizer_config.json tells the casing
    shutil.copytree(quick_checkpoint, silent)
    train(config_of(**settings, checkpoint=str(silent), do_lower_case=False), verbose=0)
    assert IntentPredictor.load(tmp_path / "model").tokenizer.do_lower_case is False


def test_the_cores_are_divided_before_a_checkpoint_is_fetched(files, tmp_path, monkeypatch):
    asked = []

    def fetched(name):  # which starts TensorFlow: its threads are fixed from then on
        asked.append(name)
        raise CheckpointError("far enough")

    monkeypatch.setattr("intent_bert.training.prepare.divide_the_cores", lambda: asked.append("cores") or 1)
    monkeypatch.setattr("intent_bert.training.prepare.resolve", fetched)
    with pytest.raises(CheckpointError, match="far enough"):
        train(TrainingConfig(train_file=files["train"], output_dir=str(tmp_path / "run")), verbose=0)
    assert asked == ["cores", "all-MiniLM-L6-v2"]


def test_an_encoder_that_is_not_in_the_checkpoint_is_told_before_anything_is_written(files, quick_checkpoint, tmp_path):
    folder = tmp_path / "uncased_deeper"
    folder.mkdir()
    for entry in quick_checkpoint.iterdir():
        (folder / entry.name).write_bytes(entry.read_bytes())
    config = json.loads((folder / "bert_config.json").read_text())
    (folder / "bert_config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    before = sorted(tmp_path.rglob("*"))
    output = str(tmp_path / "x" / "y")
    with pytest.raises(CheckpointError, match="missing bert/encoder/layer_1/attention/output/LayerNorm/beta"):
        train(config_of(train_file=files["train"], checkpoint=str(folder), output_dir=output), verbose=0)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_folder_that_cannot_be_used_is_told_before_training(files, quick_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("intent_bert.training.run.fit", lambda *_, **__: pytest.fail("training began"))
    given = {"train_file": files["train"], "checkpoint": str(quick_checkpoint)}
    for output, expected in (
        (files["train"], "it is a file; name a folder"),
        (files["data"], "it holds other things (test.csv, train.csv, valid.csv); name a new folder"),
        (f"{files['train']}/model", "can't write "),
    ):
        with pytest.raises((ModelFolderError, DiskError)) as caught:
            train(config_of(**given, output_dir=output), verbose=0)
        assert expected in str(caught.value)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnx", None)
        with pytest.raises(SettingsError, match=r"^exporting to onnx needs what is not installed: pip install onnx$"):
            train(config_of(**given, output_dir=str(tmp_path / "model")), verbose=0)
    disk = type("Disk", (), {"free": 10})
    monkeypatch.setattr("intent_bert.model.folder.shutil.disk_usage", lambda _: disk)
    with pytest.raises(DiskError) as caught:
        train(config_of(**given, output_dir=str(tmp_path / "model")), verbose=0)
    assert str(caught.value) == f"not enough disk space at {tmp_path}: about 1 MB are needed, 0 MB are free"
    assert Path(files["data"]).exists()


def test_a_full_disk_during_training_costs_the_state_for_resume_and_nothing_else(quick_checkpoint, tmp_path, caplog):
    model, progress = create_model(32, quick_checkpoint, 3), Progress([{"loss": 1.0}], 0, (0.5, -1.0))
    compile_model(model, TrainingConfig(learning_rate=1e-3), 10)
    run = UnfinishedRun(tmp_path / "model" / "unfinished", {"seed": 0})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        run.save(model, progress)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caplog.messages == [f"can't keep the state of the run in {run.folder} (File too large): training goes on"]
    assert not run.folder.exists()
    run.save(model, progress)
    assert {entry.name for entry in run.folder.iterdir()} == {
        "best-1.weights.h5", "epoch-1.weights.h5", "progress.json",
    }  # fmt: skip


def test_what_comes_while_a_run_is_at_work_neither_stops_it_nor_goes(files, quick_checkpoint, tmp_path):
    """Logs in the folder, a file manager's file, notes; a second run into the folder is refused meanwhile."""
    output, refused = tmp_path / "model", []
    config = config_of(
        train_file=files["train"], checkpoint=str(quick_checkpoint), epochs=1, export=False,
        output_dir=str(output), log_dir=str(output / "tensorboard"),
    )  # fmt: skip

    class Meanwhile(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            (output / ".DS_Store").write_text("of a file manager")
            try:
                train(config, verbose=0)
            except DiskError as error:
                refused.append(str(error))
            (output / "notes.txt").write_text("mine")

    result = train(config, verbose=0, callbacks=[Meanwhile()])
    (told,) = refused
    assert told.startswith(f"process {os.getpid()} on ")
    assert told.endswith(f" is writing to {output}: wait until it ends, or name another place")
    assert result.log_dir.parent == output / "tensorboard" and any(result.log_dir.rglob("events*"))
    assert (output / "notes.txt").read_text() == "mine"
    assert {".DS_Store", "model.weights.h5", "tensorboard"} <= {entry.name for entry in output.iterdir()}
    assert "unfinished" not in {entry.name for entry in output.iterdir()}
    assert {entry.name for entry in tmp_path.iterdir()} == {"data", "model"}

    with pytest.raises(SettingsError, match=r"log_dir can't be .*, where the model itself goes: name another folder"):
        train(replace(config, log_dir=str(output / "unfinished")), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC])
def test_the_state_of_a_run_goes_only_when_its_model_is_safe_or_the_disk_is_full(
    files, quick_checkpoint, tmp_path, monkeypatch, number
):
    output, states = tmp_path / "model", []
    config = config_of(
        train_file=files["train"], checkpoint=str(quick_checkpoint), epochs=1, export=False, output_dir=str(output)
    )
    save = run.save_artifact

    def fail_once(*arguments: Any, **more: Any) -> Any:
        states.append((output / "unfinished" / "progress.json").exists())
        if len(states) == 1:
            raise DiskError("can't write it") from OSError(number, os.strerror(number))
        return save(*arguments, **more)

    monkeypatch.setattr(run, "save_artifact", fail_once)
    if number == errno.EACCES:
        with pytest.raises(DiskError) as caught:
            train(config, verbose=0)
        assert str(caught.value) == (
            f"can't write it; the training is kept in {output}/unfinished: mend this, and go on with --resume"
        )
        train(replace(config, resume=True), verbose=0)
        assert states == [True, True]
    else:
        train(config, verbose=0)
        assert states == [True, False]
    assert {"model.weights.h5", "logs"} <= {entry.name for entry in output.iterdir()}
    assert not (output / "unfinished").exists()


def test_the_room_for_the_state_is_checked_before_training(files, quick_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "fit", lambda *_, **__: pytest.fail("training began"))
    needed = []
    check = run.check_output_folder
    monkeypatch.setattr(run, "check_output_folder", lambda *each, **more: needed.append(each) or check(*each, **more))
    monkeypatch.setattr("intent_bert.model.folder.shutil.disk_usage", lambda _: type("Disk", (), {"free": 1000}))
    given = {"train_file": files["train"], "checkpoint": str(quick_checkpoint), "output_dir": str(tmp_path / "model")}
    for layers in ("all", "head"):
        with pytest.raises(DiskError, match="not enough disk space"):
            train(config_of(**given, train_layers=layers), verbose=0)
    whole, head = (each[1] for each in needed if len(each) > 1)
    encoder = 4 * (160 * 32 + 12 * 32**2)
    assert 6 * encoder < whole < 10 * encoder  # four of each state, and two states for a moment
    assert 1.2 * encoder < head < 3 * encoder


def test_ctrl_c_before_the_first_epoch_leaves_nothing_and_spares_an_old_model(
    files, quick_checkpoint, trained, tmp_path
):
    settings = {"data": files["data"], "checkpoint": str(quick_checkpoint)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TensorBoardLogs, "on_train_batch_end", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config_of(**settings, output_dir=str(tmp_path / "new")), verbose=0)
        assert not (tmp_path / "new").exists()
        shutil.copytree(trained.folder, tmp_path / "old")
        before = {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
        with pytest.raises(KeyboardInterrupt):
            train(config_of(**settings, output_dir=str(tmp_path / "old")), verbose=0)
    assert {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()} == before


def _interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_resuming_with_other_sentences_is_refused(files, quick_checkpoint, tmp_path):
    settings = {
        "checkpoint": str(quick_checkpoint),
        "output_dir": str(tmp_path / "model"),
        "train_file": files["train"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("intent_bert.training.run.save_artifact", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config_of(**settings, epochs=1), verbose=0)
    logs = sorted((tmp_path / "model" / "logs").iterdir())
    with Path(files["train"]).open("a") as table:
        table.write("play a song twice,music\n")
    with pytest.raises(SettingsError, match=r"had other sentences or labels: resume it with the same settings"):
        train(config_of(**settings, epochs=1, resume=True), verbose=0)
    assert sorted((tmp_path / "model" / "logs").iterdir()) == logs


# --- other label sets --------------------------------------------------------------------------------------------

FEELINGS = [
    "anger", "boredom", "empty", "enthusiasm", "fun", "happiness", "hate", "love", "neutral", "relief", "sadness",
    "surprise", "worry",
]  # fmt: skip


def words_for(label: str) -> list[str]:
    """Three sentences of a label, told apart by its letters."""
    spelt = " ".join(label)
    return [f"{spelt} please", f"now {spelt}", f"play {spelt} for me"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        (["positive", "negative", "neutral"], ("text", "intent")),
        (FEELINGS, ("tweet", "feeling")),
        ([f"intent {number}" for number in range(150)], ("question", "topic")),
        ([True, False], ("text", "spam")),
    ],
    ids=["3", "13", "150", "bool"],
)
def test_nothing_is_special_to_seven_intents(labels, columns, quick_checkpoint, tmp_path, capsys):
    rows = [(text, label) for label in labels for text in words_for(str(label))]
    pd.DataFrame(rows, columns=columns).to_json(tmp_path / "all.jsonl", orient="records", lines=True)
    settings = {**QUICK, "epochs": 1, "validation_split": 0.34}
    result = train(
        TrainingConfig(
            train_file=str(tmp_path / "all.jsonl"), text_column=columns[0], label_column=columns[1],
            checkpoint=str(quick_checkpoint), class_weight="balanced", output_dir=str(tmp_path / "model"), **settings,
        ),
        verbose=0,
    )  # fmt: skip
    assert set(result.evaluations["validation"].per_intent) == {str(label) for label in labels}
    predictor = IntentPredictor.load(tmp_path / "model")
    assert sorted(predictor.classes) == sorted(labels)
    assert predictor.predict_proba(["play"]).shape == (1, len(labels))
    assert {name for name, _ in predictor.predict([text for text, _ in rows])} <= set(labels)
    assert (tmp_path / "model" / "confusion_matrix.png").stat().st_size > 1000

    named = ("--text-column", columns[0], "--label-column", columns[1], "--output-dir", str(tmp_path / "report"))
    assert cli.main(["evaluate", str(tmp_path / "model"), str(tmp_path / "all.jsonl"), *named]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["rows"] == len(rows)
    assert {label: each["support"] for label, each in figures["per_intent"].items()} == {
        str(label): 3 for label in labels
    }
    confusion = pd.read_csv(tmp_path / "report" / "confusion_matrix.csv", index_col="label")
    assert confusion.shape == (len(labels), len(labels))
    assert confusion.to_numpy().sum() == len(rows)


@pytest.mark.slow
def test_the_sentiment_table_that_ships_goes_through(quick_checkpoint, tmp_path):
    result = train(
        config_of(data="sentiment", checkpoint=str(quick_checkpoint), output_dir=str(tmp_path / "model"), epochs=1),
        verbose=0,
    )
    assert {name: each.rows for name, each in result.evaluations.items()} == {
        "train": 270,
        "validation": 60,
        "test": 60,
    }
    (answer,) = IntentPredictor.load(tmp_path / "model").predict(["not bad at all"])
    assert answer.intent in ("negative", "neutral", "positive")


# --- several devices ---------------------------------------------------------------------------------------------

TWO_DEVICES = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from intent_bert import TrainingConfig, train
settings, folder = json.loads(sys.argv[1]), sys.argv[2]
strategies = {"one": None, "two": tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])}
for name, strategy in strategies.items():
    config = TrainingConfig.from_recipe("default", **settings, output_dir=f"{folder}/{name}")
    train(config, verbose=0, strategy=strategy)
"""


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"class_weight": "balanced"}, {"train_layers": "head", "head": "rnn"}])
def test_two_mirrored_devices_learn_what_one_learns(quick_checkpoint, files, tmp_path, settings):
    """Batches of 7, which two devices can't share evenly, the last of them a single sentence."""
    table = pd.read_csv(files["train"])[:43]
    table.to_csv(tmp_path / "odd.csv", index=False)
    settings = {
        **QUICK, "epochs": 2, "batch_size": 7, "train_file": str(tmp_path / "odd.csv"), "export": False,
        "validation_file": files["valid"], "checkpoint": str(quick_checkpoint), "precision": "float32", **settings,
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", TWO_DEVICES, json.dumps(settings), tmp_path], check=True)
    one, two = (load_artifact(tmp_path / name).model.get_weights() for name in ("one", "two"))
    for expected, weights in zip(one, two, strict=True):
        np.testing.assert_allclose(weights, expected, atol=1e-4)
    histories = [pd.read_csv(tmp_path / name / "history.csv") for name in ("one", "two")]
    np.testing.assert_allclose(histories[0].val_loss, histories[1].val_loss, rtol=1e-4)
