"""The model folder: everything that an answer needs, in one place that can be carried away.

    config.json             format, encoder, pooling, training settings, the sha256 of the files it belongs with
    model.weights.h5        the weights (Keras)
    vocab.txt               the WordPiece vocabulary
    tokenizer_config.json   whether text is lower-cased
    labels.json             the intents in the order of the outputs; numbers and booleans keep their type
    metrics.json            the figures of each split             (the rest is for people, not for loading)
    confusion_matrix.png    confusion_matrix.csv   mistakes.csv   history.csv   README.md

A folder is written whole beside its place and then swapped in, so a run that is killed leaves the old folder or the
new one; other files that stood in the old folder (``logs/``) move along. Loading runs no code from the folder, and
every file it needs must have the sha256 that ``config.json`` names.
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from intent_bert.batches import Label
from intent_bert.bert.config import BertConfig
from intent_bert.bert.tokenization import TOKENIZER_CONFIG_FILE, VOCAB_FILE, FullTokenizer, tokenizer_config
from intent_bert.errors import IntentBertError, ModelFolderError
from intent_bert.model import build_model, save_weights
from intent_bert.resume import UNFINISHED

FORMAT_VERSION = 1
CONFIG_FILE, WEIGHTS_FILE, LABELS_FILE = "config.json", "model.weights.h5", "labels.json"
METRICS_FILE, MISTAKES_FILE, HISTORY_FILE, CARD_FILE = "metrics.json", "mistakes.csv", "history.csv", "README.md"
CONFUSION_PICTURE, CONFUSION_TABLE = "confusion_matrix.png", "confusion_matrix.csv"
LOG_FOLDER = "logs"
_ARCHITECTURE = ("max_seq_len", "pooling", "dropout", "head", "precision")
_LOADED_FILES = (WEIGHTS_FILE, VOCAB_FILE, TOKENIZER_CONFIG_FILE, LABELS_FILE)
_READ_FILES = (METRICS_FILE, MISTAKES_FILE, HISTORY_FILE, CARD_FILE, CONFUSION_PICTURE, CONFUSION_TABLE)


@dataclass
class Artifact:
    """A trained classifier and all that is needed to ask it.

    ``pooling``, ``dropout``, ``head`` and ``precision`` are ``create_model``'s arguments (``precision`` its ``dtype``);
    ``settings`` are the facts of the run, kept for the reader.
    """

    model: keras.Model
    tokenizer: FullTokenizer
    classes: list[Label]
    params: BertConfig
    max_seq_len: int
    pooling: str
    dropout: float
    head: str
    precision: str
    settings: dict[str, Any]

    @classmethod
    def trained(
        cls, model: keras.Model, tokenizer: FullTokenizer, classes: list[Label], settings: dict[str, Any]
    ) -> Self:
        """What a run with these settings (those of ``TrainingConfig``, and facts of the run) has made."""
        params = BertConfig.from_dict({**model.get_layer("bert").config.to_dict(), "out_layer_ndxs": None})
        arguments = {name: settings[name] for name in _ARCHITECTURE}
        return cls(model=model, tokenizer=tokenizer, classes=classes, params=params, settings=settings, **arguments)


def save_artifact(
    artifact: Artifact, folder: str | PathLike, write_extras: Callable[[Path], None] | None = None
) -> Path:
    """Write a model folder, replacing one that stands there.

    Args:
        folder: where to; its parent is made if need be.
        write_extras: writes further files into the folder it is given, before anything is swapped in.

    Raises:
        ModelFolderError: the place holds something else, or can't be written, or the disk is full. What stood there
            before still stands there.
    """
    target = check_output_folder(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent))
    except OSError as error:
        raise ModelFolderError(f"can't write to {target.parent}: {_reason(error)}") from error
    try:
        _write_files(artifact, temporary)
        if write_extras is not None:
            write_extras(temporary)
        temporary.chmod(0o755)
        _swap_in(temporary, target)
    except (OSError, RuntimeError) as error:  # h5py raises both
        raise ModelFolderError(f"can't write {target}: {_reason(error)}; nothing was changed there") from error
    finally:
        if temporary.is_dir() and not _other_entries(temporary):  # else: what a failed move has left there
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def check_output_folder(folder: str | PathLike, needed_bytes: int = 0) -> Path:
    """Make sure that a model folder can be written here, before anything slow starts; leaves nothing behind.

    Raises:
        ModelFolderError: it is a file, a folder with other things in it, not writable, or short of space.
    """
    target = Path(folder).resolve()
    if target.exists() and not target.is_dir():
        raise ModelFolderError(f"can't write the model to {target}: it is a file; name a folder")
    if target.is_mount():
        raise ModelFolderError(f"can't write the model to {target}: a disk is mounted there; name a folder inside it")
    if target.is_dir():
        others = sorted(entry.name for entry in target.iterdir() if entry.name not in (LOG_FOLDER, UNFINISHED))
        if others and not is_model_folder(target):
            raise ModelFolderError(
                f"won't write the model to {target}: it holds other things ({', '.join(others[:3])}); name a new folder"
            )
    existing = next(parent for parent in target.parents if parent.exists())
    try:
        for place in (existing, target) if target.is_dir() else (existing,):
            with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=place):
                free = shutil.disk_usage(place).free
    except OSError as error:
        raise ModelFolderError(f"can't write to {target.parent}: {_reason(error)}") from None
    if free < needed_bytes:
        raise ModelFolderError(
            f"not enough disk space at {target.parent}: the model needs about {needed_bytes / 1e6:.0f} MB, "
            f"{free / 1e6:.0f} MB are free"
        )
    return target


def load_artifact(folder: str | PathLike) -> Artifact:
    """Read a model folder; no network, no code from the folder.

    Raises:
        ModelFolderError: no such folder, a part is missing or damaged, or it was written by a newer version.
    """
    folder = Path(folder)
    config = read_config(folder)
    for name in _LOADED_FILES:
        _check_file(folder / name, config["sha256"].get(name))
    try:
        classes = json.loads((folder / LABELS_FILE).read_text(encoding="utf-8"))
        params = BertConfig.from_dict(config["encoder"])
        tokenizer = FullTokenizer(folder / VOCAB_FILE)
        arguments = {name: config[name] for name in ("pooling", "dropout", "head")}
        model = build_model(params, len(classes), **arguments, dtype=config["precision"])
        _load_every_weight(model, folder / WEIGHTS_FILE)
    except (KeyError, TypeError, OSError, ValueError, IntentBertError) as error:
        raise ModelFolderError(f"{folder} is damaged: {_reason(error)}") from error
    kept = {name: config[name] for name in (*_ARCHITECTURE, "settings")}
    return Artifact(model=model, tokenizer=tokenizer, classes=classes, params=params, **kept)


def _load_every_weight(model: keras.Model, path: Path) -> None:
    """Keras leaves a weight as it is, with a warning at most, where another version's file has no group for it."""
    unset = 12345.0
    for weight in model.weights:
        weight.assign(np.full(weight.shape, unset, weight.dtype))
    model.load_weights(path)
    missing = [weight.path for weight in model.weights if np.all(weight.numpy() == unset)]
    if missing:
        raise ModelFolderError(f"{path.name} lacks {', '.join(missing[:3])}")


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a model folder, checked for its format."""
    if not folder.is_dir():
        raise ModelFolderError(f"no such model folder: {folder}")
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = int(config["format_version"])
    except FileNotFoundError:
        raise ModelFolderError(f"{folder} is no model folder: it has no {CONFIG_FILE}") from None
    except OSError as error:
        raise ModelFolderError(f"can't read {path}: {_reason(error)}") from None
    except (ValueError, KeyError, TypeError):
        raise ModelFolderError(f"{folder} is no model folder of intent_bert: its {CONFIG_FILE} is not ours") from None
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder} is in format {version} (intent_bert {config.get('intent_bert_version')}); this version reads "
            f"up to format {FORMAT_VERSION}: upgrade intent_bert"
        )
    kinds: dict[str, Any] = {"encoder": dict, "pooling": str, "dropout": (int, float), "precision": str}
    kinds |= {"max_seq_len": int, "head": str, "settings": dict, "sha256": dict}
    missing = [key for key, kind in kinds.items() if not isinstance(config.get(key), kind)]
    if missing:
        raise ModelFolderError(f"{folder} is damaged: {CONFIG_FILE} lacks {', '.join(sorted(missing))}")
    if config["sha256"].get(CONFIG_FILE) != _config_sha256(config):
        raise ModelFolderError(f"{folder} is damaged: {CONFIG_FILE} was changed after it was saved; copy it again")
    return config


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_file(path: Path, sha256: str | None) -> None:
    if not path.is_file():
        raise ModelFolderError(f"{path.parent} is damaged: {path.name} is missing; copy the whole folder again")
    if file_sha256(path) != sha256:
        raise ModelFolderError(
            f"{path.parent} is damaged: {path.name} is not the file that was saved (its sha256 differs); copy it again"
        )


def _write_files(artifact: Artifact, folder: Path) -> None:
    from intent_bert import __version__

    weights_only = keras.Model(artifact.model.inputs, artifact.model.outputs)  # the same layers, no optimizer state
    save_weights(weights_only, folder / WEIGHTS_FILE)
    vocab = "".join(f"{token}\n" for token in artifact.tokenizer.vocab_lines)
    (folder / VOCAB_FILE).write_text(vocab, encoding="utf-8", newline="\n")
    (folder / TOKENIZER_CONFIG_FILE).write_text(tokenizer_config(artifact.tokenizer.do_lower_case), encoding="utf-8")
    write_json(folder / LABELS_FILE, artifact.classes)
    config: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "intent_bert_version": __version__,
        "encoder": artifact.params.to_dict(),
        **{name: getattr(artifact, name) for name in _ARCHITECTURE},
        "settings": artifact.settings,
        "sha256": {name: file_sha256(folder / name) for name in _LOADED_FILES},
    }
    config["sha256"][CONFIG_FILE] = _config_sha256(config)
    write_json(folder / CONFIG_FILE, config)


def _config_sha256(config: dict[str, Any]) -> str:
    """The sha256 of all that a ``config.json`` says but this hash itself, whatever its spacing."""
    others = {name: value for name, value in config["sha256"].items() if name != CONFIG_FILE}
    text = json.dumps({**config, "sha256": others}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def is_model_folder(folder: Path) -> bool:
    """Whether a folder is one that ``save_artifact`` wrote, whole or not."""
    try:
        return "format_version" in json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


# --- swapping folders --------------------------------------------------------------------------------------------


def _swap_in(new: Path, target: Path) -> None:
    """Put the folder ``new`` in the place of ``target``; ``new`` is left with the old files, if there were any."""
    if not target.exists():
        new.rename(target)
        return
    _exchange(new, target)
    for entry in _other_entries(new):
        shutil.move(entry, target / entry.name)


def _other_entries(folder: Path) -> list[Path]:
    """What stands in a model folder without being part of it: logs, and things of the user's."""
    return [entry for entry in folder.iterdir() if entry.name not in (CONFIG_FILE, *_LOADED_FILES, *_READ_FILES)]


def _exchange(first: Path, second: Path) -> None:
    """Exchange two folders: in one step where Linux offers it, else in two renames."""
    if sys.platform == "linux":
        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if renameat2 is not None:
            at_cwd, exchange = -100, 2
            if renameat2(at_cwd, os.fsencode(first), at_cwd, os.fsencode(second), exchange) == 0:
                return
            if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(second))
    aside = second.with_name(f"{first.name}.old")
    second.rename(aside)
    try:
        first.rename(second)
    except OSError:
        aside.rename(second)
        raise
    aside.rename(first)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
