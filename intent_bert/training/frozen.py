"""The activations of a model's frozen layers, computed once, and the model above them that learns.

    whole model    input_ids -> embeddings -> layer 0 ... layer k-1 -> layer k ... -> head -> softmax
                                └────────────── frozen ───────────┘   └──────── learns ────────┘
    cut in two     input_ids ->        activations, cached          ->      model of its own

The layers of both are those of the whole model, so what the upper one learns the whole model knows. Nothing here
trains. Activations are float32 wherever they are kept, whatever the layers compute in.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from intent_bert.bert.backend import traced_once
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.layers import attention_bias_of
from intent_bert.data.batches import Ids, pad
from intent_bert.errors import SettingsError
from intent_bert.files.progress import progress_bar

IN_MEMORY_UP_TO = 2 << 30  # bytes of activations; more of them lie in a temporary file
_BATCH = 64


class CachedActivations:
    """What the frozen layers gave for some sentences, and the batches of it that the upper model reads.

    Each of ``tables`` is float32: (tokens, H) of one sentence laid end to end with the others, or (sentences, F) when
    the cut is above the pooling.
    """

    def __init__(self, ids: Sequence[Ids], tables: list[np.ndarray], by_token: bool) -> None:
        self.ids, self.tables, self.by_token = ids, tables, by_token
        self.starts = np.cumsum([0, *map(len, ids)])

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The upper model's inputs for these sentences: float32 (B, T, H) each, then ids (B, T); or vectors (B, F)."""
        if not self.by_token:
            return tuple(table[rows] for table in self.tables)
        ids = pad([self.ids[row] for row in rows])
        padded = [np.zeros((*ids.shape, table.shape[-1]), "float32") for table in self.tables]
        for place, row in enumerate(rows):
            start, end = self.starts[row], self.starts[row + 1]
            for whole, table in zip(padded, self.tables, strict=True):
                whole[place, : end - start] = table[start:end]
        return (*padded, ids)

    def put(self, rows: np.ndarray, outputs: Sequence[np.ndarray]) -> None:
        """Keep the frozen layers' outputs, each (B, T, H) or (B, F), for these sentences."""
        for table, output in zip(self.tables, outputs, strict=True):
            if not self.by_token:
                table[rows] = output
                continue
            for row, tokens in zip(rows, output, strict=True):
                start, end = self.starts[row], self.starts[row + 1]
                table[start:end] = tokens[: end - start]


class CutModel:
    """A model cut above its frozen layers: ``top`` is the model that learns, ``activations`` makes its inputs."""

    def __init__(self, model: keras.Model) -> None:
        bert: BertModelLayer = model.get_layer("bert")
        pooled = bert.train_layers == 0 and any(layer.name == "pooling" for layer in model.layers)
        self.by_token = not pooled
        if pooled:
            vector = model.get_layer("pooling").output  # (B, F)
            self.widths = [vector.shape[-1]]
            pooled_vector = keras.Input(vector.shape[1:], dtype="float32", name="pooled")  # not in compute_dtype
            self.top = keras.Model(pooled_vector, keras.Model(vector, model.output)(pooled_vector))
            lower = keras.Model(model.input, vector)
            self._lower: Callable = lambda ids: [lower(ids, training=False)]
        else:
            kept = _kept_outputs(bert)
            self.widths = [bert.config.hidden_size for _ in kept]
            self.top = _upper_model(model, bert, kept)
            self._lower = lambda ids: _lower_outputs(bert, ids, kept)

    def activations(self, ids: Sequence[Ids], progress: str | None = None) -> CachedActivations:
        """Compute what the frozen layers give for these sentences; ``progress`` names a bar on stderr.

        Raises:
            SettingsError: the activations need a temporary file, and its disk has no room.
        """
        lower = traced_once(
            lambda batch: [ops.cast(output, "float32") for output in self._lower(batch)], [((None, None), "int32")]
        )
        rows_in_all = sum(map(len, ids)) if self.by_token else len(ids)
        cached = CachedActivations(ids, [_table(rows_in_all, width) for width in self.widths], self.by_token)
        order = np.argsort([len(sentence) for sentence in ids], kind="stable")
        with progress_bar(len(ids), progress, "sentence", delay=2, leave=False) as bar:
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                outputs = lower(ops.convert_to_tensor(pad([ids[row] for row in rows])))
                cached.put(rows, [ops.convert_to_numpy(output) for output in outputs])
                bar.update(len(rows))
        return cached


def _kept_outputs(bert: BertModelLayer) -> list[int]:
    """The frozen outputs that the upper part reads, 0 being the embeddings: the last, and those that are pooled."""
    layers = bert.config.num_layers
    pooled = {index % layers + 1 for index in bert.config.out_layer_ndxs or ()}
    return sorted({bert.frozen_layers} | {number for number in pooled if number <= bert.frozen_layers})


def _lower_outputs(bert: BertModelLayer, ids: Any, kept: list[int]) -> list[Any]:
    """The outputs with these numbers, each (B, T, H), of ids (B, T)."""
    attention_bias = attention_bias_of(ops.not_equal(ids, 0))
    outputs = [bert.embeddings(ids, training=False)]
    for layer in bert.encoder_layers[: bert.frozen_layers]:
        outputs.append(layer(outputs[-1], attention_bias, training=False))
    return [outputs[number] for number in kept]


def _upper_model(model: keras.Model, bert: BertModelLayer, kept: list[int]) -> keras.Model:
    """The layers above the cut and the head: kept outputs, each (B, T, H), and ids (B, T) -> probabilities (B, C)."""
    width = bert.config.hidden_size
    lower = [keras.Input((None, width), dtype="float32", name=f"activations_{number}") for number in kept]
    ids = keras.Input((None,), dtype="int32", name="input_ids")
    outputs = dict(zip(kept, lower, strict=True))
    attention_bias = attention_bias_of(ops.not_equal(ids, 0))
    for number in range(bert.frozen_layers, bert.config.num_layers):
        first_only = bert.is_cut_to_first(number)
        outputs[number + 1] = bert.encoder_layers[number](outputs[number], attention_bias, first_only=first_only)
    indexes = bert.config.out_layer_ndxs
    hidden = [outputs[index % bert.config.num_layers + 1] for index in ([-1] if indexes is None else indexes)]
    encoded = bert.output if isinstance(bert.output, list) else [bert.output]
    head = keras.Model([*encoded, *model.inputs], model.output)
    return keras.Model([*lower, ids], head([*hidden, ids]))


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
