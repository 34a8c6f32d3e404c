"""A model in micro-batches: the same numbers, gradients, weights and files as the model it is made from."""

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from encoders import Array, as_numpy, load

from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.layers import BertDense
from intent_bert.bert.micro_batches import encode_in_micro_batches, micro_batched


def ids_of(sentences: int) -> Array:
    ids = np.random.default_rng(0).integers(1, 30, (sentences, 6)).astype("int32")
    ids[0, 4:] = 0
    return ids


def classifier(bert: BertModelLayer) -> keras.Model:
    inputs = keras.Input((None,), dtype="int32", name="input_ids")
    states = bert(inputs)
    last = states[-1] if isinstance(states, list) else states
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", dtype="float32")(last[:, 0]))


@pytest.mark.slow
@pytest.mark.parametrize("sentences", [1, 2, 5])
@pytest.mark.parametrize("settings", [{}, {"first_only": True}, {"out_layer_ndxs": [0, -1]}, {"adapter_size": 3}])
def test_states_and_gradients_are_those_of_the_whole_batch(
    tiny_checkpoint: Path, sentences: int, settings: dict[str, Any]
) -> None:
    ids = ids_of(sentences)
    bert = load(tiny_checkpoint, **settings)

    def states_and_gradients(number: int) -> list[Array]:
        with tf.GradientTape() as tape:
            states = bert(ids) if number == 1 else encode_in_micro_batches(bert, ids, number)
            states = states if isinstance(states, list) else [states]
            total = sum(tf.reduce_sum(each * tf.sin(each)) for each in states)
        gradients = tape.gradient(total, [weight.value for weight in bert.trainable_weights])
        return [np.asarray(tf.convert_to_tensor(each)) for each in (*states, *gradients)]

    whole = states_and_gradients(1)
    for number in (2, 3):
        for ours, expected in zip(states_and_gradients(number), whole, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("settings", [{}, {"first_only": True}, {"out_layer_ndxs": [0, -1]}])
def test_both_models_hold_the_same_weights_and_write_the_same_files(
    tiny_checkpoint: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    model = classifier(load(tiny_checkpoint, hidden_dropout=0.2, **settings))
    cut = micro_batched(model, 2)
    for kind in ("weights", "trainable_weights", "variables"):
        assert [id(each) for each in getattr(cut, kind)] == [id(each) for each in getattr(model, kind)]
    assert cut.get_layer("bert") is model.get_layer("bert")
    assert [layer.name for layer in cut.layers] == [layer.name for layer in model.layers]
    ids = ids_of(5)
    np.testing.assert_allclose(as_numpy(cut(ids)), as_numpy(model(ids)), rtol=0, atol=1e-6)
    np.testing.assert_allclose(cut.predict(ids.astype("int64"), verbose=0), as_numpy(model(ids)), rtol=0, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras' about inputs of another structure
        micro_batched(keras.Model(model.inputs, model.outputs), 2)(ids)

    cut.save_weights(tmp_path / "cut.weights.h5")
    before = as_numpy(model(ids))
    for weight in model.trainable_weights:
        weight.assign(np.zeros(weight.shape))
    model.load_weights(tmp_path / "cut.weights.h5")
    np.testing.assert_array_equal(as_numpy(model(ids)), before)


@pytest.mark.slow
def test_a_fit_in_micro_batches_trains_the_model_as_its_own_fit_does(tiny_checkpoint: Path) -> None:
    weights = []
    for number in (1, 2):
        keras.utils.set_random_seed(0)
        model = classifier(load(tiny_checkpoint, hidden_dropout=0.0, attention_dropout=0.0))
        fitted = micro_batched(model, number)
        fitted.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
        fitted.fit(ids_of(10), np.arange(10) % 3, batch_size=5, epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5)


def test_the_frozen_lower_layers_of_a_cut_batch_have_no_dropout(tiny_checkpoint: Path) -> None:
    frozen = load(tiny_checkpoint, hidden_dropout=0.5)
    learning = BertModelLayer.from_params(frozen.config, train_layers=0)
    learning.build((None, None))
    states = [
        as_numpy(encode_in_micro_batches(learning, ids_of(4), 2, training=training)) for training in (True, False)
    ]
    np.testing.assert_array_equal(*states)


def test_a_step_casts_each_kernel_once_and_traces_the_layers_once(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = micro_batched(classifier(load(tiny_checkpoint, dtype="mixed_bfloat16")), 3)
    casts, calls = [], []
    cast_kernel, call = BertDense.cast_kernel, BertDense.call
    monkeypatch.setattr(BertDense, "cast_kernel", lambda self: casts.append(self) or cast_kernel(self))
    monkeypatch.setattr(BertDense, "call", lambda self, *args, **kw: calls.append(self) or call(self, *args, **kw))
    step = tf.function(lambda ids: model(ids, training=True), input_signature=[tf.TensorSpec((None, None), tf.int32)])
    step(ids_of(5))
    assert len(casts) == len(calls) == len(set(map(id, casts))) == 4 * 6  # layers, dense layers in each


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_step_reads_no_whole_embedding_table_and_keeps_weights_in_float32(tiny_checkpoint: Path, policy: str) -> None:
    """Outside of a mixed-precision layer Keras casts the weights of the layers in it, all 30,522 words among them."""
    bert = load(tiny_checkpoint, dtype=policy)
    whole = classifier(bert)
    for model in (whole, micro_batched(whole, 2)):
        step = tf.function(model, input_signature=[tf.TensorSpec((None, None), tf.int32)])
        operations = [node.op for node in step.get_concrete_function().graph.as_graph_def().node]
        assert ("ResourceGather" in operations, "GatherV2" in operations) == (True, False)
    embedded = as_numpy(bert.embeddings(ids_of(3)))
    exact = as_numpy(load(tiny_checkpoint).embeddings(ids_of(3)))
    np.testing.assert_array_equal(embedded, exact)


def test_one_micro_batch_is_the_model_itself_and_a_saved_one_comes_back_plain(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    model = classifier(load(tiny_checkpoint))
    assert micro_batched(model, 1) is model
    micro_batched(model, 2).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    np.testing.assert_allclose(as_numpy(again(ids_of(3))), as_numpy(model(ids_of(3))), rtol=0, atol=1e-6)
