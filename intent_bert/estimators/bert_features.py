"""BERT's vectors for scikit-learn: strings in, one float32 row of features a sentence out; nothing is trained.

    texts -> ids -> frozen encoder (B, T, H) -> pooling -> (sentences, features)

    ids       [CLS] play our song [SEP]     5 tokens, H numbers each in every layer
    cls       the first of them             (H,)
    mean      the average of all five       (H,)      padding never counts
    flatten   all five, then zeros          (max_seq_len * H,)

The encoder, and what it has computed already, is ``shared_encoder``'s business; the classifier on the features is the
caller's.
"""

from collections.abc import Iterable
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from intent_bert.bert.known_checkpoints import DEFAULT_CHECKPOINT
from intent_bert.config import POOLINGS, check_count
from intent_bert.data.tables import check_texts
from intent_bert.errors import SettingsError
from intent_bert.estimators.shared_encoder import (
    PoolingFunction,
    SharedEncoder,
    VectorKind,
    check_pooling_function,
    shared_encoder,
)
from intent_bert.estimators.vector_store import VectorStore

Pooling: TypeAlias = str | PoolingFunction

FEATURE_POOLINGS = (*POOLINGS, "pooler", "flatten")


class BertTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns texts into the vectors of a frozen BERT encoder, for any scikit-learn classifier.

    ``transform`` needs no ``fit``, for nothing is learnt; ``get_feature_names_out`` does. Neither weights nor vectors
    are part of the object: it pickles as its parameters, and where it is unpickled the checkpoint must be found
    under the same name or path. One encoder for each checkpoint is loaded in a process, however many clones use it;
    it remembers vectors under the ids that made them, so cross-validation computes each sentence once.

    Args:
        checkpoint: a known name, a checkpoint folder, or a model folder that ``train`` wrote (the tuned encoder).
        pooling: how the vectors of the tokens become one. "mean" (padding left out), the default, is what
            all-MiniLM-L6-v2 was trained for; "cls" and "max"; "pooler", the checkpoint's own tanh layer over [CLS]
            (over the last layer, whatever ``layer`` says); "sum_last_four", "mean_last_four", "concat_last_four": the
            four layers that end with ``layer`` added, averaged or joined token by token, then averaged over the
            tokens; "flatten": all tokens, with zeros up to ``max_seq_len``; or a function of one argument, the pair
            ``(last_hidden_state, pooled_output)`` of float32 arrays (B, T, H) and (B, H), that gives (B, features):
            ``lambda x: x[0][:, 0, :]`` is "cls". It is called with sentences of one length and sees no padding;
            ``pooled_output`` is None without a pooler.
        layer: which encoder layer's output: 0 is the first, -1 the last (Hugging Face's ``hidden_states[layer + 1]``).
        max_seq_len: longer sentences are cut to this many tokens, [CLS] and [SEP] among them, and the log says so. None
            means 60, or the checkpoint's positions if those are fewer.
        batch_size: sentences computed at a time.
        normalize: scale each row to length 1.
        memory: a folder that keeps the vectors for later runs and other processes (not those of a function).
        do_lower_case: as the checkpoint says when None.
        verbose: 1 shows progress on stderr when the work takes over two seconds.

    Attributes:
        n_features_out_: features in a row.

    Example:
        `make_pipeline(BertTransformer(), LinearSVC()).fit(texts, intents).predict(["Play our song now"])`
    """

    def __init__(
        self,
        checkpoint: str | PathLike = DEFAULT_CHECKPOINT,
        *,
        pooling: Pooling = "mean",
        layer: int = -1,
        max_seq_len: int | None = None,
        batch_size: int = 32,
        normalize: bool = False,
        memory: str | PathLike | None = None,
        do_lower_case: bool | None = None,
        verbose: int = 0,
    ) -> None:
        self.checkpoint = checkpoint
        self.pooling = pooling
        self.layer = layer
        self.max_seq_len = max_seq_len
        self.batch_size = batch_size
        self.normalize = normalize
        self.memory = memory
        self.do_lower_case = do_lower_case
        self.verbose = verbose

    def fit(self, X: Iterable[str], y: Any = None) -> "BertTransformer":
        """Check the texts and the settings; nothing is learnt.

        Raises:
            DataError: a bare string, or something among the texts that is no text (with its row).
            SettingsError: an unknown pooling or checkpoint, or a number that doesn't fit the checkpoint.
            CheckpointError: the checkpoint is not whole, or ``do_lower_case`` contradicts it.
        """
        check_texts(X)
        encoder, kind, _ = self._resolved()
        self.n_features_out_ = encoder.width(kind)
        return self

    def transform(self, X: Iterable[str]) -> np.ndarray:
        """The features of each text, float32 (texts, features), in order; raises what ``fit`` raises.

        DiskError if the vectors can't be kept in ``memory``.
        """
        texts = check_texts(X)
        encoder, kind, max_seq_len = self._resolved()
        ids, cut = encoder.tokenizer.encode(texts, max_seq_len)
        if cut:
            encoder.warn_of_cut(cut, len(texts), max_seq_len)
        store = None if self.memory is None else VectorStore(self.memory)
        progress = "features" if self.verbose else None
        rows = encoder.vectors(ids, kind, int(self.batch_size), store, progress)
        if self.normalize:
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows

    def fit_transform(self, X: Iterable[str], y: Any = None, **fit_params: Any) -> np.ndarray:
        """``fit``, then ``transform``; a generator of texts is read once."""
        return super().fit_transform(X if hasattr(X, "shape") else check_texts(X), y, **fit_params)

    @property
    def _n_features_out(self) -> int:  # where scikit-learn's mixin looks
        return self.n_features_out_

    def _resolved(self) -> tuple[SharedEncoder, VectorKind, int]:
        """The encoder, which of its vectors, and ``max_seq_len``, once every setting is known to fit."""
        if not callable(self.pooling) and self.pooling not in FEATURE_POOLINGS:
            known = ", ".join(FEATURE_POOLINGS)
            raise SettingsError(f"unknown pooling {self.pooling!r}: expected one of {known}, or a function")
        if callable(self.pooling):
            check_pooling_function(self.pooling)
        if not isinstance(self.layer, (int, np.integer)) or isinstance(self.layer, bool):
            raise SettingsError(f"layer must be a whole number, not {self.layer!r}")
        check_count("batch_size", self.batch_size)
        if self.memory is not None and not isinstance(self.memory, (str, PathLike)):
            raise SettingsError(f"memory must be a folder or None, not {type(self.memory).__name__}")
        encoder = shared_encoder(self.checkpoint, None if self.do_lower_case is None else bool(self.do_lower_case))
        max_seq_len = encoder.max_seq_len(self.max_seq_len)
        kind = VectorKind(self.pooling, self._layer_of(encoder), max_seq_len if self.pooling == "flatten" else 0)
        return encoder, kind, max_seq_len

    def _layer_of(self, encoder: SharedEncoder) -> int:
        """The layer counted from 0, once it is known to fit the encoder and the pooling."""
        layers = encoder.bert.config.num_layers
        if not -layers <= self.layer < layers:
            raise SettingsError(
                f"the encoder has {layers} layers: layer must be 0 to {layers - 1}, or -{layers} to -1, "
                f"not {self.layer}"
            )
        layer = int(self.layer) % layers
        if isinstance(self.pooling, str) and self.pooling.endswith("last_four") and layer < 3:
            raise SettingsError(
                f"pooling {self.pooling!r} needs four layers, but layer={self.layer} of this checkpoint's {layers} "
                f"has {layer} below it"
            )
        if self.pooling == "pooler" and encoder.pooler is None:
            raise SettingsError(
                f"pooling 'pooler' needs the checkpoint's own pooler, but {encoder.folder} has none: "
                "choose another pooling, such as 'cls'"
            )
        return layer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
