"""One fit under every entrance: equal settings and rows give equal weights, and the settings are resolved once."""

import keras
import numpy as np
import pytest
from conftest import QUICK

from intent_bert import IntentClassifier, TrainingConfig, load_model, train
from intent_bert.data.datasets import read_tables
from intent_bert.training.fit import fit
from intent_bert.training.prepare import prepare

SETTINGS = {**QUICK, "epochs": 2, "dropout": 0.3, "learning_rate": None, "max_seq_len": None, "validation_split": 0.0}


@pytest.fixture
def table(small_table, tmp_path):
    small_table.to_csv(tmp_path / "train.csv", index=False)
    return tmp_path / "train.csv"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "changed"),
    [
        ("auto", {}),
        ("auto", {"train_layers": "head"}),
        ("float32", {"train_layers": 1}),
        ("bfloat16", {"adapter_size": 4}),
    ],
)
def test_train_and_the_classifier_give_equal_weights_and_settings(
    table, small_table, tiny_checkpoint, tmp_path, precision, changed
):
    """In every precision, for ``auto`` is another one on another machine."""
    settings = {**SETTINGS, **changed, "precision": precision, "checkpoint": tiny_checkpoint}
    result = train(TrainingConfig(train_file=table, output_dir=tmp_path / "model", export=False, **settings), verbose=0)
    classifier = IntentClassifier(**settings).fit(list(small_table.text), list(small_table.intent))
    for one, other in zip(result.model.weights, classifier.model_.weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    for one, other in zip(result.model.weights, load_model(result.folder).weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    saved = IntentClassifier.load(result.folder).get_params()
    again = IntentClassifier.load(classifier.save(tmp_path / "again")).get_params()
    assert saved == again
    assert saved["max_seq_len"] == 48  # the checkpoint's positions
    assert None not in (saved["learning_rate"], saved["epochs"], saved["head_learning_rate_multiplier"])
    assert saved["precision"] in ("float32", "bfloat16", "mixed_float16")


@pytest.mark.slow
def test_callbacks_reach_the_fit_on_each_road(table, small_table, quick_checkpoint, tmp_path):
    class Count(keras.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            Count.epochs += 1
            assert self.model.output.shape[-1] == 3

    settings = {**SETTINGS, "checkpoint": quick_checkpoint}
    config = TrainingConfig(train_file=table, output_dir=tmp_path / "model", export=False, **settings)
    train(config, verbose=0, callbacks=[Count()])
    IntentClassifier(**settings, callbacks=[Count()]).fit(list(small_table.text), list(small_table.intent))
    fit(prepare(config, read_tables(config)), callbacks=[Count()], verbose=0)
    assert Count.epochs == 6


def test_a_default_length_is_lowered_with_a_word_and_one_asked_for_is_refused(table, tiny_checkpoint, caplog):
    config = TrainingConfig(train_file=table, checkpoint=tiny_checkpoint)
    with caplog.at_level("INFO", "intent_bert"):
        assert prepare(config, read_tables(config)).config.max_seq_len == 48
    expected = "max_seq_len is 48, for the checkpoint has no more positions (the default is 192)"
    assert expected in caplog.messages
