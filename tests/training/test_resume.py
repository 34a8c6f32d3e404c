"""A killed run goes on from its last whole epoch and ends as if nothing had happened."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from intent_bert.config import TrainingConfig
from intent_bert.errors import ModelFolderError, SettingsError
from intent_bert.model.folder import UNFINISHED
from intent_bert.model.saved import load_artifact
from intent_bert.training import run as training
from intent_bert.training.resume import PROGRESS_FILE, Progress, UnfinishedRun
from intent_bert.training.run import train


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the package catches it."""


@pytest.fixture
def config(tmp_path: Path, tiny_checkpoint: Path, small_table: pd.DataFrame) -> TrainingConfig:
    small_table.to_csv(tmp_path / "train.csv", index=False)
    return TrainingConfig(
        train_file=str(tmp_path / "train.csv"),
        checkpoint=str(tiny_checkpoint),
        epochs=2,
        batch_size=16,
        learning_rate=3e-3,
        max_seq_len=48,
        output_dir=str(tmp_path / "model"),
    )


def kill_in_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Let the run die when epoch number ``epoch`` (from 1) reports."""
    report = training.TensorBoardLogs.report

    def dying(self: training.TensorBoardLogs, number: int, *arguments: object) -> None:
        if number + 1 == epoch:
            raise Killed
        report(self, number, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training.TensorBoardLogs, "report", dying)


def training_copy(config: TrainingConfig, **settings: object) -> TrainingConfig:
    return TrainingConfig(**{**vars(config), **settings})  # type: ignore[arg-type]


def weights_of(folder: str) -> list[np.ndarray]:
    return load_artifact(folder).model.get_weights()


def test_a_resumed_run_equals_an_unbroken_one(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unbroken = train(training_copy(config, output_dir=str(tmp_path / "unbroken")), verbose=0)
    with monkeypatch.context() as patch:
        kill_in_epoch(patch, 2)
        with pytest.raises(Killed):
            train(config, verbose=0)
    kept = sorted(path.name for path in (Path(config.output_dir) / UNFINISHED).iterdir())
    assert PROGRESS_FILE in kept and "epoch-1.weights.h5" in kept
    assert not (Path(config.output_dir) / "config.json").exists()

    caplog.set_level("INFO", "intent_bert")
    resumed = train(training_copy(config, resume=True), verbose=0)
    assert "resuming after epoch 1" in caplog.text
    assert list(resumed.history.index) == [1, 2]
    pd.testing.assert_frame_equal(resumed.history, unbroken.history, atol=1e-4)
    for ours, theirs in zip(weights_of(config.output_dir), weights_of(str(tmp_path / "unbroken")), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert not (Path(config.output_dir) / UNFINISHED).exists()


@pytest.fixture
def model() -> keras.Model:
    """A model of a few numbers, compiled, with a dropout layer."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    model.compile(optimizer="adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_state_comes_back(model: keras.Model, tmp_path: Path) -> None:
    run = UnfinishedRun(tmp_path / UNFINISHED, {"epochs": 3})
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    run.save(model, Progress([{"loss": 1.0}], 0, (0.5, -1.0)))
    best = model.get_weights()
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    run.save(model, Progress([{"loss": 1.0}, {"loss": 2.0}], 0, (0.5, -1.0)))
    variables = [np.array(variable) for variable in [*model.variables, *model.optimizer.variables]]
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)

    progress, best_again = run.load(model)
    assert progress == Progress([{"loss": 1.0}, {"loss": 2.0}], 0, (0.5, -1.0))
    for ours, theirs in zip(best_again, best, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip([*model.variables, *model.optimizer.variables], variables, strict=True):
        np.testing.assert_array_equal(np.array(ours), theirs)
    names = sorted(path.name for path in (tmp_path / UNFINISHED).iterdir())
    assert names == ["best-1.weights.h5", "epoch-2.weights.h5", PROGRESS_FILE]


def test_other_settings_are_refused(model: keras.Model, tmp_path: Path) -> None:
    UnfinishedRun(tmp_path, {"learning_rate": 0.003, "output_dir": "a"}).save(model, Progress([{}], 0))
    with pytest.raises(SettingsError, match=r"had learning_rate=0\.003, not 0\.001: resume it with the same settings"):
        UnfinishedRun(tmp_path, {"learning_rate": 0.001, "output_dir": "b"}).load(model)


def test_a_damaged_state_is_refused(model: keras.Model, tmp_path: Path) -> None:
    run = UnfinishedRun(tmp_path, {})
    run.save(model, Progress([{}], 0))
    (tmp_path / "epoch-1.weights.h5").write_bytes(b"nothing")
    with pytest.raises(ModelFolderError, match=r"is damaged \(.*\): delete it to start from the beginning"):
        run.load(model)
    (tmp_path / PROGRESS_FILE).write_text("{")
    with pytest.raises(ModelFolderError, match=r"is damaged: delete .* to start from the beginning"):
        run.load(model)


def test_nothing_to_resume_starts_from_the_beginning(
    model: keras.Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "intent_bert")
    assert UnfinishedRun(tmp_path, {}).load(model) == (Progress(), [])
    assert "nothing to resume" in caplog.text
