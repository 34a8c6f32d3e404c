"""The same engine as a scikit-learn estimator on raw strings."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from intent_bert.bert.checkpoint import check_checkpoint_folder
from intent_bert.bert.pretrained import DEFAULT_CHECKPOINT, resolve
from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer
from intent_bert.config import DEFAULT_DROPOUT, DEFAULT_MAX_SEQ_LEN, INTENT, TrainingConfig
from intent_bert.data.checks import check_tables
from intent_bert.data.labels import classes_of
from intent_bert.data.splits import split_off
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError
from intent_bert.export.exports import export_with_the_run, sentences_for
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.network import create_model, model_arguments
from intent_bert.model.saved import Artifact, load_artifact, save_artifact
from intent_bert.training.fit import Sentences, fine_tune

_DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(TrainingConfig)}


class IntentClassifier(ClassifierMixin, BaseEstimator):
    """Fine-tunes BERT on raw strings: ``fit``, ``predict``, ``predict_proba``, ``score``.

    The parameters are those of ``TrainingConfig``, with the same defaults. ``validation_split`` holds out a share to
    choose the best epoch on; the default, 0, trains on everything and keeps the last epoch. ``verbose=1`` shows
    progress on stderr.

    Attributes:
        classes_: the labels, sorted, with the type they came in.
        n_epochs_: epochs that were run.
        history_: DataFrame, a row an epoch.

    Example:
        `IntentClassifier(epochs=2).fit(texts, intents).predict(["Play our song now"])`
    """

    def __init__(
        self,
        checkpoint: str = DEFAULT_CHECKPOINT,
        *,
        do_lower_case: bool | None = None,
        epochs: int | None = _DEFAULTS["epochs"],
        batch_size: int = _DEFAULTS["batch_size"],
        learning_rate: float | None = _DEFAULTS["learning_rate"],
        head_rate_factor: float | None = _DEFAULTS["head_rate_factor"],
        warmup: float = _DEFAULTS["warmup"],
        decay: bool = _DEFAULTS["decay"],
        weight_decay: float = _DEFAULTS["weight_decay"],
        dropout: float = DEFAULT_DROPOUT,
        pooling: str = _DEFAULTS["pooling"],
        head: str = _DEFAULTS["head"],
        train_layers: str | int = _DEFAULTS["train_layers"],
        class_weight: str | Mapping[Any, float] | None = None,
        adapter_size: int | None = None,
        max_seq_len: int = DEFAULT_MAX_SEQ_LEN,
        validation_split: float = 0.0,
        seed: int = _DEFAULTS["seed"],
        precision: str = _DEFAULTS["precision"],
        verbose: int = 0,
    ) -> None:
        self.checkpoint = checkpoint
        self.do_lower_case = do_lower_case
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_rate_factor = head_rate_factor
        self.warmup = warmup
        self.decay = decay
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.pooling = pooling
        self.head = head
        self.train_layers = train_layers
        self.class_weight = class_weight
        self.adapter_size = adapter_size
        self.max_seq_len = max_seq_len
        self.validation_split = validation_split
        self.seed = seed
        self.precision = precision
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "IntentClassifier":
        """Fine-tune a fresh model on texts (a list, array or Series of strings) and their labels."""
        settings = {name: value for name, value in self.get_params().items() if name != "verbose"}
        config = TrainingConfig.from_recipe("default", **settings)
        table = read_table((_texts(X), list(y)))
        check_tables(table)
        classes = classes_of(table[INTENT])
        folder = check_checkpoint_folder(resolve(self.checkpoint))
        keras.utils.set_random_seed(self.seed)
        model = create_model(self.max_seq_len, folder, classes, **model_arguments(config))
        tokenizer = FullTokenizer(folder / VOCAB_FILE, self.do_lower_case)
        validation = None
        if self.validation_split:
            table, held_out = split_off(table, self.validation_split, self.seed)
            validation = Sentences.of(held_out, tokenizer, self.max_seq_len) if len(held_out) else None
        train = Sentences.of(table, tokenizer, self.max_seq_len)
        self.history_, _ = fine_tune(model, train, validation, classes, config, progress=bool(self.verbose))
        self.n_epochs_ = len(self.history_)
        return self._set(Artifact.trained(model, tokenizer, classes, settings))

    def predict(self, X: Any) -> np.ndarray:
        """The label of each text, in order, with the type of the labels given to ``fit``."""
        numbers = self.predict_proba(X).argmax(axis=1)
        return self.classes_[numbers]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, float32 (texts, classes), columns in the order of ``classes_``."""
        check_is_fitted(self)
        return self._predictor.predict_proba(_texts(X))

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the model folder that ``IntentPredictor.load`` and ``IntentClassifier.load`` read, with model.onnx."""
        check_is_fitted(self)
        return save_artifact(
            self._artifact,
            folder,
            write_exports=lambda work: export_with_the_run(self._artifact, work, sentences_for(work), "the sample"),
        )

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "IntentClassifier":
        """An estimator, fitted, from a model folder."""
        artifact = load_artifact(folder)
        names = set(cls().get_params())
        estimator = cls(**{name: value for name, value in artifact.settings.items() if name in names})
        return estimator._set(artifact)

    def _set(self, artifact: Artifact) -> "IntentClassifier":
        self._artifact, self._predictor = artifact, IntentPredictor(artifact)
        one_type = len({type(label) for label in artifact.classes}) == 1
        self.classes_ = np.array(artifact.classes, None if one_type else object)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Pickles as the files of its model folder: no TensorFlow object is pickled."""
        state = {key: value for key, value in super().__getstate__().items() if key not in ("_artifact", "_predictor")}
        if hasattr(self, "_artifact"):
            with tempfile.TemporaryDirectory() as folder:
                path = save_artifact(self._artifact, Path(folder) / "model")
                state["_files"] = {each.name: each.read_bytes() for each in path.iterdir()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        files = state.pop("_files", None)
        super().__setstate__(state)
        if files is not None:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in files.items():
                    (Path(folder) / name).write_bytes(content)
                self._set(load_artifact(folder))


def _texts(X: Any) -> list[str]:
    if isinstance(X, str):
        raise DataError("expected a list of texts, got a single string: put it in a list")
    if getattr(X, "ndim", 1) != 1:
        raise DataError(f"expected a list or one column of texts, got a table of shape {X.shape}: pass X['text']")
    return list(X)
