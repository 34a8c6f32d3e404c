"""What a fit calls after each batch and epoch: the macro F1, the best epoch's weights, a progress bar."""

import logging
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from intent_bert.bert.layers import PACKAGE
from intent_bert.evaluation.multi_label import AnyEvaluation
from intent_bert.files.progress import progress_bar
from intent_bert.training.resume import Progress, UnfinishedRun

logger = logging.getLogger("intent_bert")

EpochReport = Callable[[int, dict[str, float], AnyEvaluation | None], None]


@keras.saving.register_keras_serializable(PACKAGE)
class MacroF1(keras.metrics.F1Score):
    """Macro F1 from label numbers (B,) and scores (B, C), logits or probabilities, gathered over an epoch."""

    def __init__(self, number_of_classes: int, name: str = "macro_f1", **kwargs: Any) -> None:
        super().__init__(average="macro", name=name)
        self.number_of_classes = number_of_classes
        nothing = keras.ops.zeros((1, number_of_classes))
        super().update_state(nothing, nothing)  # it makes its variables here: later, the training step is traced twice
        self.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), self.number_of_classes)
        super().update_state(labels, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"number_of_classes": self.number_of_classes, "name": self.name}


class KeepBest(keras.callbacks.Callback):
    """Evaluate the validation sentences after each epoch and remember the weights of the best.

    Puts ``val_loss``, ``val_accuracy`` and ``val_macro_f1`` into the epoch's logs. The best epoch has the highest
    accuracy (micro F1 where a sentence has several intents), then the lowest loss. Without a validation sentence whose
    label the model knows the last epoch is the best. ``report`` is called with each epoch's number (from 0), its logs
    and the evaluation; ``unfinished`` keeps the state of the run.

    Where several models are trained, ``epochs`` are those of one. Each starts from the same weights, with the optimizer
    as it was at first, and what is kept is the mean of the weights that each has at its end (Wortsman et al. 2022,
    "Model soups", arXiv:2203.05482). Until the first one is done its best epoch is kept.
    """

    def __init__(
        self,
        evaluate: Callable[[], AnyEvaluation] | None,
        report: EpochReport | None = None,
        unfinished: UnfinishedRun | None = None,
        models: int = 1,
        epochs: int = 1,
    ) -> None:
        super().__init__()
        self.evaluate, self.report, self.unfinished = evaluate, report, unfinished
        self.models, self.epochs = models, epochs
        self.first_weights: list[np.ndarray] = []
        self.progress = Progress()
        self.best_weights: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch and epoch % self.epochs == 0:  # another model starts
            self.model.set_weights(self.first_weights)
            for variable in self.model.optimizer.variables:
                if variable.name != "learning_rate":
                    variable.assign(keras.ops.zeros_like(variable))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        score, evaluation = (float(epoch), 0.0), None
        if self.evaluate is not None:
            evaluation = self.evaluate()
            logs |= {f"val_{name}": getattr(evaluation, name) for name in evaluation.METRICS}
            if not np.isnan(evaluation.loss):
                score = evaluation.score
        if self.report is not None:
            self.report(epoch, logs, evaluation)
        self.progress.rows.append({name: float(value) for name, value in logs.items()})
        self._keep(epoch, score)
        if self.unfinished is not None:
            self.unfinished.save(self.model, self.progress)

    def _keep(self, epoch: int, score: tuple[float, float]) -> None:
        done, in_the_middle = divmod(epoch + 1, self.epochs)
        if self.models > 1 and not in_the_middle:
            last = self.model.get_weights()
            former = self.best_weights if done > 1 else last
            self.best_weights = [mean + (new - mean) / done for mean, new in zip(former, last, strict=True)]
            self.progress.best_epoch = epoch
        elif score > self.progress.best_score and epoch < self.epochs:
            self.progress.best_score, self.progress.best_epoch = score, epoch
            self.best_weights = self.model.get_weights()

    def restore(self) -> None:
        """Give the model the weights that are kept."""
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
            self.bar.set_postfix(_shown(logs), refresh=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.bar.set_postfix(_shown(logs or {}))
        self.bar.close()


def _shown(logs: dict[str, float]) -> dict[str, str]:
    """What a bar has room for."""
    names = ("loss", "accuracy", "subset_accuracy")
    shown = [name for name in (*names, *(f"val_{name}" for name in names)) if name in logs]
    return {name: f"{logs[name]:.3f}" for name in shown}
