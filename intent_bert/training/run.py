"""The run from a table to a model folder: prepare, fit, evaluate, save.

``train`` is what ``intent-bert train`` and ``scripts/train.py`` run.
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from intent_bert.config import TrainingConfig
from intent_bert.data.datasets import read_tables
from intent_bert.data.splits import with_validation
from intent_bert.errors import DiskError, IntentBertError, ModelFolderError
from intent_bert.evaluation.card import model_card
from intent_bert.evaluation.multi_label import AnyEvaluation
from intent_bert.evaluation.reports import write_reports
from intent_bert.export.exports import check_packages, export_with_the_run
from intent_bert.files.atomic import is_full
from intent_bert.files.lock import one_writer
from intent_bert.model.folder import (
    CARD_FILE,
    HISTORY_FILE,
    LOG_FOLDER,
    METRICS_FILE,
    UNFINISHED,
    check_output_folder,
    write_json,
)
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.saved import Artifact, save_artifact
from intent_bert.training.deciding import judged_rows, run_outputs, taught_decision, taught_sketch
from intent_bert.training.fit import evaluate, fit, trained_artifact
from intent_bert.training.prepare import Prepared, Sentences, prepare
from intent_bert.training.resume import UnfinishedRun
from intent_bert.training.tensorboard import TensorBoardLogs

logger = logging.getLogger("intent_bert")


@dataclass
class TrainingResult:
    """What ``train`` gives back.

    Attributes:
        folder, log_dir: where the model folder and the TensorBoard logs are.
        model: the trained ``keras.Model``, as ``load_model(folder)`` reads it.
        evaluations: split -> its metrics.
        history: a row an epoch.
        interrupted: whether Ctrl-C ended the fit.
        seconds: from reading the checkpoint to the best epoch's weights.
    """

    folder: Path
    log_dir: Path
    model: keras.Model
    evaluations: dict[str, AnyEvaluation]
    history: pd.DataFrame
    interrupted: bool
    seconds: float


def train(
    config: TrainingConfig,
    verbose: int = 1,
    strategy: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> TrainingResult:
    """Fine-tune as the settings say and leave a model folder.

    Everything that can be checked is checked before the first step: the data, the checkpoint, the lengths, the
    output folder and its disk space.

    Args:
        config: every setting of the run.
        verbose: 1 shows progress on stderr.
        strategy: how the work is shared out; by default over all GPUs of the machine (``MirroredStrategy``) where there
            are several. A batch is cut into a share for each replica, and the weights become those of one device.
        callbacks: Keras callbacks; their ``model`` is the one that is fitted, which ends in the logits.

    Raises:
        IntentBertError: a mistake in the settings, the data, the checkpoint or the output folder, or another run that
            writes there; nothing is written.
    """
    if config.export:
        check_packages("onnx")
    output = check_output_folder(config.output_dir, log_dir=config.log_dir)
    with one_writer(output):
        return _train(config, output, verbose, strategy, callbacks)


def _train(
    config: TrainingConfig,
    output: Path,
    verbose: int,
    strategy: Any,
    callbacks: Sequence[keras.callbacks.Callback],
) -> TrainingResult:
    prepared = prepare(config, with_validation(read_tables(config), config), strategy)
    check_output_folder(output, _bytes_needed(prepared, output), config.log_dir)
    log_dir = Path(config.log_dir) if config.log_dir else output / LOG_FOLDER
    logs = TensorBoardLogs(log_dir, prepared.settings())
    unfinished = UnfinishedRun(output / UNFINISHED, {**prepared.settings(), "sentences": _digest(prepared.splits)})
    try:
        result = fit(prepared, callbacks=[logs, *callbacks], report=logs.report, unfinished=unfinished, verbose=verbose)
    except (IntentBertError, KeyboardInterrupt):
        logs.discard()
        raise
    seconds = time.perf_counter() - prepared.started
    artifact = trained_artifact(prepared, result, train_seconds=round(seconds, 1))
    evaluations = _decide_and_evaluate(artifact, prepared, verbose)
    logs.close(evaluations)
    _save(artifact, output, prepared.splits, evaluations, result.history, unfinished)
    return TrainingResult(output, logs.folder, artifact.model, evaluations, result.history, result.interrupted, seconds)


def _bytes_needed(prepared: Prepared, output: Path) -> int:
    """About how much a run takes at most beside what stands there: its states, or in the end one state and the model.

    A state is the weights that are fitted, twice those that learn for Adam, and the best epoch's weights; while one is
    written, the former one is still there.
    """
    learning = sum(4 * math.prod(weight.shape) for weight in prepared.model.trainable_weights)
    fitted = prepared.weight_bytes if prepared.config.train_layers == "all" else learning
    state = 2 * (fitted + learning)
    model = (2.3 if prepared.config.export else 1.2) * prepared.weight_bytes
    there = sum(path.stat().st_size for path in (output / UNFINISHED).glob("*"))
    return int(max(2 * state, state + model)) - there


def _decide_and_evaluate(artifact: Artifact, prepared: Prepared, verbose: int) -> dict[str, AnyEvaluation]:
    """Complete the artifact's decision and its sketch, and judge it on each table but the unknown sentences."""
    outputs, kept = run_outputs(KerasEngine(artifact.model), prepared, verbose)
    if not artifact.decision.multi_label:
        artifact.decision = taught_decision(prepared, outputs, kept)
    artifact.sketch = taught_sketch(prepared, artifact.decision, outputs)
    config, train = prepared.config, prepared.splits["train"]
    judged = {**prepared.splits, "train": train.take(judged_rows(prepared))}
    return {
        name: evaluate(
            outputs[name], split, artifact.classes, artifact.decision, config.label_separator, config.unknown_label
        )
        for name, split in judged.items()
        if name != "unknown"
    }


def _save(
    artifact: Artifact,
    output: Path,
    splits: dict[str, Sentences],
    evaluations: dict[str, AnyEvaluation],
    history: pd.DataFrame,
    unfinished: UnfinishedRun,
) -> None:
    """Write the model folder; only then, or to make room for it on a full disk, the state of the run goes."""
    shown = next(name for name in ("test", "validation", "train") if name in splits)

    def write_exports(folder: Path) -> list[str]:
        if not artifact.settings["export"]:
            return []
        return export_with_the_run(artifact, folder, splits[shown].texts, f"{shown} of the run")

    def save() -> None:
        save_artifact(
            artifact,
            output,
            lambda folder: _write_extras(folder, artifact, evaluations, history, shown),
            write_exports,
            checked=True,
        )

    try:
        save()
    except (ModelFolderError, DiskError) as error:
        if not is_full(error):
            raise type(error)(f"{error}; {unfinished.advice}") from error
        unfinished.clear()
        save()
    unfinished.clear()


def _digest(splits: dict[str, Sentences]) -> str:
    """A fingerprint of the texts and labels of a run."""
    digest = hashlib.sha256()
    for name, each in splits.items():
        for row in zip(repeat(name), each.texts, map(str, each.labels)):
            digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:16]


def _write_extras(
    folder: Path, artifact: Artifact, evaluations: dict[str, AnyEvaluation], history: pd.DataFrame, shown: str
) -> None:
    """What people read: metrics, plot, mistakes, history and the card."""
    write_json(folder / METRICS_FILE, {name: each.to_dict() for name, each in evaluations.items()})
    history.to_csv(folder / HISTORY_FILE)
    write_reports(folder, evaluations[shown], shown)
    card = model_card(artifact.settings, artifact.classes, evaluations, artifact.encoder, artifact.decision)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
