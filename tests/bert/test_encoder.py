"""The whole encoder: its arithmetic in numpy, masks, padding, outputs, lengths, adapters and what is frozen."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny_weights
from encoders import UNLIKE_DEFAULTS, Array, as_numpy, load, numpy_encoder

from intent_bert.bert.config import BertConfig, params_from_pretrained_ckpt
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.errors import SettingsError


@pytest.fixture(scope="module")
def bert(tiny_checkpoint: Path) -> BertModelLayer:
    return load(tiny_checkpoint)


@pytest.fixture
def ids() -> Array:
    """Three sentences of 7, 4 and 1 tokens, padded to 7."""
    ids = np.random.default_rng(1).integers(5, 150, (3, 7)).astype("int32")
    ids[1, 4:] = ids[2, 1:] = 0
    return ids


def test_the_whole_encoder_worked_in_numpy(tiny_checkpoint: Path, ids: Array) -> None:
    bert = load(tiny_checkpoint, out_layer_ndxs=[0, 1, 2, 3])
    types = (ids % 2).astype("int32")
    mask = (ids != 0).astype("int32")
    mask[0, 3] = 0  # a hole, so that the mask is not that of the padding
    for ours, worked in zip(
        bert([ids, types], mask=mask), numpy_encoder(tiny_weights(), ids, types, mask), strict=True
    ):
        np.testing.assert_allclose(as_numpy(ours), worked, rtol=0, atol=1e-5)


# --- segments, masks, padding, order -------------------------------------------------------------------------------


def test_without_token_types_every_token_is_of_segment_0(bert: BertModelLayer, ids: Array) -> None:
    alone = as_numpy(bert(ids))
    np.testing.assert_array_equal(as_numpy(bert([ids, np.zeros_like(ids)])), alone)
    assert np.abs(as_numpy(bert((ids, np.ones_like(ids)))) - alone).max() > 0.1


def test_more_padding_changes_nothing(bert: BertModelLayer, ids: Array) -> None:
    padded = np.pad(ids, ((0, 0), (0, 41)))
    np.testing.assert_allclose(as_numpy(bert(padded))[:, :7], as_numpy(bert(ids)), rtol=0, atol=1e-5)
    alone = as_numpy(bert(ids[1:2, :4]))
    np.testing.assert_allclose(as_numpy(bert(padded))[1:2, :4], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_more_padding_changes_nothing_in_half_precision(tiny_checkpoint: Path, ids: Array, policy: str) -> None:
    half = load(tiny_checkpoint, dtype=policy)
    padded = as_numpy(half(np.pad(ids, ((0, 0), (0, 41)))))[:, :7]
    np.testing.assert_allclose(padded, as_numpy(half(ids)), rtol=0, atol=0.05)


def test_batch_order_changes_nothing(bert: BertModelLayer, ids: Array) -> None:
    order = [2, 0, 1]
    np.testing.assert_allclose(as_numpy(bert(ids[order])), as_numpy(bert(ids))[order], rtol=0, atol=1e-5)


def test_a_row_of_nothing_but_padding_is_finite(bert: BertModelLayer) -> None:
    assert np.isfinite(as_numpy(bert(np.zeros((2, 5), "int32")))).all()


@pytest.mark.parametrize("kind", ["bool", "int32", "float32", "list"])
def test_an_explicit_mask_wins_over_that_of_the_padding(bert: BertModelLayer, ids: Array, kind: str) -> None:
    mask = np.ones_like(ids)
    mask[:, 2] = 0
    given: Any = [mask, None] if kind == "list" else mask.astype(kind)
    worked = numpy_encoder(tiny_weights(), ids, np.zeros_like(ids), mask)[-1]
    np.testing.assert_allclose(as_numpy(bert(ids, mask=given)), worked, rtol=0, atol=1e-5)


def test_a_masked_token_reaches_no_other(bert: BertModelLayer, ids: Array) -> None:
    mask = np.ones_like(ids)
    mask[:, 2] = 0
    changed = ids.copy()
    changed[:, 2] = 77
    before, after = as_numpy(bert(ids, mask=mask)), as_numpy(bert(changed, mask=mask))
    others = [0, 1, 3, 4, 5, 6]
    np.testing.assert_allclose(after[:, others], before[:, others], rtol=0, atol=1e-6)
    assert np.abs(after[:, 2] - before[:, 2]).max() > 0.1
    assert np.abs(as_numpy(bert(changed)) - as_numpy(bert(ids)))[0, others].max() > 0.01  # unmasked, it does


# --- outputs -------------------------------------------------------------------------------------------------------


def test_out_layer_ndxs_in_their_order(tiny_checkpoint: Path, bert: BertModelLayer, ids: Array) -> None:
    every = [as_numpy(state) for state in load(tiny_checkpoint, out_layer_ndxs=[0, 1, 2, 3])(ids)]
    some = [as_numpy(state) for state in load(tiny_checkpoint, out_layer_ndxs=[-1, 0, -3])(ids)]
    assert len(some) == 3
    for state, index in zip(some, (3, 0, 1), strict=True):
        np.testing.assert_array_equal(state, every[index])
    np.testing.assert_array_equal(as_numpy(bert(ids)), every[3])
    assert np.abs(every[0] - every[3]).max() > 0.1


def test_output_shapes_are_known_before_any_call() -> None:
    bert = BertModelLayer.from_params(UNLIKE_DEFAULTS)
    assert bert.compute_output_shape([(None, 9), (None, 9)]) == [(None, 9, 12)] * 2
    last = BertModelLayer.from_params(BertConfig(vocab_size=9, hidden_size=12))
    assert last.compute_output_shape((None, None)) == (None, None, 12)


def test_from_params_keeps_its_own_copy() -> None:
    params = BertConfig.from_dict(UNLIKE_DEFAULTS.to_dict())
    bert = BertModelLayer.from_params(params)
    params.adapter_size = None
    assert bert.config.adapter_size == 5


# --- too many tokens -----------------------------------------------------------------------------------------------

TOO_MANY = "49 tokens are too many: this checkpoint has 48 positions"


def test_too_many_tokens_where_the_length_is_known(bert: BertModelLayer, tiny_checkpoint: Path) -> None:
    with pytest.raises(SettingsError, match=TOO_MANY):
        bert(np.ones((2, 49), "int32"))
    params = params_from_pretrained_ckpt(tiny_checkpoint)
    with pytest.raises(SettingsError, match=TOO_MANY):
        BertModelLayer.from_params(params).build((None, 49))
    with pytest.raises(SettingsError, match=TOO_MANY):
        BertModelLayer.from_params(params)([keras.Input((49,), dtype="int32"), keras.Input((49,), dtype="int32")])
    assert bert(np.ones((1, 48), "int32")).shape == (1, 48, 32)


def test_too_many_tokens_where_the_graph_learns_it_late(bert: BertModelLayer) -> None:
    graph = tf.function(bert, input_signature=[tf.TensorSpec((None, None), tf.int32)])
    assert graph(tf.ones((1, 48), tf.int32)).shape == (1, 48, 32)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"in \[0, 48\], but got 49"):
        graph(tf.ones((1, 49), tf.int32))


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)])
def test_dropout_acts_in_training_only(tiny_checkpoint: Path, ids: Array, rates: tuple[float, float]) -> None:
    bert = load(tiny_checkpoint, hidden_dropout=rates[0], attention_dropout=rates[1])
    answer, trained = as_numpy(bert(ids, training=False)), as_numpy(bert(ids, training=True))
    np.testing.assert_array_equal(as_numpy(bert(ids)), answer)
    if any(rates):
        assert np.abs(trained - answer).max() > 0.1
        assert np.abs(as_numpy(bert(ids, training=True)) - trained).max() > 0.1
    else:
        np.testing.assert_array_equal(trained, answer)


# --- adapters ------------------------------------------------------------------------------------------------------


def adapter_names(layers: int) -> set[str]:
    places = [f"bert/layer_{index}/{part}" for index in range(layers) for part in ("attention_output", "output")]
    names = {
        f"{place}/adapter-{way}/{kind}" for place in places for way in ("down", "up") for kind in ("kernel", "bias")
    }
    norms = {f"{place}/LayerNorm/{kind}" for place in [*places, "bert/embeddings"] for kind in ("gamma", "beta")}
    return names | norms


def test_adapter_freeze_leaves_the_adapters_and_norms(tiny_checkpoint: Path, tmp_path: Path) -> None:
    bert = load(tiny_checkpoint, adapter_size=6)
    assert len(bert.trainable_weights) == len(bert.weights)
    bert.apply_adapter_freeze()
    assert {variable.path for variable in bert.trainable_weights} == adapter_names(4)
    inputs = keras.Input((None,), dtype="int32")
    keras.Model(inputs, bert(inputs)).save(tmp_path / "frozen.keras")
    again = keras.saving.load_model(tmp_path / "frozen.keras").get_layer("bert")
    assert {variable.path for variable in again.trainable_weights} == adapter_names(4)


def test_freezing_without_adapters_changes_nothing(tiny_checkpoint: Path) -> None:
    bert = load(tiny_checkpoint)
    bert.apply_adapter_freeze()
    assert len(bert.trainable_weights) == len(bert.weights) == 69


def test_training_with_adapters_leaves_the_rest_alone(tiny_checkpoint: Path, ids: Array) -> None:
    bert = load(tiny_checkpoint, adapter_size=6)
    bert.apply_adapter_freeze()
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, bert(inputs))
    before = {variable.path: as_numpy(variable) for variable in bert.weights}
    model.compile(keras.optimizers.SGD(0.5), "mse", run_eagerly=True)
    model.train_on_batch(ids, np.ones((3, 7, 32), "float32"))
    changed = {variable.path for variable in bert.weights if (as_numpy(variable) != before[variable.path]).any()}
    assert changed == adapter_names(4)


def test_new_adapters_hardly_change_the_answer(tiny_checkpoint: Path, bert: BertModelLayer, ids: Array) -> None:
    adapted = as_numpy(load(tiny_checkpoint, adapter_size=6)(ids))
    assert 0 < np.abs(adapted - as_numpy(bert(ids))).max() < 1e-3
