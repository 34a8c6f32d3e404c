"""What the frozen layers of a model give for each sentence, computed once, and the part above them that learns.

    whole model    input_ids -> embeddings -> layer 0 ... layer k-1 -> layer k ... -> head -> softmax
                                └────────────── frozen ───────────┘   └──────── learns ────────┘
    cut in two     input_ids ->          states, kept               ->      model of its own

The layers of both parts are those of the whole model, so what the upper part learns the whole model knows. Nothing
here trains.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from intent_bert.bert.layers import BertModelLayer, attention_bias_of
from intent_bert.data.batches import Ids, pad
from intent_bert.errors import SettingsError
from intent_bert.files.progress import progress_bar

IN_MEMORY_UP_TO = 2 << 30  # bytes of states; more of them lie in a temporary file
_BATCH = 64


class FrozenStates:
    """The states of some sentences, and the batches of them that the upper part reads.

    Each state is float32, (tokens, H) of a sentence laid end to end with the others, or (sentences, F) when the cut is
    above the pooling.
    """

    def __init__(self, ids: Sequence[Ids], states: list[np.ndarray], by_token: bool) -> None:
        self.ids, self.states, self.by_token = ids, states, by_token
        self.starts = np.cumsum([0, *map(len, ids)])

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The upper part's inputs for these sentences: states (B, T, H), then ids (B, T); or pooled vectors (B, F)."""
        if not self.by_token:
            return tuple(state[rows] for state in self.states)
        ids = pad([self.ids[row] for row in rows])
        padded = [np.zeros((*ids.shape, state.shape[-1]), "float32") for state in self.states]
        for place, row in enumerate(rows):
            start, end = self.starts[row], self.starts[row + 1]
            for whole, state in zip(padded, self.states, strict=True):
                whole[place, : end - start] = state[start:end]
        return (*padded, ids)


class FrozenPart:
    """A model cut above its frozen layers: ``top`` is the ``keras.Model`` that learns, ``states`` makes its inputs."""

    def __init__(self, model: keras.Model) -> None:
        bert: BertModelLayer = model.get_layer("bert")
        pooled = bert.train_layers == 0 and any(layer.name == "pooling" for layer in model.layers)
        self.by_token = not pooled
        if pooled:
            self.top = keras.Model(model.get_layer("pooling").output, model.output)
            self._call: Callable = keras.Model(model.input, model.get_layer("pooling").output)
            self.widths = [self.top.input_shape[-1]]
        else:
            kept = _kept_states(bert)
            self.top = _upper_model(model, bert, kept)
            self._call = lambda ids, training: _lower_states(bert, ids, kept)
            self.widths = [bert.config.hidden_size for _ in kept]

    def states(self, ids: Sequence[Ids], progress: str | None = None) -> FrozenStates:
        """Compute what the frozen layers give for these sentences; ``progress`` names a bar on stderr.

        Raises:
            SettingsError: the states need a temporary file, and its disk has no room.
        """
        import tensorflow as tf

        graph = tf.function(
            lambda batch: self._call(batch, training=False), input_signature=[tf.TensorSpec((None, None), tf.int32)]
        )
        rows_in_all = sum(map(len, ids)) if self.by_token else len(ids)
        tables = [_table(rows_in_all, width) for width in self.widths]
        result = FrozenStates(ids, tables, self.by_token)
        order = np.argsort([len(sentence) for sentence in ids], kind="stable")
        with progress_bar(len(ids), progress, "sentence", delay=2, leave=False) as bar:
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                answers = graph(tf.constant(pad([ids[row] for row in rows])))
                for table, answer in zip(tables, answers if isinstance(answers, list) else [answers], strict=True):
                    self._put(table, rows, tf.cast(answer, tf.float32).numpy(), result)
                bar.update(len(rows))
        return result

    def _put(self, table: np.ndarray, rows: np.ndarray, answer: np.ndarray, result: FrozenStates) -> None:
        if not self.by_token:
            table[rows] = answer  # (B, F)
            return
        for row, tokens in zip(rows, answer, strict=True):  # (T, H)
            start, end = result.starts[row], result.starts[row + 1]
            table[start:end] = tokens[: end - start]


def _kept_states(bert: BertModelLayer) -> list[int]:
    """The frozen outputs that the upper part reads, 0 being the embeddings: the last, and those that are pooled."""
    layers = bert.config.num_layers
    pooled = {index % layers + 1 for index in bert.config.out_layer_ndxs or ()}
    return sorted({bert.frozen_layers} | {number for number in pooled if number <= bert.frozen_layers})


def _lower_states(bert: BertModelLayer, ids: Any, kept: list[int]) -> list[Any]:
    """The outputs with these numbers, each (B, T, H), of ids (B, T)."""
    attention_bias = attention_bias_of(ops.not_equal(ids, 0))
    outputs = [bert.embeddings(ids, training=False)]
    for layer in bert.encoder_layers[: bert.frozen_layers]:
        outputs.append(layer(outputs[-1], attention_bias, training=False))
    return [outputs[number] for number in kept]


def _upper_model(model: keras.Model, bert: BertModelLayer, kept: list[int]) -> keras.Model:
    """The layers above the cut and the head: kept states, each (B, T, H), and ids (B, T) -> probabilities (B, C)."""
    states = [keras.Input((None, bert.config.hidden_size), name=f"states_{number}") for number in kept]
    ids = keras.Input((None,), dtype="int32", name="input_ids")
    outputs = dict(zip(kept, states, strict=True))
    attention_bias = attention_bias_of(ops.not_equal(ids, 0))
    for number in range(bert.frozen_layers, bert.config.num_layers):
        first_only = bert.is_cut_to_first(number)
        outputs[number + 1] = bert.encoder_layers[number](outputs[number], attention_bias, first_only=first_only)
    indexes = bert.config.out_layer_ndxs
    hidden = [outputs[index % bert.config.num_layers + 1] for index in ([-1] if indexes is None else indexes)]
    encoded = bert.output if isinstance(bert.output, list) else [bert.output]
    head = keras.Model([*encoded, model.input], model.output)
    return keras.Model([*states, ids], head([*hidden, ids]))


def _table(rows: int, width: int) -> np.ndarray:
    """An empty float32 (rows, width), in a temporary file when it is large."""
    size = 4 * rows * width
    if size <= IN_MEMORY_UP_TO:
        return np.empty((rows, width), "float32")
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if size > free:
        raise SettingsError(
            f"the frozen layers' outputs take {size / 1e9:.1f} GB, but {tempfile.gettempdir()} has {free / 1e9:.1f} GB "
            "free: set TMPDIR to a folder on another disk, or let everything learn (train_layers 'all')"
        )
    return np.memmap(tempfile.TemporaryFile(), "float32", "w+", shape=(rows, width))
