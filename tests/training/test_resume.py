"""A killed run goes on from its last whole epoch and ends as if nothing had happened."""

import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from kills import killed_at_each_step

from intent_bert.config import TrainingConfig
from intent_bert.errors import DiskError, SettingsError
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


@pytest.mark.slow
def test_a_run_of_several_models_is_resumed_in_the_middle(config, tmp_path, monkeypatch):
    config.models = 3
    unbroken = train(training_copy(config, output_dir=str(tmp_path / "unbroken")), verbose=0)
    assert len(unbroken.history) == 6
    for epoch in (3, 4):  # in the second model's first epoch, and after it
        with monkeypatch.context() as patch:
            kill_in_epoch(patch, epoch)
            with pytest.raises(Killed):
                train(training_copy(config, resume=epoch > 3), verbose=0)
    resumed = train(training_copy(config, resume=True), verbose=0)
    pd.testing.assert_frame_equal(resumed.history, unbroken.history, atol=1e-4)
    for ours, theirs in zip(weights_of(config.output_dir), weights_of(str(tmp_path / "unbroken")), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"adapter_size": 8}, {"train_layers": 2}], ids=["all", "adapters", "frozen"])
def test_a_resumed_run_equals_an_unbroken_one(
    config: TrainingConfig,
    settings: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = training_copy(config, **settings)
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


def test_the_best_weights_are_kept_without_the_optimizer(model: keras.Model, tmp_path: Path) -> None:
    run = UnfinishedRun(tmp_path / UNFINISHED, {})
    run.save(model, Progress([{}], 0))
    with h5py.File(tmp_path / UNFINISHED / "epoch-1.weights.h5") as latest:
        assert "optimizer" in latest
    with h5py.File(tmp_path / UNFINISHED / "best-1.weights.h5") as best:
        assert "optimizer" not in best


def test_other_settings_are_refused(model: keras.Model, tmp_path: Path) -> None:
    UnfinishedRun(tmp_path, {"learning_rate": 0.003, "output_dir": "a"}).save(model, Progress([{}], 0))
    with pytest.raises(SettingsError) as caught:
        UnfinishedRun(tmp_path, {"learning_rate": 0.001, "output_dir": "b"}).load(model)
    assert str(caught.value) == (
        f"the unfinished run in {tmp_path} had learning_rate=0.003, not 0.001: resume it with the same settings, or "
        "leave --resume out to start from the beginning"
    )


def test_other_sentences_are_refused(model: keras.Model, tmp_path: Path) -> None:
    UnfinishedRun(tmp_path, {"sentences": "0a1b"}).save(model, Progress([{}], 0))
    with pytest.raises(
        SettingsError, match=rf"^the unfinished run in {tmp_path} had other sentences or labels: resume it"
    ):
        UnfinishedRun(tmp_path, {"sentences": "2c3d"}).load(model)


def test_weights_of_classes_that_are_numbers_are_the_same_settings(model: keras.Model, tmp_path: Path) -> None:
    settings = {"class_weight": {0: 1.0, 1: 2.5}}
    UnfinishedRun(tmp_path, settings).save(model, Progress([{}], 0))
    assert UnfinishedRun(tmp_path, settings).load(model)[0].best_epoch == 0


def test_a_damaged_state_is_refused(model: keras.Model, tmp_path: Path) -> None:
    run = UnfinishedRun(tmp_path, {})
    run.save(model, Progress([{}], 0))
    (tmp_path / "epoch-1.weights.h5").write_bytes(b"nothing")
    with pytest.raises(DiskError, match=r"is damaged \(.*\): delete .* to start from the beginning"):
        run.load(model)
    (tmp_path / PROGRESS_FILE).write_text("{")
    with pytest.raises(DiskError, match=r"is damaged: delete .* to start from the beginning"):
        run.load(model)


def test_a_state_that_cannot_be_written_costs_neither_the_former_one_nor_the_run(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, folder = UnfinishedRun(tmp_path / UNFINISHED, {}), tmp_path / UNFINISHED
    run.save(model, Progress([{"loss": 1.0}], 0))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for broken in ("intent_bert.training.resume.save_weights", "intent_bert.files.atomic._flush"):
        with monkeypatch.context() as patch:
            patch.setattr(broken, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            run.save(model, Progress([{"loss": 1.0}, {"loss": 0.5}], 1))
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
    told = f"can't keep the state of the run in {folder} (No space left on device): training goes on"
    assert caplog.messages == [told, told]
    assert run.load(model)[0].rows == [{"loss": 1.0}]


def test_a_run_that_does_not_go_on_never_mixes_its_state_with_the_former_one(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    UnfinishedRun(tmp_path, {}).save(model, Progress([{"loss": 1.0}], 0))
    another = UnfinishedRun(tmp_path, {})
    monkeypatch.setattr(another.state, "write", lambda _: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):  # when its weights are written, and its progress is not
        another.save(model, Progress([{"loss": 2.0}], 0))
    assert UnfinishedRun(tmp_path, {}).load(model) == (Progress(), [])


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_the_former_state_or_the_new_one(model: keras.Model, tmp_path: Path) -> None:
    folder = tmp_path / UNFINISHED
    run = UnfinishedRun(folder, {})
    first, second = Progress([{"loss": 1.0}], 0, (0.5, 0.0)), Progress([{"loss": 1.0}, {"loss": 0.5}], 1, (0.6, 0.0))
    run.save(model, first)
    shutil.copytree(folder, tmp_path / "first")
    seen = []
    for _ in killed_at_each_step(lambda: run.save(model, second)):
        found, _ = UnfinishedRun(folder, {}).load(model)
        assert found in (first, second)
        seen.append(found == second)
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "first", folder)
    assert set(seen) == {True, False}


def test_nothing_to_resume_starts_from_the_beginning(
    model: keras.Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "intent_bert")
    assert UnfinishedRun(tmp_path, {}).load(model) == (Progress(), [])
    assert "nothing to resume" in caplog.text
