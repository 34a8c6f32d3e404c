"""The encoder: a contract that every layer keeps, the arithmetic worked in numpy, masks, adapters, refusals."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY_CONFIG, tiny_weights

from intent_bert.bert.checkpoint import load_stock_weights
from intent_bert.bert.config import BertConfig, params_from_pretrained_ckpt
from intent_bert.bert.layers import (
    BertDropout,
    BertEmbeddings,
    BertEncoderLayer,
    BertModelLayer,
    BertProjection,
    BertSelfAttention,
)
from intent_bert.errors import SettingsError

Array = np.ndarray
UNLIKE_DEFAULTS = BertConfig(
    vocab_size=50,
    hidden_size=12,
    num_layers=2,
    num_heads=3,
    intermediate_size=20,
    gelu_approximate=False,
    hidden_dropout=0.2,
    attention_dropout=0.3,
    max_position_embeddings=16,
    token_type_vocab_size=3,
    initializer_range=0.3,
    layer_norm_epsilon=1e-3,
    adapter_size=5,
    adapter_activation="tanh",
    adapter_init_scale=0.4,
    out_layer_ndxs=[-1, 0],
)
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
WITHOUT_GRADIENT = "key/bias"  # it adds the same to all scores of a query, which the softmax takes away again


def as_numpy(tensor: Any) -> Array:
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def load(folder: Path, dtype: str = "float32", first_only: bool = False, **changes: Any) -> BertModelLayer:
    """The encoder of a checkpoint folder with its weights."""
    params = params_from_pretrained_ckpt(folder)
    params = BertConfig.from_dict(params.to_dict() | changes)
    bert = BertModelLayer.from_params(params, name="bert", dtype=dtype, first_only=first_only)
    bert.build((None, None))
    load_stock_weights(bert, folder)
    return bert


@pytest.fixture(scope="module")
def bert(tiny_checkpoint: Path) -> BertModelLayer:
    return load(tiny_checkpoint)


@pytest.fixture
def ids() -> Array:
    """Three sentences of 7, 4 and 1 tokens, padded to 7."""
    ids = np.random.default_rng(1).integers(5, 150, (3, 7)).astype("int32")
    ids[1, 4:] = ids[2, 1:] = 0
    return ids


# --- the contract --------------------------------------------------------------------------------------------------

B, T, H, INNER = 4, 6, UNLIKE_DEFAULTS.hidden_size, UNLIKE_DEFAULTS.intermediate_size


def _floats(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).normal(0, 1, shape).astype("float32")


def _whole(below: int) -> Array:
    return np.random.default_rng(below).integers(1, below, (B, T)).astype("int32")


LAYERS: dict[str, tuple[type, list[Array], int]] = {  # class, what it is called with, number of outputs
    "embeddings": (BertEmbeddings, [_whole(50), _whole(3)], 1),
    "attention": (BertSelfAttention, [_floats(B, T, H), np.where(_whole(4) == 1, -1e4, 0.0)[:, None, None, :]], 1),
    "projection": (BertProjection, [_floats(B, T, INNER), _floats(B, T, H)], 1),
    "encoder_layer": (BertEncoderLayer, [_floats(B, T, H), np.zeros((B, 1, 1, T), "float32")], 1),
    "bert": (BertModelLayer, [_whole(50), _whole(3)], 2),
}
CONTRACT = [(name, policy) for name in LAYERS for policy in POLICIES]


def make_model(name: str, policy: str) -> keras.Model:
    cls, arrays, _ = LAYERS[name]
    inputs = [keras.Input((None, *array.shape[2:]), dtype=str(array.dtype)) for array in arrays]
    if name in ("attention", "encoder_layer"):
        inputs[1] = keras.Input((1, 1, None), dtype="float32")
    layer = cls(UNLIKE_DEFAULTS, name=name, dtype=policy)
    return keras.Model(inputs, layer(inputs) if cls is BertModelLayer else layer(*inputs))


def answers(model: keras.Model, name: str) -> list[Array]:
    outputs = model(LAYERS[name][1], training=False)
    return [as_numpy(output) for output in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_comes_back_from_its_config(name: str) -> None:
    cls = LAYERS[name][0]
    layer = cls(UNLIKE_DEFAULTS, name=name, dtype="mixed_bfloat16")
    again = cls.from_config(layer.get_config())
    assert again.config == UNLIKE_DEFAULTS
    assert again.get_config() == layer.get_config()
    assert (again.name, again.dtype_policy.name) == (name, "mixed_bfloat16")


@pytest.mark.parametrize(("name", "policy"), CONTRACT)
def test_shapes_and_dtypes(name: str, policy: str) -> None:
    model = make_model(name, policy)
    outputs = model(LAYERS[name][1])
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    assert len(outputs) == len(model.outputs) == LAYERS[name][2]
    for output, symbolic in zip(outputs, model.outputs, strict=True):
        assert tuple(output.shape) == (B, T, H)
        assert tuple(symbolic.shape) == (None, None, H)
        assert output.dtype == symbolic.dtype == (policy.removeprefix("mixed_") if name == "bert" else "float32")
        assert np.isfinite(as_numpy(output)).all()
    assert {variable.dtype for variable in model.weights} == {"float32"}


@pytest.mark.parametrize(("name", "policy"), CONTRACT)
def test_one_training_step_changes_every_weight(name: str, policy: str) -> None:
    model = make_model(name, policy)
    before = [as_numpy(variable) for variable in model.trainable_weights]
    model.compile(keras.optimizers.SGD(0.5), "mse", run_eagerly=True)
    targets = [_floats(B, T, H)] * LAYERS[name][2]
    loss = model.train_on_batch(LAYERS[name][1], targets if len(targets) > 1 else targets[0])
    assert np.isfinite(loss).all()
    same = [
        variable.path
        for variable, value in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(as_numpy(variable), value) and not variable.path.endswith(WITHOUT_GRADIENT)
    ]
    assert before and not same


FRESH_PROCESS = """
import sys
import keras, numpy as np
import intent_bert.bert.layers
cases, answers = np.load(sys.argv[1]), {}
for key in sorted({file.split("|")[0] for file in cases.files}):
    model = keras.saving.load_model(f"{sys.argv[2]}/{key}.keras")
    outputs = model([cases[f"{key}|{index}"] for index in range(len(model.inputs))], training=False)
    for index, output in enumerate(outputs if isinstance(outputs, (list, tuple)) else [outputs]):
        answers[f"{key}|{index}"] = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
np.savez(sys.argv[3], **answers)
"""


@pytest.fixture(scope="module")
def fresh_process(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Array]], dict[str, Array]]:
    """What every layer answers here, and what it answers saved and loaded in one new process."""
    folder = tmp_path_factory.mktemp("saved_layers")
    here, inputs = {}, {}
    for name, policy in CONTRACT:
        key, model = f"{name}-{policy}", make_model(name, policy)
        model.save(folder / f"{key}.keras")
        here[key] = answers(model, name)
        inputs |= {f"{key}|{index}": array for index, array in enumerate(LAYERS[name][1])}
    np.savez(folder / "inputs.npz", **inputs)
    command = [sys.executable, "-c", FRESH_PROCESS, folder / "inputs.npz", folder, folder / "answers.npz"]
    subprocess.run(command, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    with np.load(folder / "answers.npz") as file:
        return here, dict(file)


@pytest.mark.parametrize(("name", "policy"), CONTRACT)
def test_saved_and_loaded_in_a_fresh_process(
    fresh_process: tuple[dict[str, list[Array]], dict[str, Array]], name: str, policy: str
) -> None:
    here, there = fresh_process
    key = f"{name}-{policy}"
    for index, expected in enumerate(here[key]):
        np.testing.assert_allclose(
            there[f"{key}|{index}"], expected, rtol=0, atol=1e-6 if policy == "float32" else 1e-2
        )


# --- the arithmetic, in numpy --------------------------------------------------------------------------------------


def numpy_encoder(weights: dict[str, Array], ids: Array, types: Array, mask: Array) -> list[Array]:
    """BERT as the papers write it, from weights under Google's names; the output of every layer."""
    heads, layers = TINY_CONFIG["num_attention_heads"], TINY_CONFIG["num_hidden_layers"]
    weights = {name: value.astype("float64") for name, value in weights.items()}

    def dense(x: Array, name: str) -> Array:
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    def normalise(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / spread * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    def gelu(x: Array) -> Array:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    tables = "bert/embeddings/"
    x = weights[tables + "word_embeddings"][ids] + weights[tables + "token_type_embeddings"][types]
    x = normalise(x + weights[tables + "position_embeddings"][: ids.shape[1]], tables + "LayerNorm")
    outputs = []
    for index in range(layers):
        base = f"bert/encoder/layer_{index}"
        query, key, value = (
            np.stack(np.split(dense(x, f"{base}/attention/self/{name}"), heads, axis=-1), axis=1)  # (B, N, T, D)
            for name in ("query", "key", "value")
        )
        scores = np.einsum("bnqd,bnkd->bnqk", query, key) / math.sqrt(query.shape[-1])
        scores = np.where(mask[:, None, None, :] != 0, scores, -np.inf)
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        context = np.einsum("bnqk,bnkd->bnqd", powers / powers.sum(-1, keepdims=True), value)
        context = np.concatenate([context[:, head] for head in range(heads)], axis=-1)
        attended = dense(context, f"{base}/attention/output/dense")
        x = normalise(attended + x, f"{base}/attention/output/LayerNorm")
        inner = gelu(dense(x, f"{base}/intermediate/dense"))
        x = normalise(dense(inner, f"{base}/output/dense") + x, f"{base}/output/LayerNorm")
        outputs.append(x)
    return outputs


def test_the_whole_encoder_worked_in_numpy(tiny_checkpoint: Path, ids: Array) -> None:
    bert = load(tiny_checkpoint, out_layer_ndxs=[0, 1, 2, 3])
    types = (ids % 2).astype("int32")
    mask = (ids != 0).astype("int32")
    mask[0, 3] = 0  # a hole, so that the mask is not that of the padding
    for ours, worked in zip(
        bert([ids, types], mask=mask), numpy_encoder(tiny_weights(), ids, types, mask), strict=True
    ):
        np.testing.assert_allclose(as_numpy(ours), worked, rtol=0, atol=1e-5)


def test_attention_of_one_head_on_two_tokens_by_hand() -> None:
    """Identity projections, so that query = key = value = x; sqrt(D) = 2."""
    layer = BertSelfAttention(BertConfig(vocab_size=9, hidden_size=4, num_heads=1))
    layer.build((None, None, 4))
    for projection in (layer.query, layer.key, layer.value):
        projection.kernel.assign(np.eye(4))
    x = np.array([[[2.0, 0, 0, 0], [0, 4, 0, 0]]], "float32")  # scores 4/2 0 / 0 16/2
    first, second = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-8))
    expected = [[2 * first, 4 * (1 - first), 0, 0], [2 * (1 - second), 4 * second, 0, 0]]
    np.testing.assert_allclose(as_numpy(layer(x, np.zeros((1, 1, 1, 2), "float32")))[0], expected, rtol=0, atol=1e-6)
    hidden = as_numpy(layer(x, np.array([[[[0.0, -1e4]]]], "float32")))[0]  # the second token is padding
    np.testing.assert_array_equal(hidden, [[2, 0, 0, 0], [2, 0, 0, 0]])


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


# --- dropout -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "share"), [(0.1, 0.1), (0.5, 0.5), (1e-6, 0.0), (0.999999, 1.0)])
@pytest.mark.parametrize("shape", [(300, 400), (7, 11, 13, 15)])
def test_dropout_drops_a_share_and_keeps_the_mean(shape: tuple[int, ...], rate: float, share: float) -> None:
    layer = BertDropout(rate, seed=3)
    ones = keras.ops.ones(shape)
    found, again = (layer(ones, training=True).numpy() for _ in range(2))
    sigma = math.sqrt(max(rate * (1 - rate), 1e-9) / ones.numpy().size)
    assert found.shape == shape
    assert abs((found == 0).mean() - share) < 5 * sigma + 1e-5
    if 0 < share < 1:
        np.testing.assert_allclose(found[found > 0], 1 / (1 - rate), rtol=1e-4)
        flat, next_flat = (each.reshape(-1) == 0 for each in (found, again))
        for left, right in (
            (flat[::2], flat[1::2][: flat[::2].size]),
            (flat, next_flat),
        ):  # of one number; of two calls
            assert abs(np.corrcoef(left[: right.size], right)[0, 1]) < 5 / math.sqrt(right.size)
    with tf.GradientTape() as tape:
        tape.watch(ones)
        dropped = layer(ones, training=True)
    np.testing.assert_array_equal(tape.gradient(dropped, ones), dropped)
    np.testing.assert_array_equal(layer(ones, training=False), ones)


def test_dropout_follows_its_seed() -> None:
    ones = keras.ops.ones((20, 30))
    layers = [BertDropout(0.3, seed=seed) for seed in (5, 5, 6)]
    first, same, other = (layer(ones, training=True).numpy() for layer in layers)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


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


def test_an_adapter_by_hand() -> None:
    """The dense layer is the identity and down adds up: x -> x + (1, 2, 0) tanh(sum of x) + residual, normalised."""
    config = BertConfig(vocab_size=9, hidden_size=3, num_heads=1, adapter_size=1, adapter_activation="tanh")
    layer = BertProjection(config)
    layer.build((None, None, 3))
    layer.project.kernel.assign(np.eye(3))
    layer.adapter_down.kernel.assign(np.ones((3, 1)))
    layer.adapter_up.kernel.assign([[1.0, 2.0, 0.0]])
    mixed = np.array([1 + math.tanh(3.5) + 0.5, 3 + 2 * math.tanh(3.5) - 2, -0.5 + 1])
    expected = (mixed - mixed.mean()) / mixed.std()
    answer = layer(np.array([[[1.0, 3.0, -0.5]]]), np.array([[[0.5, -2.0, 1.0]]]))
    np.testing.assert_allclose(as_numpy(answer)[0, 0], expected, rtol=0, atol=1e-5)


# --- in parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sentences", [1, 2, 5])
@pytest.mark.parametrize("settings", [{}, {"first_only": True}, {"out_layer_ndxs": [0, -1]}])
def test_a_batch_cut_in_parts_gives_the_same_states_and_gradients(tiny_checkpoint, sentences, settings) -> None:
    ids = np.random.default_rng(0).integers(1, 30, (sentences, 6)).astype("int32")
    ids[0, 4:] = 0
    bert = load(tiny_checkpoint, **settings)

    def states_and_gradients(parts: int) -> list[Array]:
        bert.parts = parts
        with tf.GradientTape() as tape:
            states = bert(ids)
            states = states if isinstance(states, list) else [states]
            total = sum(tf.reduce_sum(each * tf.sin(each)) for each in states)
        gradients = tape.gradient(total, [weight.value for weight in bert.trainable_weights])
        return [np.asarray(tf.convert_to_tensor(each)) for each in (*states, *gradients)]

    whole = states_and_gradients(1)
    for parts in (2, 3):
        for ours, expected in zip(states_and_gradients(parts), whole, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-5 * max(1, np.abs(expected).max()))
