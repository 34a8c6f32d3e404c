"""The same engine as a scikit-learn estimator on raw strings."""

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from intent_bert.config import TrainingConfig
from intent_bert.data.checks import check_tables
from intent_bert.data.splits import with_validation
from intent_bert.data.tables import check_texts, read_table
from intent_bert.errors import DataError
from intent_bert.estimators.targets import (
    chosen_lists,
    columns_of,
    has_label_lists,
    in_columns,
    is_matrix,
    label_lists,
    right_rows,
)
from intent_bert.export.exports import export_with_the_run
from intent_bert.inference.agreement import sentences_for
from intent_bert.inference.predictor import CHUNK, IntentPredictor
from intent_bert.model.decision import NO_INTENT, Predictions
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.saved import Artifact, load_artifact, save_artifact
from intent_bert.training.deciding import decide
from intent_bert.training.fit import fit, trained_artifact
from intent_bert.training.prepare import prepare

_DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(TrainingConfig)}


class IntentClassifier(ClassifierMixin, BaseEstimator):
    """Fine-tunes BERT on raw strings: ``fit``, ``predict``, ``predict_proba``, ``score``.

    The parameters are those of ``TrainingConfig``, with the same defaults. ``validation_split`` holds out a share to
    choose the best epoch on; the default, 0, trains on everything and keeps the last epoch. ``callbacks`` are Keras
    callbacks; their ``model`` is the one that is fitted, which ends in the logits. ``verbose=1`` shows progress on
    stderr. The same rows and settings give the weights that ``train`` gives.

    Texts may have several intents, or none: ``y`` is then a list of lists of labels, or scikit-learn's indicator
    matrix, and ``predict`` gives the same form back. ``multi_label=True`` says so of plain labels, to be learnt with
    ``mix``.

    Attributes:
        classes_: the labels, sorted, with the type they came in.
        n_epochs_: epochs that were run.
        interrupted_: whether Ctrl-C ended the fit; the weights are then those of the best epoch before it.
        history_: DataFrame, a row an epoch.
        model_: the trained ``keras.Model``.

    Example:
        `IntentClassifier(epochs=2).fit(texts, intents).predict(["Play our song now"])`
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike = _DEFAULTS["checkpoint"],
        *,
        recipe: str = _DEFAULTS["recipe"],
        do_lower_case: bool | None = None,
        epochs: int | None = _DEFAULTS["epochs"],
        batch_size: int | None = _DEFAULTS["batch_size"],
        learning_rate: float | None = _DEFAULTS["learning_rate"],
        head_learning_rate_multiplier: float | None = _DEFAULTS["head_learning_rate_multiplier"],
        warmup: float | None = _DEFAULTS["warmup"],
        decay: bool | None = _DEFAULTS["decay"],
        weight_decay: float = _DEFAULTS["weight_decay"],
        dropout: float | None = _DEFAULTS["dropout"],
        pooling: str | None = _DEFAULTS["pooling"],
        head: str | None = _DEFAULTS["head"],
        train_layers: str | int = _DEFAULTS["train_layers"],
        label_smoothing: float | None = _DEFAULTS["label_smoothing"],
        label_names: bool | None = _DEFAULTS["label_names"],
        models: int | None = _DEFAULTS["models"],
        class_weight: str | Mapping[Any, float] | None = None,
        adapter_size: int | None = None,
        multi_label: bool = _DEFAULTS["multi_label"],
        label_separator: str = _DEFAULTS["label_separator"],
        mix: float = _DEFAULTS["mix"],
        max_seq_len: int | None = _DEFAULTS["max_seq_len"],
        validation_split: float = 0.0,
        seed: int = _DEFAULTS["seed"],
        precision: str = _DEFAULTS["precision"],
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: int = 0,
    ) -> None:
        self.checkpoint = checkpoint
        self.recipe = recipe
        self.do_lower_case = do_lower_case
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate_multiplier = head_learning_rate_multiplier
        self.warmup = warmup
        self.decay = decay
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.pooling = pooling
        self.head = head
        self.train_layers = train_layers
        self.label_smoothing = label_smoothing
        self.label_names = label_names
        self.models = models
        self.class_weight = class_weight
        self.adapter_size = adapter_size
        self.multi_label = multi_label
        self.label_separator = label_separator
        self.mix = mix
        self.max_seq_len = max_seq_len
        self.validation_split = validation_split
        self.seed = seed
        self.precision = precision
        self.callbacks = callbacks
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "IntentClassifier":
        """Fine-tune a fresh model on texts (a list, array or Series of strings) and their labels.

        Args:
            X: the texts.
            y: a label for each; or lists of labels, or an indicator matrix (array, sparse or DataFrame) of 0 and 1.
        """
        if not is_matrix(y):
            _check_labels(y)
        settings = {name: getattr(self, name) for name in self._settings()}
        several = is_matrix(y) or has_label_lists(y)
        config = TrainingConfig.of(**{**settings, "multi_label": self.multi_label or several})
        facts = {"indicator_columns": columns_of(y)} if is_matrix(y) else {}
        labels = label_lists(y) if is_matrix(y) else list(y)
        table = read_table((check_texts(X), labels), label_separator=config.separator_to_read)
        check_tables(table, label_separator=None if several or config.mix else config.separator_to_read)
        prepared = prepare(config, with_validation({"train": table}, config))
        result = fit(prepared, callbacks=self.callbacks or (), verbose=self.verbose)
        self.history_, self.n_epochs_ = result.history, len(result.history)
        self.interrupted_ = result.interrupted
        artifact = trained_artifact(prepared, result, **facts)
        if "validation" in prepared.splits and not config.multi_label:
            decide(artifact, prepared)
        return self._set(artifact)

    @property
    def model_(self) -> keras.Model:
        """The trained model, as ``create_model`` gave it."""
        check_is_fitted(self)
        return self._artifact.model

    def predict(self, X: Any) -> Any:
        """The label of each text, in order, with the type of the labels given to ``fit``.

        A text without a word in it has no label: None, in an array of objects. Of several intents a text it gives the
        form of ``y``: an indicator matrix, int (texts, columns), or lists of labels.
        """
        predictions = self._predictions(X)
        if self._artifact.decision.multi_label:
            chosen = self._artifact.decision.chosen(predictions)
            columns = self._indicator_columns
            if columns is None:
                return chosen_lists(chosen, self._artifact.classes)
            return in_columns(chosen.astype(int), self._artifact.classes, columns)
        labels = self.classes_[predictions.numbers]
        none = predictions.numbers == NO_INTENT
        if none.any():
            labels = labels.astype(object)
            labels[none] = None
        return labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, float32 (texts, classes), columns in the order of ``classes_``."""
        probabilities = self._predictions(X).probabilities
        if self._indicator_columns is None:
            return probabilities
        return in_columns(probabilities, self._artifact.classes, self._indicator_columns)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy of ``predict``; a text without a label counts as a mistake.

        Of several intents a text it is the subset accuracy: the share of texts with exactly their labels.
        """
        if not is_matrix(y):
            _check_labels(y)
        found, labels = self.predict(X), label_lists(y) if is_matrix(y) else list(y)
        if len(found) != len(labels):
            raise DataError(f"expected as many labels as texts, got {len(found)} texts and {len(labels)} labels")
        if self._artifact.decision.multi_label:
            right = right_rows(found, y)
        else:
            right = [each is not None and each == label for each, label in zip(found, labels, strict=True)]
        return float(np.average(right, weights=sample_weight))

    def _predictions(self, X: Any) -> Predictions:
        check_is_fitted(self)
        texts = check_texts(X)
        parts = [self._predictor.predictions(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
        parts = parts or [self._predictor.predictions([])]
        return Predictions(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    @classmethod
    def _settings(cls) -> list[str]:
        """The parameters that are settings of ``TrainingConfig``."""
        return [name for name in cls._get_param_names() if name in _DEFAULTS]

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
        estimator = cls(**{name: value for name, value in artifact.settings.items() if name in cls._settings()})
        return estimator._set(artifact)

    def _set(self, artifact: Artifact) -> "IntentClassifier":
        self._artifact, self._predictor = artifact, IntentPredictor(artifact, KerasEngine(artifact.model))
        self._indicator_columns = artifact.settings.get("indicator_columns")
        classes = artifact.classes if self._indicator_columns is None else self._indicator_columns
        one_type = len({type(label) for label in classes}) == 1
        self.classes_ = np.array(classes, None if one_type else object)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.classifier_tags.multi_label = True
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


def _check_labels(y: Any) -> None:
    if isinstance(y, str) or not isinstance(y, Iterable):
        raise DataError(f"expected a list with a label for each text, got {'None' if y is None else type(y).__name__}")
