"""The hand-written gradients against TensorFlow's own, in float64 where that can be."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from intent_bert.bert.gradients import add_and_normalise, gelu_erf, gelu_tanh

EPSILON = 1e-12


def plain_gelu_erf(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=False)


def plain_gelu_tanh(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=True)


def plain_layer_norm(x: Any, residual: Any, gamma: Any, beta: Any) -> Any:
    total = x + residual
    mean, variance = tf.nn.moments(total, -1, keepdims=True)
    return (total - mean) / tf.sqrt(variance + EPSILON) * gamma + beta


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, shape)


def value_and_gradients(function: Callable, arguments: list[np.ndarray], dtype: str, in_graph: bool) -> list:
    """The value, and the gradients of a weighted sum of it, all as float64."""
    values = [tf.constant(each, dtype) for each in arguments]

    def run() -> list:
        with tf.GradientTape() as tape:
            tape.watch(values)
            value = function(*values)
            weights = tf.cast(tf.reshape(tf.range(tf.size(value)) % 7 - 3, tf.shape(value)), value.dtype)
            total = tf.reduce_sum(value * weights)
        return [value, *tape.gradient(total, values)]

    return [np.asarray(each, "float64") for each in (tf.function(run) if in_graph else run)()]


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize(("ours", "plain"), [(gelu_erf, plain_gelu_erf), (gelu_tanh, plain_gelu_tanh)])
def test_gelu_and_its_slope_are_those_of_keras(ours: Callable, plain: Callable, in_graph: bool) -> None:
    x = np.concatenate([numbers(300, scale=2), [-30.0, -5.0, -0.0, 0.0, 5.0, 30.0]]).reshape(3, 2, -1)
    found = value_and_gradients(ours, [x], "float32", in_graph)
    expected = value_and_gradients(plain, [x.astype("float32")], "float64", in_graph)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5)  # 1 + tanh is rounded


@pytest.mark.parametrize(
    ("gelu", "at_one", "at_minus_two"), [(gelu_erf, 0.841345, -0.045500), (gelu_tanh, 0.841192, -0.045402)]
)
def test_the_two_gelus_differ(gelu: Callable, at_one: float, at_minus_two: float) -> None:
    found = np.asarray(gelu(tf.constant([0.0, 1.0, -2.0])))
    np.testing.assert_allclose(found, [0, at_one, at_minus_two], rtol=0, atol=1e-6)


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("shape", [(7, 12), (2, 5, 12), (1, 12)])
def test_layer_norm_and_its_gradients_are_those_of_tensorflow(shape: tuple[int, ...], in_graph: bool) -> None:
    arguments = [numbers(*shape, scale=3), numbers(*shape, seed=1), 1 + numbers(12, seed=2), numbers(12, seed=3)]
    found = value_and_gradients(lambda *all: add_and_normalise(*all, EPSILON), arguments, "float32", in_graph)
    single = [each.astype("float32") for each in arguments]
    expected = value_and_gradients(plain_layer_norm, single, "float64", in_graph)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 * max(1, np.abs(other).max()))


def test_layer_norm_keeps_its_precision_far_from_zero() -> None:
    x = 1000 + numbers(4, 12)
    found = add_and_normalise(tf.constant(x, "float32"), tf.zeros((4, 12)), tf.ones(12), tf.zeros(12), EPSILON)
    rounded = x.astype("float32").astype("float64")
    expected = (rounded - rounded.mean(-1, keepdims=True)) / rounded.std(-1, keepdims=True)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-3)


def test_a_residual_without_the_batch_is_spread_over_it() -> None:
    words, positions = tf.constant(numbers(3, 5, 12), "float32"), tf.constant(numbers(5, 12, seed=1), "float32")
    with tf.GradientTape() as tape:
        tape.watch(positions)
        found = add_and_normalise(words, positions, tf.ones(12), tf.zeros(12), EPSILON)
        total = tf.reduce_sum(found * found[..., ::-1])
    one_by_one = [add_and_normalise(each, positions, tf.ones(12), tf.zeros(12), EPSILON) for each in words]
    np.testing.assert_allclose(np.asarray(found), np.asarray(one_by_one), rtol=0, atol=1e-6)
    assert tape.gradient(total, positions).shape == (5, 12)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_lower_precision_is_computed_in_float32(dtype: str) -> None:
    x = tf.cast(tf.constant(numbers(4, 12)), dtype)
    for found in (
        gelu_erf(x), gelu_tanh(x), add_and_normalise(x, x, tf.ones(12), tf.zeros(12), EPSILON)
    ):  # fmt: skip
        assert found.dtype == tf.float32
    assert math.isclose(float(gelu_erf(tf.constant([1.0], dtype))[0]), 0.841345, abs_tol=1e-6)
