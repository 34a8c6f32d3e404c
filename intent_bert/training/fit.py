"""The fit: a compiled loop over length-bucketed batches that keeps the weights of its best epoch.

Serves ``train`` and ``IntentClassifier`` alike; knows nothing of files and folders.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Self

import keras
import numpy as np
import pandas as pd

from intent_bert.bert.layers import PACKAGE
from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.config import INTENT, TEXT, TrainingConfig
from intent_bert.data.batches import Label, bucketed_batches, encode, label_ids, pad
from intent_bert.errors import SettingsError
from intent_bert.evaluation.metrics import Evaluation, evaluate_probabilities
from intent_bert.files.progress import progress_bar
from intent_bert.model.network import predict_in_batches, probability_function, quiet_about_tracing
from intent_bert.training.frozen import CachedActivations, CutModel
from intent_bert.training.optimizer import WarmupThenDecay as WarmupThenDecay
from intent_bert.training.optimizer import adamw
from intent_bert.training.resume import Progress, UnfinishedRun

logger = logging.getLogger("intent_bert")

EpochReport = Callable[[int, dict[str, float], Evaluation | None], None]


@dataclass
class Sentences:
    """Encoded sentences with their labels: what the fit and the evaluation read.

    ``activations`` is what the frozen layers gave for them, where only the layers above learn.
    """

    texts: list[str]
    labels: list[Label]
    ids: list[np.ndarray]
    activations: CachedActivations | None = None

    @classmethod
    def of(cls, table: pd.DataFrame, tokenizer: FullTokenizer, max_seq_len: int) -> Self:
        texts = list(table[TEXT])
        return cls(texts, list(table[INTENT]), encode(texts, tokenizer, max_seq_len))

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """What the model that learns reads of these sentences: padded ids (B, T), or the frozen layers' activations."""
        return self.activations.batch(rows) if self.activations else (pad([self.ids[row] for row in rows]),)


@keras.saving.register_keras_serializable(PACKAGE)
class MacroF1(keras.metrics.F1Score):
    """Macro F1 from label numbers (B,) and probabilities (B, C), gathered over an epoch."""

    def __init__(self, number_of_classes: int, name: str = "macro_f1", **kwargs: Any) -> None:
        super().__init__(average="macro", name=name)
        self.number_of_classes = number_of_classes
        nothing = keras.ops.zeros((1, number_of_classes))
        super().update_state(nothing, nothing)  # it makes its variables here: later, the training step is traced twice
        self.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), self.number_of_classes)
        super().update_state(truth, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"number_of_classes": self.number_of_classes, "name": self.name}


def compile_model(model: keras.Model, config: TrainingConfig, steps: int) -> None:
    """Compile with the recipe's optimizer for a fit of ``steps`` steps in all."""
    assert config.learning_rate is not None
    optimizer = adamw(
        config.learning_rate,
        steps,
        warmup=config.warmup,
        decay=config.decay,
        weight_decay=config.weight_decay,
        head_learning_rate_multiplier=config.head_rate_factor or 1,
    )
    optimizer.build(model.trainable_variables)  # left to fit, it has the training step traced twice
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy"), MacroF1(model.output_shape[-1])],
        jit_compile=False,  # XLA would compile anew for every length of a batch
    )


class KeepBest(keras.callbacks.Callback):
    """Evaluate the validation sentences after each epoch and remember the weights of the best.

    Puts ``val_loss``, ``val_accuracy`` and ``val_macro_f1`` into the epoch's logs. The best epoch has the highest
    accuracy, then the lowest loss. Without validation sentences the last epoch is the best. ``report`` is called
    after each epoch with its number, its logs and the validation figures; ``unfinished`` is where a run that may be
    killed leaves its state.
    """

    def __init__(
        self,
        validation: Sentences | None,
        classes: Sequence[Label],
        report: EpochReport | None = None,
        unfinished: UnfinishedRun | None = None,
    ) -> None:
        super().__init__()
        self.validation, self.classes, self.report, self.unfinished = validation, classes, report, unfinished
        self.progress = Progress()
        self.best_weights: list[np.ndarray] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.predict = probability_function(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        score, evaluation = (float(epoch), 0.0), None
        if self.validation is not None:
            evaluation = evaluate(self.predict, self.validation, self.classes)
            score = (evaluation.accuracy, -evaluation.loss)
            logs |= {f"val_{name}": getattr(evaluation, name) for name in ("loss", "accuracy", "macro_f1")}
        if self.report is not None:
            self.report(epoch, logs, evaluation)
        self.progress.rows.append({name: float(value) for name, value in logs.items()})
        if score > self.progress.best_score:
            self.progress.best_score, self.progress.best_epoch = score, epoch
            self.best_weights = self.model.get_weights()
        if self.unfinished is not None:
            self.unfinished.save(self.model, self.progress)

    def restore(self) -> None:
        """Give the model the weights of the best epoch."""
        if self.best_weights:
            self.model.set_weights(self.best_weights)


class ProgressBar(keras.callbacks.Callback):
    """A bar for each epoch on stderr, with the running loss and accuracy."""

    def __init__(self, epochs: int, steps: int) -> None:
        super().__init__()
        self.epochs, self.steps = epochs, steps
        self.bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.bar = progress_bar(self.steps, f"epoch {epoch + 1}/{self.epochs}", "batch")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.bar.update()
        if logs and batch % 5 == 0:
            self.bar.set_postfix(loss=f"{logs['loss']:.3f}", accuracy=f"{logs['accuracy']:.3f}", refresh=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        shown = ("loss", "accuracy", "val_loss", "val_accuracy")
        self.bar.set_postfix({name: f"{logs[name]:.3f}" for name in shown if name in logs} if logs else {})
        self.bar.close()


def evaluate(predict: Any, sentences: Sentences, classes: Sequence[Label], progress: str | None = None) -> Evaluation:
    """The figures of encoded sentences under a ``probability_function``."""
    probabilities = predict_in_batches(predict, sentences.ids, len(classes), progress=progress, inputs=sentences.batch)
    return evaluate_probabilities(sentences.texts, sentences.labels, probabilities, classes)


@quiet_about_tracing()
def fine_tune(
    model: keras.Model,
    train: Sentences,
    validation: Sentences | None,
    classes: Sequence[Label],
    config: TrainingConfig,
    *,
    report: EpochReport | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    unfinished: UnfinishedRun | None = None,
    progress: bool = True,
) -> tuple[pd.DataFrame, bool]:
    """Fit a model; afterwards it has the weights of its best epoch.

    Where the lower layers are frozen (``train_layers``), what they give is computed once and only the part above them
    is run in each epoch. Ctrl-C ends the fit and the best epoch so far is kept; before the first one is done, the
    interrupt goes on. With ``unfinished`` the state is kept after each epoch, and ``config.resume`` goes on from there.
    A model made in the scope of a ``tf.distribute`` strategy is fitted by it: each replica takes its share of a batch.

    Returns:
        The history, a row an epoch, and whether the fit was interrupted.
    """
    bert = model.get_layer("bert")
    config = config.suited_to(bert.config.hidden_size, len(train.ids), len(classes))
    epochs = config.epochs or 0
    steps = -(-len(train.ids) // config.batch_size)
    if bert.train_layers is not None:
        cut = CutModel(model)
        model, bar = cut.top, "frozen layers" if progress else None
        train = replace(train, activations=cut.activations(train.ids, bar))
        if validation is not None:
            validation = replace(validation, activations=cut.activations(validation.ids, bar))
    compile_model(model, config, steps * epochs)
    keeper = KeepBest(validation, classes, report, unfinished)
    keeper.set_model(model)
    if unfinished is not None and config.resume:
        keeper.progress, keeper.best_weights = unfinished.load(model)
    done = len(keeper.progress.rows)
    bars = [ProgressBar(epochs, steps)] if progress else []
    interrupted = False
    try:
        model.fit(
            _batches(model, train, classes, config, first_epoch=done),
            initial_epoch=done,
            epochs=epochs,
            steps_per_epoch=steps,
            shuffle=False,  # _batches shuffles
            verbose=0,
            callbacks=[keeper, *callbacks, *bars],
        )
    except KeyboardInterrupt:
        interrupted = True
        for bar in bars:
            if bar.bar is not None:
                bar.bar.close()
        if not keeper.best_weights:
            logger.warning("interrupted before the first epoch was done: there is nothing to keep")
            raise
        best = keeper.progress.best_epoch + 1
        logger.warning("interrupted: training stops here, the weights are those of epoch %d", best)
    keeper.restore()
    rows = keeper.progress.rows
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="epoch")), interrupted


def _batches(
    model: keras.Model, train: Sentences, classes: Sequence[Label], config: TrainingConfig, first_epoch: int
) -> Any:
    """An endless tf.data pipeline of (inputs, label numbers, weights if any); seed and epoch fix each pass's order."""
    import tensorflow as tf

    labels = label_ids(train.labels, classes)
    weights = class_weights(train.labels, classes, config.class_weight)
    several = len(model.inputs) > 1
    replicas = model.distribute_strategy.num_replicas_in_sync
    if weights is None and replicas > 1:
        weights = np.ones(len(classes), "float32")

    def passes() -> Iterator[tuple]:
        for epoch in count(first_epoch):
            for rows in bucketed_batches(train.ids, config.batch_size, np.random.default_rng([config.seed, epoch])):
                shared, share = _shared_out(rows, replicas)
                inputs = train.batch(shared)
                weight = () if weights is None else (weights[labels[shared]] * share,)
                yield (inputs if several else inputs[0], labels[shared], *weight)

    inputs = tuple(tf.TensorSpec(each.shape, each.dtype) for each in model.inputs)
    signature: tuple = (inputs if several else inputs[0], tf.TensorSpec((None,), tf.int32))
    if weights is not None:
        signature += (tf.TensorSpec((None,), tf.float32),)
    return tf.data.Dataset.from_generator(passes, output_signature=signature).prefetch(4)


def _shared_out(rows: np.ndarray, replicas: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows as many for each replica, and how much each counts, so that the replicas' mean loss is the batch's.

    What is missing is filled up with the last row, which then counts nothing.
    """
    missing = -len(rows) % replicas
    share = np.full(len(rows), (len(rows) + missing) / len(rows), "float32")
    return np.append(rows, np.repeat(rows[-1:], missing)), np.append(share, np.zeros(missing, "float32"))


def class_weights(
    labels: Sequence[Label], classes: Sequence[Label], class_weight: str | Mapping[Any, float] | None
) -> np.ndarray | None:
    """How much a sentence of each class counts in the loss, float32 (C,), or None where all count alike.

    "balanced" is scikit-learn's: rows / (classes * rows of the class).

    Raises:
        SettingsError: a weight for a label that isn't there, a label without one, or one that isn't above 0.
    """
    if class_weight is None:
        return None
    if class_weight == "balanced":
        counts = np.bincount(label_ids(labels, classes), minlength=len(classes))
        return (len(labels) / (len(classes) * np.maximum(counts, 1))).astype("float32")
    assert isinstance(class_weight, Mapping)
    given = {str(label): weight for label, weight in class_weight.items()}
    odd = sorted(set(given) ^ set(map(str, classes)))
    if odd:
        raise SettingsError(f"class_weight must have a weight for each label and no other: see {odd[0]!r}")
    wrong = next((label for label, weight in given.items() if not weight > 0), None)
    if wrong is not None:
        raise SettingsError(f"class_weight must be above 0, not {given[wrong]} for {wrong!r}")
    return np.array([given[str(label)] for label in classes], "float32")
