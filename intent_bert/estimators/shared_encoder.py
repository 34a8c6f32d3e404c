"""A frozen encoder and its vectors, shared by everything in the process that names the same checkpoint.

    ids, each distinct sentence once
      -> known already, in this process or in a ``VectorStore``?
      -> else encoder (B, T, H) -> pooling -> (features,), remembered under pooling, layer and ids

Texts, settings and their checks are ``bert_features``' business.
"""

import hashlib
import inspect
import json
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from keras import ops

from intent_bert.bert.backend import traced_once
from intent_bert.bert.checkpoint import check_checkpoint_folder, load_stock_weights, read_pooler
from intent_bert.bert.config import params_from_pretrained_ckpt, resolved_max_seq_len
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.pretrained import resolve
from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer, checkpoint_lower_case
from intent_bert.data.batches import Ids
from intent_bert.errors import SettingsError
from intent_bert.estimators.vector_store import VectorStore
from intent_bert.model.folder import is_model_folder
from intent_bert.model.keras_engine import predict_in_batches
from intent_bert.model.pooling import TokenPooling
from intent_bert.model.saved import load_artifact

logger = logging.getLogger("intent_bert")

PoolingFunction: TypeAlias = Callable[[tuple[np.ndarray, np.ndarray | None]], Any]

DEFAULT_MAX_SEQ_LEN = 60
REMEMBERED_BYTES = 512 << 20  # of vectors, for each encoder in the process; the oldest go first
ENCODERS_AT_ONCE = 4  # held in a process; the one used longest ago goes first

_encoders: dict[tuple, "SharedEncoder"] = {}
_lock = threading.RLock()


class VectorKind(NamedTuple):
    """Which vectors: the pooling, the layer counted from 0, and how many tokens "flatten" lays out (else 0)."""

    pooling: str | PoolingFunction
    layer: int
    tokens: int = 0


def shared_encoder(checkpoint: str | PathLike, do_lower_case: bool | None = None) -> "SharedEncoder":
    """The process's encoder of a checkpoint or model folder: loaded once, and again when its files have changed."""
    folder = resolve(checkpoint).resolve()
    files = sorted(path for path in folder.iterdir() if path.is_file())
    state = tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    key = (folder, do_lower_case, state)
    with _lock:
        if key not in _encoders:
            loaded = SharedEncoder(folder, do_lower_case)
            for old in [other for other in _encoders if other[:2] == key[:2]]:
                del _encoders[old]
            while len(_encoders) >= ENCODERS_AT_ONCE:
                del _encoders[next(iter(_encoders))]
            _encoders[key] = loaded
        _encoders[key] = _encoders.pop(key)  # the last is the one used last
        return _encoders[key]


class SharedEncoder:
    """A frozen ``BertModelLayer`` with its tokenizer, and the vectors it has computed.

    Args:
        folder: a checkpoint folder or a model folder.
        do_lower_case: as the folder says when None.

    Attributes:
        bert: the layer, which gives the outputs of all its encoder layers.
        tokenizer: its ``FullTokenizer``.
        pooler: kernel (H, H) and bias (H,) of the checkpoint's own pooler, or None.
    """

    def __init__(self, folder: Path, do_lower_case: bool | None) -> None:
        self.folder = folder
        self.pooler: tuple[np.ndarray, np.ndarray] | None = None
        if is_model_folder(folder):
            checkpoint_lower_case(folder, do_lower_case)  # refuses what contradicts the folder
            artifact = load_artifact(folder)
            self.bert, self.tokenizer = artifact.model.get_layer("bert"), artifact.tokenizer
        else:
            params = params_from_pretrained_ckpt(check_checkpoint_folder(folder))
            self.tokenizer = FullTokenizer(folder / VOCAB_FILE, do_lower_case)
            self.bert = BertModelLayer.from_params(params, name="bert", dtype="float32")
            self.bert.build((None, None))
            load_stock_weights(self.bert, folder)
            self.pooler = read_pooler(folder)
        self.bert.trainable = False
        self.bert.config.out_layer_ndxs = list(range(self.bert.config.num_layers))  # unused ones leave the graph
        self._warned_of_cut: set[int] = set()
        self._graphs: dict[tuple, Any] = {}
        self._vectors: dict[tuple[VectorKind, bytes], np.ndarray] = {}
        self._remembered = 0  # bytes

    def max_seq_len(self, asked: int | None) -> int:
        """As asked, else 60 tokens, or the encoder's positions if those are fewer, which is logged once."""
        return self._default_max_seq_len if asked is None else self._resolved_max_seq_len(asked)

    @cached_property
    def _default_max_seq_len(self) -> int:
        return self._resolved_max_seq_len(None)

    def _resolved_max_seq_len(self, asked: int | None) -> int:
        return resolved_max_seq_len(asked, DEFAULT_MAX_SEQ_LEN, self.bert.config.max_position_embeddings)

    def warn_of_cut(self, cut: int, number: int, max_seq_len: int) -> None:
        """Log how many sentences were cut, the first time that some are cut to this length."""
        if max_seq_len not in self._warned_of_cut:
            self._warned_of_cut.add(max_seq_len)
            logger.warning("%d of %d sentences cut to max_seq_len=%d tokens (said once)", cut, number, max_seq_len)

    def width(self, kind: VectorKind) -> int:
        """How many features a vector has; a function is asked with the empty sentence."""
        hidden = self.bert.config.hidden_size
        if callable(kind.pooling):
            shortest = np.array([[self.tokenizer.cls_id, self.tokenizer.sep_id]], "int32")
            return self._by_function(shortest, kind, None).shape[1]
        return {"concat_last_four": 4 * hidden, "flatten": kind.tokens * hidden}.get(kind.pooling, hidden)

    def vectors(
        self,
        ids: Sequence[Ids],
        kind: VectorKind,
        batch_size: int,
        store: VectorStore | None = None,
        progress: str | None = None,
    ) -> np.ndarray:
        """The vectors of these sentences, float32 (sentences, features), each distinct one computed at most once."""
        keys = [np.array(sentence, "<i4").tobytes() for sentence in ids]
        distinct = dict(zip(keys, ids, strict=True))
        width = self.width(kind)
        found = self._recall(kind, distinct)
        missing = [key for key in distinct if key not in found]
        names: dict[bytes, bytes] = {}
        if store is not None and not callable(kind.pooling):  # a later process could not tell two functions apart
            names = {key: self._lasting_name(kind, key) for key in missing}
            kept = store.read(names.values(), width)
            found |= {key: kept[name] for key, name in names.items() if name in kept}
            missing = [key for key in missing if key not in found]
        if missing:
            todo = [distinct[key] for key in missing]
            computed = predict_in_batches(self._function(kind, width), todo, width, batch_size, progress)
            found |= zip(missing, computed, strict=True)
            if store is not None and names:
                store.write({names[key]: found[key] for key in missing})
        self._remember(kind, found)
        rows = np.empty((len(ids), width), "float32")
        for row, key in zip(rows, keys, strict=True):
            row[:] = found[key]
        return rows

    # --- what is known

    def forget(self, pooling: str | None = None) -> None:
        """Have the vectors of this pooling, or all of them, computed again when they are next asked for."""
        with _lock:
            for known in [known for known in self._vectors if pooling is None or known[0].pooling == pooling]:
                self._remembered -= self._vectors.pop(known).nbytes

    def _recall(self, kind: VectorKind, keys: Iterable[bytes]) -> dict[bytes, np.ndarray]:
        if not _is_hashable(kind):
            return {}
        with _lock:
            return {key: self._vectors[kind, key] for key in keys if (kind, key) in self._vectors}

    def _remember(self, kind: VectorKind, found: dict[bytes, np.ndarray]) -> None:
        if not _is_hashable(kind):
            return
        with _lock:
            for key, vector in found.items():
                if (kind, key) not in self._vectors:
                    self._vectors[kind, key] = vector.copy()  # not a view that keeps a whole table
                    self._remembered += vector.nbytes
            while self._remembered > REMEMBERED_BYTES:
                self._remembered -= self._vectors.pop(next(iter(self._vectors))).nbytes

    def _lasting_name(self, kind: VectorKind, key: bytes) -> bytes:
        """The same for the same weights, kind and ids, in any process."""
        return hashlib.sha256(self._fingerprint + json.dumps(kind).encode() + b"\0" + key).digest()

    @cached_property
    def _fingerprint(self) -> bytes:
        digest = hashlib.sha256(json.dumps(self.bert.config.to_dict(), sort_keys=True).encode())
        digest.update(str(self.bert.dtype_policy.name).encode())
        for array in [*(weight.numpy() for weight in self.bert.weights), *(self.pooler or ())]:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.digest()

    # --- what is computed

    def _function(self, kind: VectorKind, width: int) -> Callable[[np.ndarray], np.ndarray]:
        """A function from padded ids (B, T) to vectors (B, width)."""
        if callable(kind.pooling):
            return lambda ids: self._by_function(ids, kind, width)
        graph = self._graph(kind.pooling, kind.layer)
        if kind.pooling == "flatten":
            return lambda ids: _flatten(graph(ids), ids, kind.tokens)
        return lambda ids: graph(ids).numpy()

    def _graph(self, pooling: str, layer: int) -> Any:
        """A compiled function of padded ids (B, T), traced once for every shape."""

        def call(ids: Any) -> Any:
            states = self.bert(ids, training=False)  # a (B, T, H) for each layer
            if pooling == "pooler":
                return self._pooled(states)
            if pooling == "flatten":
                return ops.cast(states[layer], "float32")
            if pooling == "function":
                return ops.cast(states[layer], "float32"), None if self.pooler is None else self._pooled(states)
            chosen = states[layer - 3 : layer + 1] if pooling.endswith("last_four") else states[layer]
            return TokenPooling(pooling, dtype="float32")(chosen, ids)  # (B, H)

        if (pooling, layer) not in self._graphs:
            self._graphs[pooling, layer] = traced_once(call, [((None, None), "int32")])
        return self._graphs[pooling, layer]

    def _pooled(self, states: list[Any]) -> Any:
        assert self.pooler is not None
        kernel, bias = self.pooler
        return ops.tanh(ops.matmul(ops.cast(states[-1][:, 0, :], "float32"), kernel) + bias)  # (B, H)

    def _by_function(self, ids: np.ndarray, kind: VectorKind, width: int | None) -> np.ndarray:
        """The user's function over the sentences of each length by themselves, so that it sees no padding."""
        assert callable(kind.pooling)
        states, pooled = self._graph("function", kind.layer)(ids)
        lengths = (ids != 0).sum(axis=1)
        by_length = []
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            hidden = states.numpy()[rows, :length]
            given = kind.pooling((hidden, None if pooled is None else pooled.numpy()[rows]))
            try:
                features = np.asarray(given, "float32")
            except (TypeError, ValueError):
                raise SettingsError(
                    f"the pooling function gave {type(given).__name__}: expected an array of numbers"
                ) from None
            if features.ndim == 1 and len(rows) == 1:  # as a squeeze() leaves a single sentence
                features = features[None]
            expected = (len(rows), "features" if width is None else width)
            if features.ndim != 2 or len(features) != len(rows) or width not in (None, features.shape[1]):
                raise SettingsError(
                    f"the pooling function gave shape {_written(features.shape)} for hidden states of shape "
                    f"{_written(hidden.shape)}: expected {_written(expected)}"
                )
            by_length.append((rows, features))
        table = np.empty((len(ids), by_length[0][1].shape[1]), "float32")
        for rows, features in by_length:
            table[rows] = features
        return table


def check_pooling_function(function: PoolingFunction) -> None:
    """Raise SettingsError for a function that can't be called with one argument."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise SettingsError(
            "the pooling function must take one argument, the pair (last_hidden_state, pooled_output)"
        ) from None
    except ValueError:  # it tells no signature
        return


def _flatten(states: Any, ids: np.ndarray, tokens: int) -> np.ndarray:
    """Hidden states (B, T, H) in a row a sentence, token after token, zeros where there is none."""
    batch, length, hidden = states.shape
    table = np.zeros((batch, tokens, hidden), "float32")
    table[:, :length] = states.numpy() * (ids != 0)[:, :, None]
    return table.reshape(batch, tokens * hidden)


def _written(shape: Iterable) -> str:
    return f"({', '.join(map(str, shape))})"


def _is_hashable(kind: VectorKind) -> bool:
    try:
        hash(kind)
    except TypeError:
        return False
    return True
