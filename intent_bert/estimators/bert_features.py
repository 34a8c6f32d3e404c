"""BERT's vectors for scikit-learn: strings in, one float32 row of features a sentence out; nothing is trained.

    texts -> ids, each distinct one once -> frozen encoder (B, T, H) -> pooling -> (sentences, features)
                          └─ known already, in this process or in the folder ``memory`` ─┘

    ids       [CLS] play our song [SEP]     5 tokens, H numbers each in every layer
    cls       the first of them             (H,)
    mean      the average of all five       (H,)      padding never counts
    flatten   all five, then zeros          (max_length * H,)

Vectors are remembered under the ids that made them, so cross-validation computes each sentence once. Which
classifier stands on the features is not this module's business.
"""

import contextlib
import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from keras import ops
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from intent_bert.bert.backend import traced_once
from intent_bert.bert.checkpoint import check_checkpoint_folder, load_stock_weights, read_pooler
from intent_bert.bert.config import params_from_pretrained_ckpt, resolved_max_seq_len
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.pretrained import DEFAULT_CHECKPOINT, resolve
from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer, checkpoint_lower_case
from intent_bert.config import POOLINGS
from intent_bert.data.tables import check_texts
from intent_bert.errors import SettingsError
from intent_bert.model.folder import is_model_folder
from intent_bert.model.keras_engine import predict_in_batches
from intent_bert.model.pooling import TokenPooling
from intent_bert.model.saved import load_artifact

logger = logging.getLogger("intent_bert")

Pooling: TypeAlias = str | Callable[[np.ndarray, np.ndarray | None], Any]

FEATURE_POOLINGS = (*POOLINGS, "pooler", "flatten")
REMEMBERED_BYTES = 512 << 20  # of vectors, for each encoder in the process; the oldest go first
ENCODERS_AT_ONCE = 4  # held in a process; the one used longest ago goes first
MEMORY_FILE = "features.sqlite"
_KEYS_IN_A_QUERY = 500


class BertTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns texts into the vectors of a frozen BERT encoder, for any scikit-learn classifier.

    ``transform`` needs no ``fit``, for nothing is learnt; ``get_feature_names_out`` does. Neither weights nor vectors
    are part of the object: it pickles as its parameters, and where it is unpickled the checkpoint must be found
    under the same name or path. One encoder for each checkpoint is loaded in a process, however many clones use it.

    Args:
        checkpoint: a known name, a checkpoint folder, or a model folder that ``train`` wrote (the tuned encoder).
        pooling: how the vectors of the tokens become one. "mean" (padding left out), the default, is what
            all-MiniLM-L6-v2 was trained for; "cls" and "max"; "pooler", the checkpoint's own tanh layer over [CLS]
            (over the last layer, whatever ``layer`` says); "sum_last_four", "mean_last_four", "concat_last_four": the
            four layers that end with ``layer`` added, averaged or joined token by token, then averaged over the
            tokens; "flatten": all tokens, with zeros up to ``max_length``; or a function of
            ``(last_hidden_state, pooled_output)``, arrays (B, T, H) and (B, H), that gives (B, features). It is
            called with sentences of one length and sees no padding; ``pooled_output`` is None without a pooler.
        layer: which encoder layer's output: 0 is the first, -1 the last (Hugging Face's ``hidden_states[layer + 1]``).
        max_length: longer sentences are cut to this many tokens, [CLS] and [SEP] among them; said once.
        batch_size: sentences computed at a time.
        normalize: scale each row to length 1.
        memory: a folder that keeps the vectors for later runs and other processes (not those of a function).
        do_lower_case: as the checkpoint says when None.
        verbose: 1 shows progress on stderr when the work takes over two seconds.

    Attributes:
        n_features_out_: features in a row.

        make_pipeline(BertTransformer(), LinearSVC()).fit(texts, intents).predict(["Play our song now"])
    """

    def __init__(
        self,
        checkpoint: str | PathLike = DEFAULT_CHECKPOINT,
        *,
        pooling: Pooling = "mean",
        layer: int = -1,
        max_length: int = 60,
        batch_size: int = 32,
        normalize: bool = False,
        memory: str | PathLike | None = None,
        do_lower_case: bool | None = None,
        verbose: int = 0,
    ) -> None:
        self.checkpoint = checkpoint
        self.pooling = pooling
        self.layer = layer
        self.max_length = max_length
        self.batch_size = batch_size
        self.normalize = normalize
        self.memory = memory
        self.do_lower_case = do_lower_case
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> "BertTransformer":
        """Check the texts and the settings; nothing is learnt.

        Raises:
            DataError: a bare string, or something among the texts that is no text (with its row).
            SettingsError: an unknown pooling or checkpoint, or a number that doesn't fit the checkpoint.
        """
        check_texts(X)
        encoder, layer = self._prepare()
        self.n_features_out_ = encoder.width(self.pooling, layer, self.max_length)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The features of each text, float32 (texts, features), in order; raises what ``fit`` raises."""
        texts = check_texts(X)
        encoder, layer = self._prepare()
        ids, cut = encoder.tokenizer.encode(texts, self.max_length)
        if cut:
            encoder.tell_of_cut(cut, len(texts), self.max_length)
        rows = encoder.vectors(
            ids, self.pooling, layer, self.max_length, self.batch_size,
            None if self.memory is None else _Memory(self.memory), "features" if self.verbose else None,
        )  # fmt: skip
        if self.normalize:
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """``fit``, then ``transform``; a generator of texts is read once."""
        return super().fit_transform(X if hasattr(X, "shape") else check_texts(X), y, **fit_params)

    @property
    def _n_features_out(self) -> int:  # where scikit-learn's mixin looks
        return self.n_features_out_

    def _prepare(self) -> tuple["_Encoder", int]:
        """The encoder, and the layer counted from 0, once every setting is known to fit."""
        if not callable(self.pooling) and self.pooling not in FEATURE_POOLINGS:
            known = ", ".join(FEATURE_POOLINGS)
            raise SettingsError(f"unknown pooling {self.pooling!r}: expected one of {known}, or a function")
        for name in ("layer", "max_length", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
                raise SettingsError(f"{name} must be a whole number, not {value!r}")
        if self.batch_size < 1:
            raise SettingsError(f"batch_size must be at least 1, not {self.batch_size}")
        if self.memory is not None and not isinstance(self.memory, (str, PathLike)):
            raise SettingsError(f"memory must be a folder or None, not {type(self.memory).__name__}")
        encoder = shared_encoder(self.checkpoint, self.do_lower_case)
        positions = encoder.bert.config.max_position_embeddings
        resolved_max_seq_len(self.max_length, self.max_length, positions, "max_length")
        layers = encoder.bert.config.num_layers
        if not -layers <= self.layer < layers:
            raise SettingsError(
                f"the encoder has {layers} layers: layer must be 0 to {layers - 1}, or -{layers} to -1, "
                f"not {self.layer}"
            )
        layer = int(self.layer) % layers
        if _joins_four(self.pooling) and layer < 3:
            raise SettingsError(
                f"pooling {self.pooling!r} needs four layers, but layer={self.layer} of this checkpoint's {layers} "
                f"has {layer} below it"
            )
        if self.pooling == "pooler" and encoder.pooler is None:
            raise SettingsError(
                f"pooling 'pooler' needs the checkpoint's own pooler, but {encoder.folder} has none: "
                "choose another pooling, such as 'cls'"
            )
        return encoder, layer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _joins_four(pooling: Pooling) -> bool:
    return isinstance(pooling, str) and pooling.endswith("last_four")


# --- the encoder, one for each checkpoint in a process -----------------------------------------------------------

_encoders: dict[tuple, "_Encoder"] = {}
_lock = threading.RLock()


def shared_encoder(checkpoint: str | PathLike, do_lower_case: bool | None = None) -> "_Encoder":
    """The process's encoder of a checkpoint or model folder: loaded once, and again when its files have changed."""
    folder = resolve(checkpoint).resolve()
    files = sorted(path for path in folder.iterdir() if path.is_file())
    state = tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    key = (folder, do_lower_case, state)
    with _lock:
        if key not in _encoders:
            loaded = _Encoder(folder, do_lower_case)
            for old in [other for other in _encoders if other[:2] == key[:2]]:
                del _encoders[old]
            while len(_encoders) >= ENCODERS_AT_ONCE:
                del _encoders[next(iter(_encoders))]
            _encoders[key] = loaded
        _encoders[key] = _encoders.pop(key)  # the last is the one used last
        return _encoders[key]


class _Encoder:
    """A frozen BertModelLayer with its tokenizer, and what it has computed."""

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
        self._graphs: dict[tuple, Any] = {}
        self._vectors: dict[tuple, np.ndarray] = {}  # (pooling, layer, flattened length, ids) -> vector
        self._remembered = 0
        self._told_of_cut: set[int] = set()
        self._fingerprint: bytes = b""

    def tell_of_cut(self, cut: int, number: int, max_length: int) -> None:
        if max_length not in self._told_of_cut:
            self._told_of_cut.add(max_length)
            logger.warning("%d of %d sentences cut to max_length=%d tokens (told once)", cut, number, max_length)

    def width(self, pooling: Pooling, layer: int, max_length: int) -> int:
        """How many features a row has; a function is asked with the empty sentence."""
        hidden = self.bert.config.hidden_size
        if callable(pooling):
            shortest = np.array([[self.tokenizer.cls_id, self.tokenizer.sep_id]], "int32")
            return self._by_function(shortest, pooling, layer, None).shape[1]
        return {"concat_last_four": 4 * hidden, "flatten": max_length * hidden}.get(pooling, hidden)

    def vectors(
        self,
        ids: Sequence[Sequence[int]],
        pooling: Pooling,
        layer: int,
        max_length: int,
        batch_size: int,
        memory: "_Memory | None" = None,
        progress: str | None = None,
    ) -> np.ndarray:
        """The vectors of these sentences, (sentences, features), each distinct one computed at most once."""
        settings = (pooling, layer, max_length if pooling == "flatten" else 0)
        if callable(pooling):
            memory = None  # a later process could not tell it from another function
        keys = [np.array(sentence, "<i4").tobytes() for sentence in ids]
        distinct = dict(zip(keys, ids, strict=True))
        width = self.width(pooling, layer, max_length)
        found = self._recall(settings, distinct)
        missing = [key for key in distinct if key not in found]
        if memory is not None:
            names = {key: self._lasting_name(settings, key) for key in missing}
            kept = memory.read(names.values(), width)
            found |= {key: kept[name] for key, name in names.items() if name in kept}
            missing = [key for key in missing if key not in found]
        if missing:
            predict = self._function(pooling, layer, max_length, width)
            todo = [distinct[key] for key in missing]
            computed = predict_in_batches(predict, todo, width, batch_size, progress)
            found |= zip(missing, computed, strict=True)
            if memory is not None:
                memory.write({names[key]: found[key] for key in missing})
        self._remember(settings, found)
        rows = np.empty((len(ids), width), "float32")
        for row, key in zip(rows, keys, strict=True):
            row[:] = found[key]
        return rows

    # what is known

    def _recall(self, settings: tuple, keys: Iterable[bytes]) -> dict[bytes, np.ndarray]:
        if not _is_hashable(settings):
            return {}
        with _lock:
            return {key: self._vectors[settings, key] for key in keys if (settings, key) in self._vectors}

    def _remember(self, settings: tuple, found: dict[bytes, np.ndarray]) -> None:
        if not _is_hashable(settings):
            return
        with _lock:
            for key, vector in found.items():
                if (settings, key) not in self._vectors:
                    self._vectors[settings, key] = vector.copy()  # not a view that keeps a whole table
                    self._remembered += vector.nbytes
            while self._remembered > REMEMBERED_BYTES:
                self._remembered -= self._vectors.pop(next(iter(self._vectors))).nbytes

    def forget(self, pooling: str) -> None:
        """Have the vectors of this pooling computed again when they are next asked for."""
        with _lock:
            for name in [name for name in self._vectors if name[0][0] == pooling]:
                self._remembered -= self._vectors.pop(name).nbytes

    def _lasting_name(self, settings: tuple, key: bytes) -> bytes:
        """The same for the same weights, settings and ids, in any process."""
        if not self._fingerprint:
            digest = hashlib.sha256(json.dumps(self.bert.config.to_dict(), sort_keys=True).encode())
            digest.update(str(self.bert.dtype_policy.name).encode())
            for array in [*(weight.numpy() for weight in self.bert.weights), *(self.pooler or ())]:
                digest.update(np.ascontiguousarray(array).tobytes())
            self._fingerprint = digest.digest()
        return hashlib.sha256(self._fingerprint + json.dumps(settings).encode() + b"\0" + key).digest()

    # what is computed

    def _function(
        self, pooling: Pooling, layer: int, max_length: int, width: int
    ) -> Callable[[np.ndarray], np.ndarray]:
        if callable(pooling):
            return lambda ids: self._by_function(ids, pooling, layer, width)
        graph = self._graph(pooling, layer)
        if pooling == "flatten":
            return lambda ids: _flatten(graph(ids), ids, max_length)
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
            chosen = states[layer - 3 : layer + 1] if _joins_four(pooling) else states[layer]
            return TokenPooling(pooling, dtype="float32")(chosen, ids)  # (B, H)

        if (pooling, layer) not in self._graphs:
            self._graphs[pooling, layer] = traced_once(call, [((None, None), "int32")])
        return self._graphs[pooling, layer]

    def _pooled(self, states: list[Any]) -> Any:
        assert self.pooler is not None
        kernel, bias = self.pooler
        return ops.tanh(ops.matmul(ops.cast(states[-1][:, 0, :], "float32"), kernel) + bias)  # (B, H)

    def _by_function(self, ids: np.ndarray, function: Callable, layer: int, width: int | None) -> np.ndarray:
        """The user's function over the sentences of each length by themselves, so that it sees no padding."""
        states, pooled = self._graph("function", layer)(ids)
        lengths = (ids != 0).sum(axis=1)
        parts = {}
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            hidden = states.numpy()[rows, :length]
            answer = np.asarray(function(hidden, None if pooled is None else pooled.numpy()[rows]))
            if answer.ndim == 1 and len(rows) == 1:  # as a squeeze() leaves a single sentence
                answer = answer[None]
            expected = (len(rows), "features" if width is None else width)
            if answer.ndim != 2 or len(answer) != len(rows) or width not in (None, answer.shape[1]):
                raise SettingsError(
                    f"the pooling function gave shape {_written(answer.shape)} for hidden states of shape "
                    f"{_written(hidden.shape)}: expected {_written(expected)}"
                )
            parts[length] = rows, answer.astype("float32")
        table = np.empty((len(ids), answer.shape[1]), "float32")
        for rows, answer in parts.values():
            table[rows] = answer
        return table


def _flatten(states: Any, ids: np.ndarray, max_length: int) -> np.ndarray:
    """Hidden states (B, T, H) in a row a sentence, token after token, zeros where there is none."""
    batch, length, hidden = states.shape
    table = np.zeros((batch, max_length, hidden), "float32")
    table[:, :length] = states.numpy() * (ids != 0)[:, :, None]
    return table.reshape(batch, max_length * hidden)


def _written(shape: Iterable) -> str:
    return f"({', '.join(map(str, shape))})"


def _is_hashable(settings: tuple) -> bool:
    try:
        hash(settings)
    except TypeError:
        return False
    return True


# --- vectors on disk ---------------------------------------------------------------------------------------------


class _Memory:
    """Vectors in one SQLite file of a folder, under hashes; several processes may use it at once."""

    def __init__(self, folder: str | PathLike) -> None:
        self.path = Path(folder).expanduser() / MEMORY_FILE

    def read(self, names: Iterable[bytes], width: int) -> dict[bytes, np.ndarray]:
        """Those of the vectors that are there."""
        wanted, kept = list(names), {}
        with self._open() as database:
            for start in range(0, len(wanted), _KEYS_IN_A_QUERY):
                part = wanted[start : start + _KEYS_IN_A_QUERY]
                marks = ",".join("?" * len(part))
                for name, content in database.execute(
                    f"SELECT name, vector FROM vectors WHERE name IN ({marks})", part
                ):
                    if len(content) == 4 * width:
                        kept[name] = np.frombuffer(content, "<f4")
        return kept

    def write(self, vectors: dict[bytes, np.ndarray]) -> None:
        rows = [(name, vector.astype("<f4").tobytes()) for name, vector in vectors.items()]
        with self._open() as database, database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=60)) as database:
                database.execute("CREATE TABLE IF NOT EXISTS vectors (name BLOB PRIMARY KEY, vector BLOB NOT NULL)")
                yield database
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SettingsError(f"memory can't be kept in {self.path}: {reason}; name another folder") from error
