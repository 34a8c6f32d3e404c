"""A model cut above its frozen layers: the same answers, the same training, and nothing below computed twice."""

from collections import namedtuple
from typing import Any

import keras
import numpy as np
import pytest

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.config import TrainingConfig
from intent_bert.errors import SettingsError
from intent_bert.machine import precision_here
from intent_bert.model.keras_engine import compiled, predict_in_batches
from intent_bert.model.network import create_model, logits_model
from intent_bert.training import frozen
from intent_bert.training.fit import _batches, _Inputs, compile_model, fine_tune
from intent_bert.training.frozen import CutModel
from intent_bert.training.prepare import POLICIES, Sentences

CLASSES = ["music", "table", "weather"]
CUTS = [
    ("dense", "cls", "head"), ("dense", "cls", 4), ("dense", "mean", 1), ("dense", "concat_last_four", 1),
    ("dense", "concat_last_four", "head"), ("linear", "sum_last_four", 3), ("rnn", "cls", "head"), ("rnn", "cls", 2),
]  # fmt: skip


@pytest.fixture(scope="module")
def sentences(small_table, tiny_checkpoint) -> Sentences:
    return Sentences.of(small_table, FullTokenizer(tiny_checkpoint / "vocab.txt"), 32)


def model_of(tiny_checkpoint: Any, **arguments: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    return create_model(32, tiny_checkpoint, CLASSES, **arguments)


@pytest.mark.parametrize(("head", "pooling", "layers"), CUTS)
def test_both_parts_together_answer_as_the_whole(tiny_checkpoint, sentences, head, pooling, layers):
    model = model_of(tiny_checkpoint, head=head, pooling=pooling, train_layers=layers)
    cut = CutModel(model)
    cached = cut.activations(sentences.ids)
    upper = predict_in_batches(compiled(cut.top), sentences.ids, 3, 16, inputs=cached.batch)
    whole = predict_in_batches(compiled(model), sentences.ids, 3, 16)
    np.testing.assert_allclose(upper, whole, atol=2e-6)
    assert np.ptp(whole, axis=0).max() > 1e-3
    assert {id(weight) for weight in cut.top.trainable_weights} == {id(weight) for weight in model.trainable_weights}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "pooling", "layers", "precision"),
    [(*cut, "auto") for cut in CUTS] + [("dense", "cls", "head", "bfloat16"), ("dense", "mean", 1, "bfloat16")],
)
def test_every_cut_trains_and_is_validated_in_every_precision(
    tiny_checkpoint, sentences, head, pooling, layers, precision
):
    """With the default, "auto", as users have it: bfloat16 where the machine computes it."""
    shape = {"head": head, "pooling": pooling, "train_layers": layers}
    config = TrainingConfig(epochs=1, batch_size=32, learning_rate=1e-3, precision=precision, **shape)
    policy = POLICIES.get(found := precision_here(precision), found)
    model = model_of(tiny_checkpoint, dtype=policy, **shape)
    history = fine_tune(model, sentences, sentences, CLASSES, config, verbose=0).history
    whole = predict_in_batches(compiled(model), sentences.ids, 3)
    labels = np.array([CLASSES.index(label) for label in sentences.labels])
    expected = -np.log(whole[np.arange(len(labels)), labels]).mean()
    assert history["val_loss"].iloc[0] == pytest.approx(expected, abs=2e-2 if precision != "float32" else 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("head", "layers"), [("dense", 2), ("linear", "head"), ("rnn", 1)])
def test_training_the_upper_part_is_training_the_whole(tiny_checkpoint, sentences, head, layers):
    """With dropout in the layers that learn: Keras' own fit of the whole model gives the same weights."""
    config = TrainingConfig(epochs=2, batch_size=16, learning_rate=1e-3, head=head, train_layers=layers)
    whole = logits_model(model_of(tiny_checkpoint, head=head, train_layers=layers))
    steps = -(-len(sentences.ids) // 16)
    compile_model(whole, config, 2 * steps)
    batches = _batches(whole, _Inputs(sentences, None), CLASSES, config, 0)
    keras.utils.set_random_seed(1)
    whole.fit(batches, epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0)

    cut = model_of(tiny_checkpoint, head=head, train_layers=layers)
    before = {weight.path: weight.numpy() for weight in cut.weights}
    keras.utils.set_random_seed(1)
    fine_tune(cut, sentences, None, CLASSES, config, verbose=0)
    trainable = {weight.path for weight in cut.trainable_weights}
    for expected, weight in zip(whole.weights, cut.weights, strict=True):
        rough = 1e-3 if weight.path.endswith("key/bias") else 2e-5  # its gradient is 0 but for rounding
        np.testing.assert_allclose(weight, expected, atol=rough, err_msg=weight.path)
        changed = not np.array_equal(weight.numpy(), before[weight.path])
        assert changed == (weight.path in trainable), weight.path
    assert 0 < len(trainable) < len(cut.weights)


def test_what_is_frozen_is_computed_once(tiny_checkpoint, sentences, monkeypatch):
    calls = []
    original = CutModel.activations
    monkeypatch.setattr(CutModel, "activations", lambda self, *args: calls.append(self) or original(self, *args))
    model = model_of(tiny_checkpoint, train_layers=1)
    bert = model.get_layer("bert")
    fine_tune(
        model, sentences, sentences, CLASSES, TrainingConfig(epochs=3, learning_rate=1e-3, train_layers=1), verbose=0
    )
    assert len(calls) == 2  # the training and the validation sentences
    learns = {id(layer) for layer in calls[0].top._flatten_layers()}
    assert id(bert.encoder_layers[3]) in learns
    assert not learns & {id(part) for part in (bert, bert.embeddings, *bert.encoder_layers[:3])}


def test_frozen_layers_have_no_dropout(tiny_checkpoint, sentences):
    bert = model_of(tiny_checkpoint, train_layers=0).get_layer("bert")
    ids = np.array(sentences.ids[0])[None]
    np.testing.assert_array_equal(bert(ids, training=True), bert(ids, training=False))
    learning = model_of(tiny_checkpoint, train_layers=1).get_layer("bert")
    assert np.abs(learning(ids, training=True) - learning(ids, training=False)).max() > 1e-3


def test_many_activations_lie_in_a_file(tiny_checkpoint, sentences, monkeypatch):
    cut = CutModel(model_of(tiny_checkpoint, train_layers=1))
    rows = np.array([3, 0, 40])
    in_memory = cut.activations(sentences.ids).batch(rows)
    monkeypatch.setattr(frozen, "IN_MEMORY_UP_TO", 0)
    cached = cut.activations(sentences.ids)
    assert isinstance(cached.tables[0], np.memmap)
    for one, other in zip(in_memory, cached.batch(rows), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_room_for_the_activations(tiny_checkpoint, sentences, monkeypatch):
    cut = CutModel(model_of(tiny_checkpoint, train_layers=1))
    monkeypatch.setattr(frozen, "IN_MEMORY_UP_TO", 0)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(frozen.shutil, "disk_usage", lambda _: usage(10))
    with pytest.raises(SettingsError, match=r"outputs take 0\.0 GB, but .* has 0\.0 GB free: set TMPDIR"):
        cut.activations(sentences.ids)
