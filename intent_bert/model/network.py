"""The classifier: a BERT encoder, a head, and a softmax over the intents.

    input_ids (B, T) -> BertModelLayer (B, T, H) -> head -> softmax (B, C)

    head     dense    pooling (B, H) -> dropout -> dense tanh -> dropout
             linear   pooling (B, H) -> dropout
             rnn      bidirectional LSTM over the tokens (B, 2 * RNN_UNITS) -> dropout

B sentences, T tokens, H hidden_size, C intents. The model answers with probabilities; train it with
``SparseCategoricalCrossentropy()`` as it is: Keras finds the softmax and computes the loss from what went into it.
Nothing here reads tables or trains.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from intent_bert.bert.backend import on_tensorflow, traced_once
from intent_bert.bert.checkpoint import check_checkpoint_folder, load_stock_weights
from intent_bert.bert.config import BertConfig, params_from_pretrained_ckpt
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.layers import PACKAGE
from intent_bert.bert.pretrained import DEFAULT_CHECKPOINT, resolve
from intent_bert.config import DEFAULT_DROPOUT, TrainingConfig, check_head, check_pooling, trained_layers
from intent_bert.data.batches import Ids, Label, pad
from intent_bert.errors import SettingsError
from intent_bert.files.progress import progress_bar
from intent_bert.machine import precision_here

RNN_UNITS = 128  # in each direction
_LAST_FOUR = [-4, -3, -2, -1]
_HDF5_OVERHEAD = 4096  # bytes that a weight file takes for each weight beyond its numbers, at most


@keras.saving.register_keras_serializable(PACKAGE)
class TokenPooling(keras.layers.Layer):
    """One vector a sentence from its hidden states; padding is left out.

    ``cls`` takes the [CLS] row, ``mean`` and ``max`` go over the tokens, ``sum_last_four``, ``mean_last_four`` and
    ``concat_last_four`` first add, average or join each token's vectors of the last four layers and then average over
    the tokens. Called with ``(hidden_states, input_ids)``, hidden_states being (B, T, H) or, for the last three, a
    list of four of them.
    """

    def __init__(self, pooling: str = "cls", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_pooling(pooling)
        self.pooling = pooling

    def build(self, *_: Any) -> None:
        self.built = True

    def call(self, hidden_states: Any, input_ids: Any) -> Any:
        if self.pooling == "cls":
            return hidden_states[:, 0, :]  # (B, H)
        if self.pooling in ("sum_last_four", "mean_last_four"):
            total = sum(hidden_states[1:], hidden_states[0])
            hidden_states = total / len(hidden_states) if self.pooling == "mean_last_four" else total
        elif self.pooling == "concat_last_four":
            hidden_states = ops.concatenate(hidden_states, axis=-1)  # (B, T, 4H)
        mask = ops.expand_dims(ops.cast(ops.not_equal(input_ids, 0), hidden_states.dtype), -1)  # (B, T, 1)
        if self.pooling == "max":
            return ops.max(hidden_states - (1 - mask) * 1e4, axis=1)
        return ops.sum(hidden_states * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1)

    def compute_output_shape(self, hidden_shape: Any, *_: Any) -> tuple:
        if self.pooling == "concat_last_four":
            return (hidden_shape[0][0], 4 * hidden_shape[0][-1])
        if self.pooling in ("sum_last_four", "mean_last_four"):
            hidden_shape = hidden_shape[0]
        return (hidden_shape[0], hidden_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling": self.pooling}


def create_model(
    max_seq_len: int,
    bert_ckpt_file: str | PathLike = DEFAULT_CHECKPOINT,
    classes: Sequence[Label] | int = 7,
    *,
    pooling: str = "cls",
    dropout: float = DEFAULT_DROPOUT,
    head: str = "dense",
    train_layers: str | int = "all",
    adapter_size: int | None = None,
    dtype: Any = None,
) -> keras.Model:
    """A classifier with pretrained weights in its encoder, ready to be compiled and trained.

    Args:
        max_seq_len: the longest sentence it must take, in tokens; any shorter one is taken as well.
        bert_ckpt_file: a known name ("all-MiniLM-L6-v2"), a checkpoint folder in Google's or Hugging Face's layout,
            or a prefix (".../bert_model.ckpt").
        classes: the intents, or how many there are (the tutorial's seven by default).
        pooling: how hidden states become one vector; see ``TokenPooling``.
        dropout: the rate before and after the dense layer.
        head: "dense" (the tutorial's), "linear" (a softmax over the pooled vector and nothing between), or "rnn" (a
            bidirectional LSTM over the vectors of all tokens; pooling has no part in it).
        train_layers: what learns beside the head: "all", the last N encoder layers, or "head" for none of them. Frozen
            layers have no dropout.
        adapter_size: adds Houlsby adapters of this width and freezes the rest of the encoder.
        dtype: a Keras dtype policy such as "mixed_bfloat16"; the softmax stays float32.

    Returns:
        A ``keras.Model``: input "input_ids" int32 (B, T), output probabilities float32 (B, C).

    Raises:
        SettingsError: an unknown checkpoint, pooling or head, ``max_seq_len`` over the checkpoint's positions, or
            more ``train_layers`` than it has.
        CheckpointError: the checkpoint is not whole or does not fit its config.
    """
    folder = check_checkpoint_folder(resolve(bert_ckpt_file))
    params = params_from_pretrained_ckpt(folder)
    params.adapter_size = adapter_size
    check_max_seq_len(max_seq_len, params)
    number = classes if isinstance(classes, int) else len(classes)
    model = build_model(
        params, number, pooling=pooling, dropout=dropout, head=head, train_layers=train_layers, dtype=dtype
    )
    load_stock_weights(model.get_layer("bert"), folder)
    return model


def build_model(
    params: BertConfig,
    number_of_classes: int,
    *,
    pooling: str = "cls",
    dropout: float = DEFAULT_DROPOUT,
    head: str = "dense",
    train_layers: str | int = "all",
    dtype: Any = None,
) -> keras.Model:
    """The same model from the encoder's parameters alone, with random weights."""
    check_pooling(pooling)
    check_head(head, pooling)
    if number_of_classes < 2:
        raise SettingsError(f"a classifier needs at least two intents, not {number_of_classes}")
    params = BertConfig.from_dict(params.to_dict())
    if pooling.endswith("last_four"):
        if params.num_layers < 4:
            raise SettingsError(f"pooling {pooling!r} needs four layers, the checkpoint has {params.num_layers}")
        params.out_layer_ndxs = _LAST_FOUR
    input_ids = keras.Input((None,), dtype="int32", name="input_ids")  # (B, T)
    bert = BertModelLayer.from_params(
        params,
        name="bert",
        train_layers=trained_layers(train_layers),
        first_only=pooling == "cls" and head != "rnn",
        dtype=dtype,
    )
    hidden_states = bert(input_ids)  # (B, T, H), or (B, 1, H) where nothing reads more
    bert.apply_adapter_freeze()
    if head == "rnn":
        rnn = keras.layers.Bidirectional(keras.layers.LSTM(RNN_UNITS, dtype=dtype), name="rnn", dtype=dtype)
        x = rnn(hidden_states, mask=ops.not_equal(input_ids, 0))  # (B, 2 * RNN_UNITS)
    else:
        x = TokenPooling(pooling, name="pooling", dtype=dtype)(hidden_states, input_ids)  # (B, H)
    x = keras.layers.Dropout(dropout, name="dropout", dtype=dtype)(x)
    if head == "dense":
        x = keras.layers.Dense(params.hidden_size, activation="tanh", name="dense", dtype=dtype)(x)
        x = keras.layers.Dropout(dropout, name="dropout_2", dtype=dtype)(x)
    x = keras.layers.Dense(number_of_classes, name="logits", dtype="float32")(x)  # (B, C)
    probabilities = keras.layers.Softmax(name="intent", dtype="float32")(x)
    return keras.Model(input_ids, probabilities, name="intent_classifier")


def model_arguments(config: TrainingConfig) -> dict[str, Any]:
    """The settings of a run that are arguments of ``create_model``, under its names."""
    names = ("pooling", "dropout", "head", "train_layers", "adapter_size")
    policy = {"bfloat16": "mixed_bfloat16"}.get(precision := precision_here(config.precision), precision)
    return {name: getattr(config, name) for name in names} | {"dtype": policy}


def check_max_seq_len(max_seq_len: int, params: BertConfig, name: str = "max_seq_len") -> None:
    if not 3 <= max_seq_len <= params.max_position_embeddings:
        raise SettingsError(
            f"{name} must be 3 to {params.max_position_embeddings} tokens for this checkpoint, not {max_seq_len}"
        )


def save_weights(model: keras.Model, path: Path) -> None:
    """``model.save_weights``, for which a full disk is an OSError: the HDF5 library may crash on it.

    As many bytes as the file will take, optimizer state included, are written and freed first.
    """
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.weights, *(optimizer.variables if optimizer is not None else [])]
    size = sum(4 * math.prod(variable.shape) + _HDF5_OVERHEAD for variable in variables)
    block = bytes(1 << 20)
    try:
        with path.open("wb") as stream:
            for start in range(0, size, len(block)):
                stream.write(block[: size - start])
    finally:
        path.unlink(missing_ok=True)
    model.save_weights(path)


def probability_function(model: keras.Model) -> Callable[..., np.ndarray]:
    """A compiled function from the model's inputs, such as padded ids (B, T), to probabilities (B, C).

    On TensorFlow one graph serves every shape; elsewhere each shape is compiled when it first comes.
    """
    if not on_tensorflow():
        return lambda *inputs: model.predict_on_batch(list(inputs) if len(inputs) > 1 else inputs[0])
    if not hasattr(model, "_probability_graph"):  # tracing takes seconds: once for a model
        model._probability_graph = traced_once(
            lambda *inputs: model(list(inputs) if len(inputs) > 1 else inputs[0], training=False),
            [(each.shape, each.dtype) for each in model.inputs],
        )
    return lambda *inputs: ops.convert_to_numpy(model._probability_graph(*map(ops.convert_to_tensor, inputs)))


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
    """What ``predict`` answers, (sentences, width) float32 in the order of ``ids``, in batches of about one length.

    ``inputs`` gives what ``predict`` takes for these rows; by default their padded ids. ``progress`` names a bar on
    stderr that shows when the work takes over two seconds.
    """
    if inputs is None:
        inputs = lambda rows: (pad([ids[row] for row in rows]),)  # noqa: E731
    order = np.argsort([len(sentence) for sentence in ids], kind="stable")
    answers = np.zeros((len(ids), width), "float32")
    bar = progress_bar(len(ids), progress, "sentence", delay=2, leave=False)
    with bar:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            answers[rows] = predict(*inputs(rows))
            bar.update(len(rows))
    return answers
