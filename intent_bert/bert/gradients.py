"""GELU and add-and-normalise with their gradients written by hand.

TensorFlow's own gradients of these take some thirty passes over memory; on a CPU that is a fifth of a training step.
Both compute in float32 whatever they are given. M rows, H columns.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from keras import ops

_SQRT_HALF = math.sqrt(0.5)
_DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)
_TANH_SCALE, _TANH_CUBIC = math.sqrt(2 / math.pi), 0.044715


def _upstream(arguments: tuple, upstream: Any) -> Any:
    """The gradient from above: TensorFlow and JAX give it as the one argument, PyTorch by name."""
    return arguments[0] if upstream is None else upstream


def _with_slope(function: Callable[[Any], tuple[Any, Callable[[], Any]]]) -> Callable[[Any], Any]:
    """An elementwise function of x from one that gives its value and how to get its derivative."""

    @ops.custom_gradient
    def in_float32(x: Any) -> tuple[Any, Callable]:
        value, slope = function(x)

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            return _upstream(arguments, upstream) * slope()

        return value, gradient

    @wraps(function)
    def gelu(x: Any) -> Any:
        return in_float32(ops.cast(x, "float32"))

    return gelu


@_with_slope
def gelu_erf(x: Any) -> tuple[Any, Callable[[], Any]]:
    """GELU in the exact form of Hugging Face's BERT: x/2 (1 + erf(x / sqrt 2)); float32, of the shape of x."""
    scaled = x * _SQRT_HALF
    cdf = 0.5 + 0.5 * ops.erf(scaled)  # of the normal distribution
    return x * cdf, lambda: cdf + ops.exp(-ops.square(scaled)) * (x * _DENSITY_AT_0)


@_with_slope
def gelu_tanh(x: Any) -> tuple[Any, Callable[[], Any]]:
    """GELU in the tanh form of Google's BERT code; float32, of the shape of x."""
    square = ops.square(x)
    tanh = ops.tanh(x * (_TANH_SCALE + _TANH_SCALE * _TANH_CUBIC * square))
    cdf = 0.5 + 0.5 * tanh  # about that of the normal distribution

    def slope() -> Any:
        inner = 0.5 * _TANH_SCALE + 1.5 * _TANH_SCALE * _TANH_CUBIC * square
        return cdf + x * (1 - ops.square(tanh)) * inner

    return x * cdf, slope


def add_and_normalise(x: Any, residual: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """LayerNorm (Ba et al., arXiv:1607.06450) of ``x + residual``, both (..., H); float32, of the same shape."""
    width = gamma.shape[-1]
    average = ops.full((width, 1), 1 / width, "float32")  # row means as a product: a reduction is slower

    @ops.custom_gradient
    def normalise(total: Any, gamma: Any, beta: Any) -> tuple[Any, Callable]:
        centred = total - ops.matmul(total, average)
        scale = ops.rsqrt(ops.matmul(ops.square(centred), average) + epsilon)
        x_hat = centred * scale  # the paper's name

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            upstream = _upstream(arguments, upstream)  # (M, H)
            product = upstream * x_hat
            column = ops.transpose(gamma) * average
            correction = ops.matmul(upstream, column) + x_hat * ops.matmul(product, column)
            sums = (ops.sum(each, axis=0, keepdims=True) for each in (product, upstream))
            return (upstream * gamma - correction) * scale, *sums

        return x_hat * gamma + beta, gradient

    total = ops.cast(x, "float32") + ops.cast(residual, "float32")
    rows = ops.reshape(total, (-1, width))
    weights = (ops.reshape(ops.cast(each, "float32"), (1, width)) for each in (gamma, beta))
    return ops.reshape(normalise(rows, *weights), ops.shape(total))
