"""What TensorBoard shows of a run.

LOG_DIR/20261120-093000/            settings as text and as HParams, so that runs stand side by side
LOG_DIR/20261120-093000/train       loss, accuracy, macro_f1 each epoch; learning_rate and the epoch's running_loss
LOG_DIR/20261120-093000/validation  loss, accuracy, macro_f1 and the confusion matrix as an image, each epoch
LOG_DIR/20261120-093000/test        accuracy, macro_f1, loss and the confusion matrix, once, at the end

Validation and test also have calibration errors, Brier score and log loss, and the reliability diagram as an image.
While training goes on nothing is calibrated.

Of a multi-label run subset_accuracy, micro_f1, macro_f1 and hamming_loss stand beside the loss.
"""

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from intent_bert.errors import DiskError, reason
from intent_bert.evaluation.calibration_plots import reliability_plot
from intent_bert.evaluation.drawing import png_bytes
from intent_bert.evaluation.markdown import as_text
from intent_bert.evaluation.metrics import Evaluation
from intent_bert.evaluation.multi_label import AnyEvaluation, MultiLabelEvaluation
from intent_bert.evaluation.reports import evaluation_plot

STEPS_BETWEEN_POINTS = 5
HPARAMS = (
    "checkpoint", "epochs", "batch_size", "learning_rate", "warmup", "weight_decay", "dropout", "pooling",
    "max_seq_len", "precision", "seed",
)  # fmt: skip


class TensorBoardLogs(keras.callbacks.Callback):
    """Writes the logs of one run into a folder of its own under ``log_dir``; ``close`` it after the fit."""

    def __init__(self, log_dir: Path, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = settings
        self.metrics = (MultiLabelEvaluation if settings.get("multi_label") else Evaluation).METRICS
        self.folder = _new_folder(log_dir)
        self.first_step = 1  # of the epoch
        self.writers: dict[str, Any] = {}
        self._write_settings()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.first_step = epoch * self.params["steps"] + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        step = self.first_step + batch
        if step % STEPS_BETWEEN_POINTS == 1 and logs:
            with self._writer("train").as_default(step):
                tf.summary.scalar("running_loss", logs["loss"])
                tf.summary.scalar("learning_rate", float(self.model.optimizer.learning_rate))

    def report(self, epoch: int, logs: dict[str, float], evaluation: AnyEvaluation | None) -> None:
        """Write an epoch's metrics (the ``EpochReport`` of ``fine_tune``)."""
        with self._writer("train").as_default(epoch + 1):
            for name in self.metrics:
                if name in logs:
                    tf.summary.scalar(name, logs[name])
        if evaluation is not None:
            self._write_evaluation("validation", epoch + 1, evaluation)
        for writer in self.writers.values():
            writer.flush()

    def close(self, evaluations: dict[str, AnyEvaluation]) -> None:
        if "test" in evaluations:
            self._write_evaluation("test", self.settings["epochs"], evaluations["test"])
        for writer in self.writers.values():
            writer.close()

    def discard(self) -> None:
        """Remove the logs of a run that came to nothing, and the folders made for them if they are empty."""
        for writer in self.writers.values():
            writer.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in list(self.folder.parents)[:2]:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _writer(self, name: str) -> Any:
        if name not in self.writers:
            self.writers[name] = tf.summary.create_file_writer(str(self.folder / name))
        return self.writers[name]

    def _write_evaluation(self, name: str, step: int, evaluation: AnyEvaluation) -> None:
        plot = evaluation_plot(evaluation, f"{name}, epoch {step}")
        pixels = tf.io.decode_png(png_bytes(plot), channels=4)[None]  # (1, height, width, 4)
        with self._writer(name).as_default(step):
            for metric in self.metrics:
                tf.summary.scalar(metric, getattr(evaluation, metric))
            tf.summary.image("confusion_matrix", pixels)
            if isinstance(evaluation, Evaluation) and evaluation.calibration:
                self._write_calibration(evaluation, f"{name}, epoch {step}")

    def _write_calibration(self, evaluation: Evaluation, title: str) -> None:
        for metric, value in evaluation.calibration.items():
            tf.summary.scalar(metric, value)
        plot = reliability_plot(evaluation.reliability, evaluation.uncalibrated, title)
        tf.summary.image("reliability", tf.io.decode_png(png_bytes(plot), channels=4)[None])

    def _write_settings(self) -> None:
        from tensorboard.plugins.hparams import api as hp

        rows = "\n".join(f"| {name} | {as_text(value)} |" for name, value in self.settings.items())
        metrics = [
            hp.Metric(metric, group=group, display_name=f"{group} {metric}")
            for group in ("validation", "test")
            for metric in self.metrics
        ]
        with self._writer("").as_default(0):
            tf.summary.text("settings", f"| setting | value |\n|---|---|\n{rows}")
            hp.hparams_config(hparams=[hp.HParam(name) for name in HPARAMS], metrics=metrics)
            hp.hparams({name: _plain(self.settings[name]) for name in HPARAMS}, trial_id=self.folder.name)
        self._writer("").flush()


def _new_folder(log_dir: Path) -> Path:
    """A folder named by the time, with a number behind it if two runs start within a second."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        folder = log_dir / (f"{stamp}-{number}" if number else stamp)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise DiskError(f"can't write the TensorBoard logs to {log_dir}: {reason(error)}") from None
        return folder
    raise FileExistsError(f"{log_dir} holds a thousand runs of {stamp}")


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) and not isinstance(value, np.generic) else str(value)
