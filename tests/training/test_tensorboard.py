"""What the event files of a run hold, read back with TensorBoard's own reader."""

from dataclasses import asdict
from pathlib import Path

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from intent_bert.config import TrainingConfig
from intent_bert.errors import DiskError
from intent_bert.training.tensorboard import HPARAMS, TensorBoardLogs


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def values(events: EventAccumulator, tag: str) -> dict[int, float]:
    return {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)}


def hparams(events: EventAccumulator, tag: str) -> plugin_data_pb2.HParamsPluginData:
    data = plugin_data_pb2.HParamsPluginData()
    data.ParseFromString(events.summary_metadata[tag].plugin_data.content)
    return data


def test_a_run_has_the_promised_tags_and_the_history_s_values(trained):
    assert sorted(entry.name for entry in trained.log_dir.iterdir() if entry.is_dir()) == [
        "test", "train", "validation",
    ]  # fmt: skip
    train, validation, test = (read(trained.log_dir / name) for name in ("train", "validation", "test"))
    assert set(train.Tags()["tensors"]) == {"loss", "accuracy", "macro_f1", "running_loss", "learning_rate"}
    losses = ("ece", "ece_equal_mass", "brier", "log_loss")
    trust = {f"{name}{when}" for name in losses for when in ("", "_uncalibrated")}
    for events in (validation, test):
        found = set(events.Tags()["tensors"])
        assert found == {"loss", "accuracy", "macro_f1", "confusion_matrix", "reliability"} | trust
    assert values(test, "ece") == pytest.approx({8: trained.evaluations["test"].calibration["ece"]})
    for name in ("loss", "accuracy", "macro_f1"):
        assert values(train, name) == pytest.approx(trained.history[name].to_dict())
        assert values(validation, name) == pytest.approx(trained.history[f"val_{name}"].to_dict())
        assert values(test, name) == pytest.approx({8: getattr(trained.evaluations["test"], name)})
    rates = values(train, "learning_rate")
    assert list(rates) == list(range(1, max(rates) + 1, 5))
    assert max(rates.values()) == pytest.approx(2e-3)
    assert list(rates.values())[-1] < list(rates.values())[3]


def test_the_confusion_matrix_is_a_picture_each_epoch(trained):
    events = read(trained.log_dir / "validation").Tensors("confusion_matrix")
    assert [event.step for event in events] == list(range(1, 9))
    width, height, png = events[-1].tensor_proto.string_val
    assert png.startswith(b"\x89PNG")
    assert 400 < int(height) <= int(width) < 1000


def test_settings_stand_there_as_text_and_as_hparams(trained):
    events = read(trained.log_dir)
    (text,) = events.Tensors("settings")
    table = text.tensor_proto.string_val[0].decode()
    assert "| learning_rate | 0.002 |" in table
    assert "| seed | 0 |" in table
    start = hparams(events, "_hparams_/session_start_info").session_start_info
    assert set(start.hparams) == set(HPARAMS)
    assert start.hparams["learning_rate"].number_value == 2e-3
    assert start.hparams["pooling"].string_value == "mean"
    experiment = hparams(events, "_hparams_/experiment").experiment
    shown = {(info.name.group, info.name.tag) for info in experiment.metric_infos}
    assert shown == {(group, tag) for group in ("validation", "test") for tag in ("loss", "accuracy", "macro_f1")}


def test_two_runs_have_two_folders(tmp_path):
    settings = asdict(TrainingConfig())
    runs = [TensorBoardLogs(tmp_path / "logs", settings) for _ in range(3)]
    for run in runs:
        run.close({})
    folders = {run.folder for run in runs}
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {tmp_path / "logs"}
    names = {hparams(read(folder), "_hparams_/session_start_info").session_start_info.group_name for folder in folders}
    assert len(names) == 3


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError) as caught:
        TensorBoardLogs(tmp_path / "file" / "logs", asdict(TrainingConfig()))
    assert str(caught.value) == f"can't write the TensorBoard logs to {tmp_path}/file/logs: Not a directory"
