"""The fit: a compiled loop over length-bucketed batches that keeps the weights of its best epoch.

Serves ``train`` and ``IntentClassifier`` alike; knows nothing of files and folders.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

import keras
import numpy as np
import pandas as pd

from intent_bert.bert.layers import PACKAGE
from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.data import Label, bucketed_batches, encode, label_ids, pad
from intent_bert.evaluation import Evaluation, evaluate_probabilities
from intent_bert.model import predict_in_batches, probability_function
from intent_bert.optimizer import AdamW
from intent_bert.progress import progress_bar
from intent_bert.resume import Progress, UnfinishedRun
from intent_bert.settings import INTENT, TEXT, TrainingConfig

logger = logging.getLogger("intent_bert")

EpochReport = Callable[[int, dict[str, float], Evaluation | None], None]


@dataclass
class Sentences:
    """Encoded sentences with their labels: what the fit and the evaluation read."""

    texts: list[str]
    labels: list[Label]
    ids: list[list[int]]

    @classmethod
    def of(cls, table: pd.DataFrame, tokenizer: FullTokenizer, max_seq_len: int) -> Self:
        texts = list(table[TEXT])
        return cls(texts, list(table[INTENT]), encode(texts, tokenizer, max_seq_len))


@keras.saving.register_keras_serializable(PACKAGE)
class MacroF1(keras.metrics.F1Score):
    """Macro F1 from label numbers (B,) and probabilities (B, C), gathered over an epoch."""

    def __init__(self, number_of_classes: int, name: str = "macro_f1", **kwargs: Any) -> None:
        super().__init__(average="macro", name=name)
        self.number_of_classes = number_of_classes

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), self.number_of_classes)
        super().update_state(truth, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"number_of_classes": self.number_of_classes, "name": self.name}


def compile_model(model: keras.Model, config: TrainingConfig, steps: int) -> None:
    """Compile with the recipe's optimizer for a fit of ``steps`` steps in all."""
    rate: Any = config.for_width(model.get_layer("bert").config.hidden_size).learning_rate
    if config.decay or config.warmup:
        rate = WarmupThenDecay(rate, round(config.warmup * steps), steps if config.decay else 0)
    optimizer = AdamW(rate, weight_decay=config.weight_decay, epsilon=1e-7)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embeddings"])
    optimizer.build(model.trainable_variables)  # left to fit, it has the training step traced twice
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy"), MacroF1(model.output_shape[-1])],
        jit_compile=False,  # XLA would compile anew for every length of a batch
    )


@keras.saving.register_keras_serializable(PACKAGE)
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rise in a straight line over ``warmup`` steps, then fall in one to 0 at ``total`` (0: stay)."""

    def __init__(self, highest: float, warmup: int, total: int) -> None:
        self.highest, self.warmup, self.total = highest, warmup, total

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        rising = (step + 1) / max(self.warmup, 1) if self.warmup else 1.0
        falling = (self.total - step) / max(self.total - self.warmup, 1) if self.total else 1.0
        return self.highest * keras.ops.clip(keras.ops.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"highest": self.highest, "warmup": self.warmup, "total": self.total}


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
    probabilities = predict_in_batches(predict, sentences.ids, len(classes), progress=progress)
    return evaluate_probabilities(sentences.texts, sentences.labels, probabilities, classes)


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

    Ctrl-C ends the fit and the best epoch so far is kept; before the first one is done, the interrupt goes on. With
    ``unfinished`` the state is kept after each epoch, and ``config.resume`` goes on from there.

    Returns:
        The history, a row an epoch, and whether the fit was interrupted.
    """
    steps = -(-len(train.ids) // config.batch_size)
    compile_model(model, config, steps * config.epochs)
    keeper = KeepBest(validation, classes, report, unfinished)
    keeper.set_model(model)
    if unfinished is not None and config.resume:
        keeper.progress, keeper.best_weights = unfinished.load(model)
    done = len(keeper.progress.rows)
    bars = [ProgressBar(config.epochs, steps)] if progress else []
    interrupted = False
    try:
        model.fit(
            _batches(train, classes, config, first_epoch=done),
            initial_epoch=done,
            epochs=config.epochs,
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


def _batches(train: Sentences, classes: Sequence[Label], config: TrainingConfig, first_epoch: int) -> Any:
    """An endless tf.data pipeline of (padded ids, label numbers); the seed and the epoch fix the order of each pass."""
    import tensorflow as tf

    labels = label_ids(train.labels, classes)

    def passes() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for epoch in count(first_epoch):
            for rows in bucketed_batches(train.ids, config.batch_size, np.random.default_rng([config.seed, epoch])):
                yield pad([train.ids[row] for row in rows]), labels[rows]

    signature = (tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32))
    return tf.data.Dataset.from_generator(passes, output_signature=signature).prefetch(4)
