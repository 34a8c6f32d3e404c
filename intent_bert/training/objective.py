"""What a fit learns towards: one intent for each sentence, or any number of them. Nothing else here tells them apart.

                 one intent                     several intents
targets          int32 (N,), label numbers      float32 (N, C) of 0 and 1
loss             cross-entropy of a softmax     binary cross-entropy of each intent
metrics          accuracy, macro F1             subset accuracy, micro F1, macro F1
decision         the likeliest intent           all whose probability reaches a threshold
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from intent_bert.bert.layers import PACKAGE
from intent_bert.config import TrainingConfig
from intent_bert.data.label_sets import label_matrix
from intent_bert.data.labels import Label, class_weights, label_ids
from intent_bert.model.decision import Decision, is_wordless
from intent_bert.model.keras_engine import KerasEngine, compiled, predict_in_batches
from intent_bert.model.multi_label import DEFAULT_THRESHOLD, MultiLabelDecision
from intent_bert.model.network import LOGITS, start_at_priors
from intent_bert.model.saved import Artifact
from intent_bert.training.callbacks import MacroF1
from intent_bert.training.prepare import Prepared, Sentences

logger = logging.getLogger("intent_bert")

ENOUGH_FOR_A_MEAN = 32  # sentences of an intent


class Objective(Protocol):
    """What a fit learns towards."""

    def targets(self, labels: Sequence[Any], classes: Sequence[Label]) -> np.ndarray:
        """What the loss compares with, (N, ...)."""

    def weights(self, labels: Sequence[Any], classes: Sequence[Label], config: TrainingConfig) -> np.ndarray | None:
        """How much each sentence counts, float32 (N,); None where all count alike."""

    def loss(self) -> keras.losses.Loss:
        """Of targets and logits."""

    def metrics(self, number_of_classes: int) -> list[keras.metrics.Metric]:
        """Of targets and logits, gathered over an epoch."""

    def decision(self, number_of_classes: int) -> Decision:
        """How predictions are judged while training goes on."""


@dataclass(frozen=True)
class OneIntent:
    """One intent for each sentence; a share of each label may be spread over all intents (label smoothing)."""

    label_smoothing: float = 0.0

    def targets(self, labels: Sequence[Any], classes: Sequence[Label]) -> np.ndarray:
        return label_ids(labels, classes)

    def weights(self, labels: Sequence[Any], classes: Sequence[Label], config: TrainingConfig) -> np.ndarray | None:
        by_class = class_weights(labels, classes, config.class_weight)
        return None if by_class is None else by_class[label_ids(labels, classes)]

    def loss(self) -> keras.losses.Loss:
        return SmoothedCrossentropy(self.label_smoothing)

    def metrics(self, number_of_classes: int) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy("accuracy"), MacroF1(number_of_classes)]

    def decision(self, number_of_classes: int) -> Decision:
        return Decision()


class SeveralIntents:
    def targets(self, labels: Sequence[Any], classes: Sequence[Label]) -> np.ndarray:
        return label_matrix(labels, classes).astype("float32")

    def weights(self, labels: Sequence[Any], classes: Sequence[Label], config: TrainingConfig) -> np.ndarray | None:
        return None

    def loss(self) -> keras.losses.Loss:
        return keras.losses.BinaryCrossentropy(from_logits=True)

    def metrics(self, number_of_classes: int) -> list[keras.metrics.Metric]:
        f1 = [LabelSetF1(number_of_classes, average) for average in ("micro", "macro")]
        return [SubsetAccuracy(), *f1]

    def decision(self, number_of_classes: int) -> Decision:
        return MultiLabelDecision.unfitted(number_of_classes)


def objective_of(config: TrainingConfig) -> Objective:
    """The objective that the settings ask for."""
    return SeveralIntents() if config.multi_label else OneIntent(config.label_smoothing)


@keras.saving.register_keras_serializable(PACKAGE)
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of label numbers (B,) and logits (B, C), of which a share of each label counts for all intents.

    ``keras.losses.CategoricalCrossentropy(label_smoothing=...)`` for numbers in place of one-hot rows.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "crossentropy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels = keras.ops.reshape(y_true, (-1,))
        loss = keras.ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)  # (B,)
        if not self.label_smoothing:
            return loss
        uniform = keras.ops.logsumexp(y_pred, axis=-1) - keras.ops.mean(y_pred, axis=-1)
        return (1 - self.label_smoothing) * loss + self.label_smoothing * uniform

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(PACKAGE)
class SubsetAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of rows whose intents are exactly those of the targets, from targets (B, C) and logits (B, C)."""

    def __init__(self, name: str = "subset_accuracy", **kwargs: Any) -> None:
        super().__init__(_exactly_right, name=name, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


def _exactly_right(y_true: Any, y_pred: Any) -> Any:
    same = keras.ops.equal(keras.ops.greater(y_true, 0.5), keras.ops.greater_equal(y_pred, 0.0))
    return keras.ops.cast(keras.ops.all(same, axis=-1), "float32")


@keras.saving.register_keras_serializable(PACKAGE)
class LabelSetF1(keras.metrics.F1Score):
    """Micro or macro F1 from targets (B, C) of 0 and 1 and logits (B, C), gathered over an epoch."""

    def __init__(self, number_of_classes: int, average: str = "micro", **kwargs: Any) -> None:
        super().__init__(average=average, threshold=DEFAULT_THRESHOLD, name=f"{average}_f1")
        self.number_of_classes = number_of_classes
        nothing = keras.ops.zeros((1, number_of_classes))
        super().update_state(nothing, nothing)  # it makes its variables here: later, the training step is traced twice
        self.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, keras.ops.sigmoid(y_pred), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"number_of_classes": self.number_of_classes, "average": self.average}


# --- before and after the fit ------------------------------------------------------------------------------------


def start_at_label_shares(model: keras.Model, sentences: Sentences, classes: Sequence[Label]) -> None:
    """Let a multi-label model begin with each intent's share of the training sentences."""
    matrix = label_matrix(sentences.labels, classes)
    start_at_priors(model, (matrix.sum(axis=0) + 1) / (len(matrix) + 2))


def start_at_class_means(model: keras.Model, sentences: Sentences, classes: Sequence[Label], seed: int = 0) -> None:
    """Let a cosine head begin with the mean vector of each intent's sentences, of some of them if there are many."""
    numbers, rng = sentences.numbers(classes), np.random.default_rng(seed)
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(numbers == n))[:ENOUGH_FOR_A_MEAN] for n in range(len(classes))]
    )
    vectors_model = keras.Model(model.inputs, model.get_layer("pooling").output)
    vectors = predict_in_batches(
        compiled(vectors_model), [sentences.ids[row] for row in rows], vectors_model.output_shape[-1]
    )
    model.get_layer(LOGITS).start_at(vectors, numbers[rows])


def fitted_decision(artifact: Artifact, prepared: Prepared) -> MultiLabelDecision:
    """Thresholds for a trained multi-label model, from the validation sentences; 0.5 where there are none."""
    validation = prepared.splits.get("validation")
    unfitted = MultiLabelDecision.unfitted(len(artifact.classes))
    if validation is None:
        logger.warning(
            "no rows were held out to fit thresholds on: an intent is predicted from a probability of %s on "
            "(a validation table, or a validation_split above 0, brings better ones)",
            DEFAULT_THRESHOLD,
        )
        return unfitted
    outputs = KerasEngine(artifact.model).outputs(validation.ids)
    probabilities = unfitted.predictions(outputs, is_wordless(validation.ids)).probabilities
    return MultiLabelDecision.fitted(probabilities, label_matrix(validation.labels, artifact.classes))
