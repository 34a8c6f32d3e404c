"""TensorFlow's shortcuts for the encoder and its optimizer, each beside a way that any Keras backend takes.

Every function here computes the same on all backends, but for the random numbers of ``dropout``. Elsewhere in the
encoder, the head and the optimizer all is ``keras.ops``. Why each shortcut is taken is told in docs/speed.md.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from intent_bert.errors import SettingsError


def on_tensorflow() -> bool:
    """Whether Keras computes with TensorFlow, and not with JAX or another backend."""
    return keras.backend.backend() == "tensorflow"


_processes: list[int] = []  # the first that has used TensorFlow here; a forked one finds its parent's


def refuse_after_fork() -> None:
    """To be called before TensorFlow computes: its threads do not come along into a forked process.

    Raises:
        SettingsError: this process was forked from one that has used TensorFlow, and would wait for ever.
    """
    if not on_tensorflow():
        return
    if not _processes:
        _processes.append(os.getpid())
    if os.getpid() not in _processes:
        raise SettingsError(
            "TensorFlow can't compute in a process that was forked from one that has used it: start processes with "
            "multiprocessing.get_context('spawn'), or predict with the engine 'onnx'"
        )


def rows_of(table: keras.Variable, numbers: Any) -> Any:
    """The rows of a table (V, H) with these numbers: int (...) -> (..., H) in the table's dtype.

    On TensorFlow the gradient holds these rows alone, and the table is not copied.
    """
    if not on_tensorflow():
        return ops.take(table, numbers, axis=0)

    import tensorflow as tf

    return tf.gather(table.value, numbers)  # ops.take first reads, and may cast, the whole table


def dropout(x: Any, rate: float, seeds: keras.random.SeedGenerator) -> Any:
    """Set a share ``rate`` of the elements to 0 and scale the others by 1 / (1 - rate); any shape and float dtype.

    TensorFlow's random numbers are most of what dropout costs on a CPU. So each one is cut into two halves, and the
    rate is rounded to a whole number of 65,536ths.
    """
    dropped = round(rate * 2**16)
    if dropped in (0, 2**16) or not on_tensorflow():
        return keras.random.dropout(x, rate, seed=seeds)

    import tensorflow as tf

    size, seed = tf.size(x), tf.bitcast(tf.cast(seeds.next(), "uint32"), "int32")
    bits = tf.random.stateless_uniform([(size + 1) // 2], seed, None, None, "int32")
    halves = tf.reshape(tf.bitcast(bits, "int16"), [-1])[:size]  # from -32,768 to 32,767
    kept = tf.cast(tf.reshape(halves, tf.shape(x)) >= dropped - 2**15, x.dtype)
    return x * (kept * (2**16 / (2**16 - dropped)))


def traced_once(function: Callable, inputs: Sequence[tuple[tuple, str]]) -> Callable:
    """The function as one TensorFlow graph for all sizes, traced at the first call; as it is on other backends.

    Args:
        function: takes and gives tensors.
        inputs: the shape, with None for a size that changes, and the dtype of each input.
    """
    if not on_tensorflow():
        return function

    import tensorflow as tf

    signature = [tf.TensorSpec(shape, dtype) for shape, dtype in inputs]
    return tf.function(function, input_signature=signature, autograph=False)


def fused_adam(weight: Any, moments: Sequence[Any], gradient: Any, rate: Any, optimizer: keras.optimizers.Adam) -> bool:
    """Update a weight and Adam's two averages in one TensorFlow operation; False, and nothing done, elsewhere.

    A gradient that holds rows of the weight (from ``rows_of``) updates these rows and their averages alone.

    Args:
        weight: the variable.
        moments: the averages of its gradient and of the gradient's square, variables of its shape.
        gradient: of the weight's shape, or rows of it (``tf.IndexedSlices``).
        rate: the learning rate, with the correction of both averages' bias in it.
        optimizer: gives ``beta_1``, ``beta_2`` and ``epsilon``.
    """
    if not on_tensorflow():
        return False

    import tensorflow as tf

    variable, m, v = (each.value if isinstance(each, keras.Variable) else each for each in (weight, *moments))
    rate = tf.cast(rate, variable.dtype)
    if isinstance(gradient, tf.IndexedSlices):
        _update_rows(variable, m, v, gradient, rate, optimizer)
        return True
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=m.handle,
        v=v.handle,
        beta1_power=0.0,
        beta2_power=0.0,
        lr=rate,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=tf.cast(gradient, variable.dtype),
    )
    return True


def _update_rows(weight: Any, m: Any, v: Any, gradient: Any, rate: Any, optimizer: keras.optimizers.Adam) -> None:
    import tensorflow as tf

    rows, places = tf.unique(tf.reshape(gradient.indices, [-1]))
    values = tf.reshape(gradient.values, [-1, weight.shape[-1]])
    summed = tf.math.unsorted_segment_sum(values, places, tf.size(rows))  # (rows, H)
    new_m = optimizer.beta_1 * tf.gather(m, rows) + (1 - optimizer.beta_1) * summed
    new_v = optimizer.beta_2 * tf.gather(v, rows) + (1 - optimizer.beta_2) * tf.square(summed)
    m.scatter_update(tf.IndexedSlices(new_m, rows))
    v.scatter_update(tf.IndexedSlices(new_v, rows))
    weight.scatter_sub(tf.IndexedSlices(rate * new_m / (tf.sqrt(new_v) + optimizer.epsilon), rows))
