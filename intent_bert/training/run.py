"""The run from a table to a model folder: read, check, split, fine-tune, evaluate, save.

``train`` is what ``intent-bert train`` and ``scripts/train.py`` run.
"""

import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from itertools import repeat
from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf

from intent_bert.bert.checkpoint import check_checkpoint_folder
from intent_bert.bert.config import params_from_pretrained_ckpt
from intent_bert.bert.pretrained import resolve
from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer
from intent_bert.config import INTENT, TrainingConfig
from intent_bert.data.datasets import read_tables
from intent_bert.data.labels import classes_of
from intent_bert.data.splits import with_validation
from intent_bert.errors import IntentBertError, ModelFolderError
from intent_bert.evaluation.card import model_card
from intent_bert.evaluation.metrics import Evaluation
from intent_bert.evaluation.reports import write_reports
from intent_bert.export.exports import check_packages, export_with_the_run
from intent_bert.machine import divide_the_cores, keep_freed_memory, precision_here, strategy_here
from intent_bert.model.folder import (
    CARD_FILE,
    HISTORY_FILE,
    LOG_FOLDER,
    METRICS_FILE,
    UNFINISHED,
    check_output_folder,
    write_json,
)
from intent_bert.model.network import check_max_seq_len, create_model, model_arguments, probability_function
from intent_bert.model.saved import Artifact, save_artifact
from intent_bert.training.fit import Sentences, evaluate, fine_tune
from intent_bert.training.resume import UnfinishedRun
from intent_bert.training.tensorboard import TensorBoardLogs

logger = logging.getLogger("intent_bert")


@dataclass
class TrainingResult:
    """What ``train`` gives back: where the folder is, the figures of each split, and the history of the epochs."""

    folder: Path
    log_dir: Path
    evaluations: dict[str, Evaluation]
    history: pd.DataFrame
    interrupted: bool
    seconds: float


def train(
    config: TrainingConfig, progress: bool = True, strategy: tf.distribute.Strategy | None = None
) -> TrainingResult:
    """Fine-tune as the settings say and leave a model folder.

    Everything that can be checked is checked before the first step: the data, the checkpoint, the lengths, the
    output folder and its disk space.

    Args:
        config: every setting of the run.
        progress: bars on stderr.
        strategy: how the work is shared out; by default over all GPUs of the machine (``MirroredStrategy``) where there
            are several. A batch is cut into a share for each replica, and the weights become those of one device.

    Raises:
        IntentBertError: a mistake in the settings, the data, the checkpoint or the output folder; nothing is written.
    """
    config.validate()
    if config.export:
        check_packages("onnx")
    started = time.perf_counter()
    strategy = strategy or strategy_here()
    parts = _set_up_process(config, strategy)
    tables = with_validation(read_tables(config), config)
    checkpoint = check_checkpoint_folder(resolve(config.checkpoint))
    params = params_from_pretrained_ckpt(checkpoint)
    check_max_seq_len(config.max_seq_len, params)
    tokenizer = FullTokenizer(checkpoint / VOCAB_FILE, config.do_lower_case)
    weight_bytes = 4 * (params.vocab_size * params.hidden_size + params.num_layers * 12 * params.hidden_size**2)
    output = check_output_folder(config.output_dir, needed_bytes=int((2.3 if config.export else 1.2) * weight_bytes))
    log_dir = Path(config.log_dir) if config.log_dir else output / LOG_FOLDER
    classes = classes_of(tables["train"][INTENT])
    config = config.suited_to(params.hidden_size, len(tables["train"]), len(classes))
    splits = {name: Sentences.of(table, tokenizer, config.max_seq_len) for name, table in tables.items()}
    logger.info("%s; %d intents", ", ".join(f"{len(t)} {name}" for name, t in tables.items()), len(classes))

    config = replace(config, precision=precision_here(config.precision))
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = create_model(config.max_seq_len, checkpoint, classes, **model_arguments(config))
    model.get_layer("bert").parts = parts
    logs = TensorBoardLogs(log_dir, asdict(config))
    unfinished = UnfinishedRun(output / UNFINISHED, {**asdict(config), "sentences": _digest(splits)})
    try:
        with strategy.scope():
            history, interrupted = fine_tune(
                model,
                splits["train"],
                splits.get("validation"),
                classes,
                config,
                report=logs.report,
                callbacks=[logs],
                unfinished=unfinished,
                progress=progress,
            )
    except (IntentBertError, KeyboardInterrupt):
        logs.discard()
        raise
    seconds = time.perf_counter() - started
    settings = {**asdict(config), "train_seconds": round(seconds, 1), "interrupted": interrupted}
    result = Artifact.trained(model, tokenizer, classes, settings)
    predict = probability_function(result.model)
    evaluations = {
        name: evaluate(predict, part, classes, f"evaluating {name}" if progress else None)
        for name, part in splits.items()
    }
    logs.close(evaluations)
    _save(result, output, splits, evaluations, history, unfinished)
    return TrainingResult(output, logs.folder, evaluations, history, interrupted, seconds)


def _set_up_process(config: TrainingConfig, strategy: tf.distribute.Strategy) -> int:
    """Into how many parts to cut a batch; to be asked before fetching a checkpoint starts TensorFlow."""
    keep_freed_memory()
    alone = strategy.num_replicas_in_sync == 1 and config.train_layers == "all"
    return divide_the_cores() if alone else 1


def _save(
    result: Artifact,
    output: Path,
    splits: dict[str, Sentences],
    evaluations: dict[str, Evaluation],
    history: pd.DataFrame,
    unfinished: UnfinishedRun,
) -> None:
    """Write the model folder; the state of the run makes room for it where the disk is full."""
    shown = next(name for name in ("test", "validation", "train") if name in splits)

    def write_exports(folder: Path) -> list[str]:
        if not result.settings["export"]:
            return []
        return export_with_the_run(result, folder, splits[shown].texts, f"{shown} of the run")

    def save() -> None:
        save_artifact(
            result, output, lambda folder: _write_extras(folder, result, evaluations, history, shown), write_exports
        )

    try:
        save()
    except ModelFolderError:
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
    folder: Path, result: Artifact, evaluations: dict[str, Evaluation], history: pd.DataFrame, shown: str
) -> None:
    """What people read: figures, picture, mistakes, history and the card."""
    write_json(folder / METRICS_FILE, {name: each.to_dict() for name, each in evaluations.items()})
    history.to_csv(folder / HISTORY_FILE)
    write_reports(folder, evaluations[shown], shown)
    card = model_card(result.settings, result.classes, evaluations, result.params)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
