"""The layers: a contract that every one keeps, attention, dropout and an adapter worked by hand."""

import math
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from encoders import UNLIKE_DEFAULTS, Array, as_numpy

from intent_bert.bert.config import BertConfig
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.layers import BertDropout, BertEmbeddings, BertEncoderLayer, BertProjection, BertSelfAttention

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
WITHOUT_GRADIENT = "key/bias"  # it adds the same to all scores of a query, which the softmax takes away again


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
import intent_bert.bert.encoder
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


@pytest.mark.slow
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


# --- worked by hand --------------------------------------------------------------------------------------------------


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


# --- dropout ---------------------------------------------------------------------------------------------------------


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
