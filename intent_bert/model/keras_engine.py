"""A Keras model that computes logits and vectors, in batches of about one length."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from intent_bert.bert.backend import on_tensorflow, refuse_after_fork, traced_once
from intent_bert.data.batches import Ids, pad
from intent_bert.files.progress import progress_bar
from intent_bert.machine import batches_side_by_side
from intent_bert.model.decision import Outputs
from intent_bert.model.network import outputs_model

KERAS = "keras"


class KerasEngine:
    """A classifier in memory, in batches of so many sentences."""

    name = KERAS

    def __init__(self, model: keras.Model, batch_size: int = 64) -> None:
        self._function, self._batch_size = _outputs_function(model), batch_size
        self._classes = model.output_shape[-1]

    def outputs(self, ids: Sequence[Ids], progress: str | None = None) -> Outputs:
        """Ids of sentences of any length -> logits (N, C) and vectors (N, F), float32, in their order."""
        both = predict_in_batches(self._function, ids, self._function.width, self._batch_size, progress)
        return Outputs(both[:, : self._classes], both[:, self._classes :])


class _OutputsFunction:
    """Padded ids (B, T) -> logits and vectors side by side, float32 (B, C + F)."""

    def __init__(self, model: keras.Model) -> None:
        outputs = outputs_model(model)
        self._function, self.width = compiled(outputs), sum(shape[-1] for shape in outputs.output_shape)

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        return np.concatenate(self._function(ids), axis=1)


def _outputs_function(model: keras.Model) -> _OutputsFunction:
    """Made once for a model, for it takes seconds to trace."""
    if not hasattr(model, "_outputs_function"):
        model._outputs_function = _OutputsFunction(model)
    return model._outputs_function


def compiled(model: keras.Model) -> Callable[..., Any]:
    """A compiled function from the model's inputs, such as padded ids (B, T), to its outputs, as numpy arrays.

    On TensorFlow one graph serves every shape; elsewhere each shape is compiled when it first comes.
    """

    def packed(inputs: tuple) -> Any:
        return list(inputs) if len(inputs) > 1 else inputs[0]

    if not on_tensorflow():
        return lambda *inputs: model.predict_on_batch(packed(inputs))
    call = traced_once(
        lambda *inputs: model(packed(inputs), training=False), [(each.shape, each.dtype) for each in model.inputs]
    )
    convert = keras.ops.convert_to_tensor
    return lambda *inputs: keras.tree.map_structure(keras.ops.convert_to_numpy, call(*map(convert, inputs)))


@contextmanager
def quiet_about_tracing() -> Iterator[None]:
    """Drops TensorFlow's warning, from the fifth model in a process on, that a function was traced anew: it must be."""

    def other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    log = logging.getLogger("tensorflow")
    log.addFilter(other)
    try:
        yield
    finally:
        log.removeFilter(other)


@quiet_about_tracing()
def predict_in_batches(
    predict: Callable[..., np.ndarray],
    ids: Sequence[Ids],
    width: int,
    batch_size: int = 64,
    progress: str | None = None,
    inputs: Callable[[np.ndarray], tuple[np.ndarray, ...]] | None = None,
) -> np.ndarray:
    """What ``predict`` gives, (sentences, width) float32 in the order of ``ids``, in batches of about one length.

    Where each operation has one core, several batches are computed side by side.

    Args:
        predict: batch inputs -> float32 (B, width); called from several threads.
        inputs: gives what ``predict`` takes for these rows; by default their padded ids.
        progress: names a bar on stderr that shows when the work takes over two seconds.
    """
    refuse_after_fork()
    if inputs is None:
        inputs = lambda rows: (pad([ids[row] for row in rows]),)  # noqa: E731
    order = np.argsort([len(sentence) for sentence in ids], kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    predictions = np.zeros((len(ids), width), "float32")

    def predict_rows(rows: np.ndarray) -> None:
        predictions[rows] = predict(*inputs(rows))

    with progress_bar(len(ids), progress, "sentence", delay=2, leave=False) as bar:
        for rows in batches[:1]:  # alone: it traces the graph
            predict_rows(rows)
            bar.update(len(rows))
        with ThreadPoolExecutor(batches_side_by_side()) as pool:
            for rows, _ in zip(batches[1:], pool.map(predict_rows, batches[1:]), strict=True):
                bar.update(len(rows))
    return predictions
