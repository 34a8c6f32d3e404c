"""What a fit learns towards: targets, metrics and the start of a multi-label run, and the folder it leaves."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import QUICK
from sklearn import metrics
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from intent_bert import IntentPredictor, TrainingConfig, train
from intent_bert.data.label_sets import label_matrix
from intent_bert.data.splits import with_validation
from intent_bert.data.tables import read_table
from intent_bert.model.folder import ModelFolder
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.training.objective import (
    LabelSetF1,
    OneIntent,
    SeveralIntents,
    SmoothedCrossentropy,
    SubsetAccuracy,
    start_at_class_means,
    start_at_label_shares,
)
from intent_bert.training.prepare import prepare

SETS = [("a", "b"), (), ("c",)]


def test_targets_and_weights():
    several = SeveralIntents().targets(SETS, ["a", "b", "c"])
    assert several.dtype == np.float32 and several.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    one = OneIntent().targets(["b", "a"], ["a", "b"])
    assert one.dtype == np.int32 and one.tolist() == [1, 0]
    config = TrainingConfig(class_weight={"a": 1, "b": 3})
    assert OneIntent().weights(["b", "a"], ["a", "b"], config).tolist() == [3, 1]
    assert SeveralIntents().weights(SETS, ["a"], TrainingConfig(multi_label=True)) is None


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_the_loss_is_keras_own_of_one_hot_rows(share):
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 5, 20), rng.normal(0, 3, (20, 5)).astype("float32")
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=share)
    loss = SmoothedCrossentropy(share)
    np.testing.assert_allclose(loss(labels, logits), expected(np.eye(5)[labels], logits), rtol=1e-5)
    assert SmoothedCrossentropy.from_config(loss.get_config()).label_smoothing == share


def test_a_cosine_head_starts_at_the_class_means(quick_checkpoint, small_table):
    config = TrainingConfig(train_file="-", checkpoint=str(quick_checkpoint), max_seq_len=32, precision="float32")
    prepared = prepare(config, {"train": small_table})
    train_split = prepared.splits["train"]
    start_at_class_means(prepared.model, train_split, prepared.classes)
    vectors = KerasEngine(prepared.model).outputs(train_split.ids).vectors
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    numbers = train_split.numbers(prepared.classes)
    for number, direction in enumerate(np.array(prepared.model.get_layer("logits").kernel).T):
        mean = unit[numbers == number].mean(axis=0)  # of 30 sentences: all of them
        np.testing.assert_allclose(direction, mean / np.linalg.norm(mean), atol=1e-4)


def test_metrics_of_an_epoch_are_scikit_learns():
    rng = np.random.default_rng(0)
    expected, logits = rng.random((60, 4)) < 0.4, rng.normal(size=(60, 4)).astype("float32")
    found = {"micro": LabelSetF1(4), "macro": LabelSetF1(4, "macro"), "subset": SubsetAccuracy()}
    for start in (0, 20, 40):
        for metric in found.values():
            metric.update_state(expected[start : start + 20].astype("float32"), logits[start : start + 20])
    chosen = logits >= 0
    for average in ("micro", "macro"):
        assert float(found[average].result()) == pytest.approx(metrics.f1_score(expected, chosen, average=average))
    assert float(found["subset"].result()) == pytest.approx(metrics.accuracy_score(expected, chosen))
    for metric in found.values():
        copy = type(metric).from_config(metric.get_config())
        assert copy.name == metric.name


def test_the_biases_start_at_the_shares_of_the_labels(quick_checkpoint, small_table):
    table = read_table((list(small_table["text"]), list(small_table["intent"])), label_separator="|")
    config = TrainingConfig(checkpoint=str(quick_checkpoint), multi_label=True, **QUICK)
    prepared = prepare(config, {"train": table})
    start_at_label_shares(prepared.model, prepared.splits["train"], prepared.classes)
    shares = label_matrix(list(table["intent"]), prepared.classes).mean(axis=0)
    bias = keras.ops.convert_to_numpy(prepared.model.get_layer("logits").bias)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), shares, atol=0.01)


# --- the run -----------------------------------------------------------------------------------------------------


def test_a_run_learns_several_intents(several):
    test = several.evaluations["test"]
    assert test.subset_accuracy > 0.8
    assert test.rows == 18
    written = json.loads((several.folder / "metrics.json").read_text())
    assert written["test"] == test.to_dict()
    assert list(several.history.columns) == [
        "loss", "macro_f1", "micro_f1", "subset_accuracy",
        "val_loss", "val_subset_accuracy", "val_micro_f1", "val_macro_f1", "val_hamming_loss",
    ] or set(several.history) >= {"subset_accuracy", "val_micro_f1", "val_hamming_loss"}  # fmt: skip
    mistakes = pd.read_csv(several.folder / "mistakes.csv")
    assert list(mistakes.columns) == ["text", "label", "prediction", "missed", "added", "confidence"]
    card = (several.folder / "README.md").read_text()
    assert "| split | rows | subset accuracy | micro F1 | macro F1 | Hamming loss | loss |" in card
    assert "all intents whose probability reaches their threshold" in card


def test_the_folder_holds_thresholds_that_validation_rows_gave(several):
    folder = ModelFolder(several.folder)
    assert folder.architecture.multi_label
    assert isinstance(folder.decision, MultiLabelDecision)
    assert folder.decision.fitted_on == several.evaluations["validation"].rows > 0
    assert len(folder.decision.thresholds) == 3


def test_tensorboard_names_the_metrics_for_what_they_are(several):
    def tags(name: str) -> set[str]:
        events = EventAccumulator(str(several.log_dir / name), size_guidance={"tensors": 0})
        events.Reload()
        return set(events.Tags()["tensors"])

    shown = {"loss", "subset_accuracy", "micro_f1", "macro_f1"}
    assert tags("train") == shown | {"running_loss", "learning_rate"}
    assert tags("validation") == tags("test") == shown | {"hamming_loss", "confusion_matrix"}


def test_without_held_out_rows_thresholds_are_a_half_and_it_is_said(several, quick_checkpoint, tmp_path, caplog):
    table = several.folder.parent / "train.csv"
    settings = {**QUICK, "epochs": 1, "multi_label": True, "mix": 0.1, "validation_split": 0.0, "export": False}
    output = str(tmp_path / "model")
    train(TrainingConfig(train_file=str(table), checkpoint=str(quick_checkpoint), output_dir=output, **settings), 0)
    assert "no rows were held out to fit thresholds on" in caplog.text
    assert ModelFolder(output).decision == MultiLabelDecision.unfitted(3)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"train_layers": "head"}, {"head": "rnn"}, {"precision": "bfloat16"}])
def test_frozen_layers_heads_and_precisions(several, quick_checkpoint, tmp_path, settings):
    table = str(several.folder.parent / "train.csv")
    config = {**QUICK, "epochs": 2, "multi_label": True, "mix": 0.5, "output_dir": str(tmp_path / "model"), **settings}
    result = train(TrainingConfig(train_file=table, checkpoint=str(quick_checkpoint), **config), verbose=0)
    assert len(result.history) == 2
    assert IntentPredictor.load(result.folder).engine == "onnx"


@pytest.mark.slow
def test_a_resumed_run_equals_an_unbroken_one(several, quick_checkpoint, tmp_path, monkeypatch):
    table = str(several.folder.parent / "train.csv")

    def run(name: str, **settings: object) -> np.ndarray:
        given = {**QUICK, "epochs": 3, "multi_label": True, "mix": 0.5, "output_dir": str(tmp_path / name), **settings}
        stop = settings.pop("stop", [])
        given.pop("stop", None)
        config = TrainingConfig(train_file=table, checkpoint=str(quick_checkpoint), export=False, **given)
        train(config, verbose=0, callbacks=stop)
        return IntentPredictor.load(tmp_path / name).predict_proba(["play music", "will it rain and book a table"])

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("stopped")

    whole = run("whole")
    with pytest.raises(RuntimeError, match="stopped"):
        run("broken", stop=[Stop()])
    np.testing.assert_allclose(run("broken", resume=True), whole, atol=1e-5)


def test_validation_rows_are_held_out_before_they_are_mixed(small_table, quick_checkpoint):
    table = read_table((list(small_table["text"]), list(small_table["intent"])), label_separator="|")
    config = TrainingConfig(checkpoint=str(quick_checkpoint), multi_label=True, mix=1.0, **QUICK)
    tables = with_validation({"train": table}, config)
    prepared = prepare(config, tables)
    for name in ("train", "validation"):
        assert len(prepared.splits[name].texts) == 2 * len(tables[name])
    assert not set(prepared.splits["train"].texts) & set(prepared.splits["validation"].texts)
