"""A model folder as files: what is in it, whether it is whole, and how a new one takes its place. No Keras here.

    config.json             format, encoder, architecture, decision, settings of the run, the sha256 of the files below
    model.weights.h5        the weights (Keras)
    vocab.txt               the WordPiece vocabulary
    tokenizer_config.json   whether text is lower-cased
    labels.json             the intents in the order of the outputs; numbers and booleans keep their type
    scope.npz               what tells sentences in scope from others: training sentences as vectors, no text
    sketch.npz              what held-out sentences are like, to notice when others are not: numbers, no text
    model.onnx              the same model for ONNX Runtime, where it was exported; so are model.int8.onnx,
                            model.tflite and savedmodel/, each with what its check found in a file .json beside it
    metrics.json            the metrics of each split             (the rest is for people, not for loading)
    confusion_matrix.png    confusion_matrix.csv   mistakes.csv   history.csv   README.md
    reliability.png         scope.png   coverage.png

A folder is written whole beside its place and then swapped in, so a run that is killed leaves the old folder or the
new one; other files that stood in the old folder (``logs/``) move along. Reading runs no code from the folder, and
every file that a prediction needs must have the sha256 that ``config.json`` names.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from intent_bert.bert.config import BertConfig
from intent_bert.bert.tokenization import TOKENIZER_CONFIG_FILE, VOCAB_FILE, FullTokenizer
from intent_bert.config import Architecture
from intent_bert.errors import DiskError, IntentBertError, ModelFolderError, SettingsError, nearest, reason
from intent_bert.files.atomic import atomic_folder, check_writable, disk_errors, link_tree
from intent_bert.files.lock import one_writer
from intent_bert.model.decision import Decision
from intent_bert.model.multi_label import decision_of
from intent_bert.model.sketch import Sketch

if TYPE_CHECKING:
    import numpy as np

    from intent_bert.data.labels import Label

FORMAT_VERSION = 2  # 1: before 0.2.0, the architecture's settings one by one and no decision
CONFIG_FILE, WEIGHTS_FILE, LABELS_FILE = "config.json", "model.weights.h5", "labels.json"
METRICS_FILE, MISTAKES_FILE, HISTORY_FILE, CARD_FILE = "metrics.json", "mistakes.csv", "history.csv", "README.md"
CONFUSION_PICTURE, CONFUSION_TABLE = "confusion_matrix.png", "confusion_matrix.csv"
RELIABILITY_PICTURE, SCOPE_PICTURE, COVERAGE_PICTURE = "reliability.png", "scope.png", "coverage.png"
ONNX_FILE, ONNX_INT8_FILE, LITERT_FILE, SAVEDMODEL = "model.onnx", "model.int8.onnx", "model.tflite", "savedmodel"
SCOPE_FILE, SKETCH_FILE = "scope.npz", "sketch.npz"
LOG_FOLDER = "logs"
UNFINISHED = "unfinished"  # what a run that was killed has left in its output folder
LOADED_FILES = (WEIGHTS_FILE, VOCAB_FILE, TOKENIZER_CONFIG_FILE, LABELS_FILE)
_READ_FILES = (
    METRICS_FILE, MISTAKES_FILE, HISTORY_FILE, CARD_FILE, CONFUSION_PICTURE, CONFUSION_TABLE,
    RELIABILITY_PICTURE, SCOPE_PICTURE, COVERAGE_PICTURE,
)  # fmt: skip


FORMATS = {"onnx": ONNX_FILE, "savedmodel": SAVEDMODEL, "litert": LITERT_FILE}  # of exports
QUANTIZED = {("onnx", "int8"): ONNX_INT8_FILE}


def exported_name(format: str, quantize: str | None = None) -> str:
    """What an export is called in the model folder.

    Raises:
        SettingsError: no such format, or it can't be quantised so.
    """
    if format not in FORMATS:
        raise SettingsError(
            f"unknown export format {format!r}: did you mean {nearest(format, FORMATS)}? (there are "
            f"{', '.join(FORMATS)})"
        )
    if quantize is None:
        return FORMATS[format]
    if (format, quantize) not in QUANTIZED:
        known = ", ".join(f"{kind} of format {name}" for name, kind in QUANTIZED)
        raise SettingsError(f"can't quantise format {format!r} to {quantize!r}: there is {known}")
    return QUANTIZED[format, quantize]


def check_name(exported: str) -> str:
    """The file that tells what the check of an exported one found: ``model.onnx.json`` beside ``model.onnx``."""
    return f"{exported}.json"


_EXPORTS = (*FORMATS.values(), *QUANTIZED.values())
_OF_FILE_MANAGERS = (".DS_Store", "Thumbs.db", "desktop.ini")  # which put them into every folder that they show
_OWN_ENTRIES = {
    CONFIG_FILE,
    *LOADED_FILES,
    SCOPE_FILE,
    SKETCH_FILE,
    *_READ_FILES,
    *_EXPORTS,
    *map(check_name, _EXPORTS),
}


# --- reading -----------------------------------------------------------------------------------------------------


class ModelFolder:
    """A model folder opened for reading: ``config.json`` is checked at once, each other file when it is asked for.

    Raises:
        ModelFolderError: no such folder, a part is missing or damaged, or it was written by a newer version.
    """

    def __init__(self, folder: str | PathLike) -> None:
        if not isinstance(folder, str | PathLike):
            raise ModelFolderError(f"expected the path of a model folder, got {type(folder).__name__}")
        self.path = Path(folder)
        self.config = read_config(self.path)

    def holds(self, name: str) -> bool:
        """Whether ``config.json`` counts this file, or this folder of files, to the model."""
        return any(each == name or each.startswith(f"{name}/") for each in self.config["sha256"])

    def file(self, name: str) -> Path:
        """The path of a file of the model, which is there and is the one that was saved."""
        check_file(self.path / name, self.config["sha256"].get(name))
        return self.path / name

    @cached_property
    def encoder(self) -> BertConfig:
        """The encoder's shape, without what the architecture adds to it."""
        return self._read(lambda: BertConfig.from_dict(self.config["encoder"]))

    @cached_property
    def architecture(self) -> Architecture:
        """What the classifier is made of."""
        return self._read(lambda: Architecture.of(**self.config["architecture"]))

    @cached_property
    def decision(self) -> Decision:
        """How the network's outputs become predictions."""
        return self._read(lambda: decision_of(self.config["decision"], lambda: self._arrays(SCOPE_FILE)))

    @cached_property
    def sketch(self) -> Sketch | None:
        """What usual sentences are like; None where the model was saved without."""
        if not self.holds(SKETCH_FILE):
            return None
        return self._read(lambda: Sketch.from_arrays(self._arrays(SKETCH_FILE)))

    def _arrays(self, name: str) -> dict[str, "np.ndarray"]:
        import numpy as np

        try:
            with np.load(self.file(name), allow_pickle=False) as arrays:
                return dict(arrays)
        except BadZipFile as error:
            raise ModelFolderError(f"{self.path} is damaged: {name} can't be read ({reason(error)})") from error

    @cached_property
    def max_seq_len(self) -> int:
        """The longest sentence in tokens."""
        length = self.architecture.max_seq_len
        if length is None:
            raise ModelFolderError(f"{self.path} is damaged: {CONFIG_FILE} lacks max_seq_len")
        return length

    @cached_property
    def classes(self) -> "list[Label]":
        """The intents, in the order of the model's outputs."""
        classes = self._read(lambda: json.loads(self.file(LABELS_FILE).read_text(encoding="utf-8")))
        labels = isinstance(classes, list) and all(isinstance(label, str | int | float) for label in classes)
        if not labels or len({str(label) for label in classes}) < max(len(classes), 2):
            raise ModelFolderError(
                f"{self.path} is damaged: {LABELS_FILE} holds no list of two or more different labels"
            )
        return classes

    @cached_property
    def tokenizer(self) -> FullTokenizer:
        """The folder's vocabulary and casing."""
        self.file(TOKENIZER_CONFIG_FILE)
        return self._read(lambda: FullTokenizer(self.file(VOCAB_FILE)))

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except ModelFolderError:
            raise
        except OSError as error:
            raise ModelFolderError(f"can't read {error.filename or self.path}: {reason(error)}") from error
        except (ValueError, IntentBertError) as error:
            raise ModelFolderError(f"{self.path} is damaged: {reason(error)}") from error


_COMMON_KINDS: dict[str, Any] = {"encoder": dict, "settings": dict, "sha256": dict}
_KINDS = {**_COMMON_KINDS, "architecture": dict, "decision": dict}
_KINDS_IN_FORMAT_1 = {**_COMMON_KINDS, "pooling": str, "dropout": (int, float), "max_seq_len": int, "head": str}


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a model folder, checked for its format; one of format 1 is given as format 2 has it."""
    if not folder.is_dir():
        raise ModelFolderError(f"no such model folder: {folder}")
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = int(config["format_version"])
    except FileNotFoundError:
        raise ModelFolderError(f"{folder} is no model folder: it has no {CONFIG_FILE}") from None
    except OSError as error:
        raise ModelFolderError(f"can't read {path}: {reason(error)}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelFolderError(f"{folder} is no model folder of intent_bert: its {CONFIG_FILE} is not ours") from None
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder} is in format {version} (intent_bert {config.get('intent_bert_version')}); this version reads "
            f"up to format {FORMAT_VERSION}: upgrade intent_bert"
        )
    kinds = _KINDS_IN_FORMAT_1 if version == 1 else _KINDS
    missing = [key for key, kind in kinds.items() if not isinstance(config.get(key), kind)]
    if missing:
        raise ModelFolderError(f"{folder} is damaged: {CONFIG_FILE} lacks {', '.join(sorted(missing))}")
    if config["sha256"].get(CONFIG_FILE) != _config_sha256(config):
        raise ModelFolderError(f"{folder} is damaged: {CONFIG_FILE} was changed after it was saved; copy it again")
    return _of_format_1(config) if version == 1 else config


def _of_format_1(config: dict[str, Any]) -> dict[str, Any]:
    """A ``config.json`` of format 1 as format 2 has it."""
    architecture = {name: config.pop(name) for name in ("pooling", "head", "dropout", "max_seq_len")}
    architecture["adapter_size"] = config["encoder"].pop("adapter_size", None)
    decision = Decision().to_dict()
    return {**config, "format_version": FORMAT_VERSION, "architecture": architecture, "decision": decision}


def is_model_folder(folder: Path) -> bool:
    """Whether a folder is one that ``save_artifact`` wrote, whole or not."""
    try:
        return "format_version" in json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_file(path: Path, sha256: str | None) -> None:
    if not path.is_file():
        raise ModelFolderError(f"{path.parent} is damaged: {path.name} is missing; copy the whole folder again")
    try:
        found = file_sha256(path)
    except OSError as error:
        raise ModelFolderError(f"can't read {path}: {reason(error)}") from error
    if found != sha256:
        raise ModelFolderError(
            f"{path.parent} is damaged: {path.name} is not the file that was saved (its sha256 differs); copy it again"
        )


def _config_sha256(config: dict[str, Any]) -> str:
    """The sha256 of all that a ``config.json`` says but this hash itself, whatever its spacing."""
    others = {name: value for name, value in config["sha256"].items() if name != CONFIG_FILE}
    text = json.dumps({**config, "sha256": others}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


# --- writing -----------------------------------------------------------------------------------------------------


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_config(folder: Path, config: dict[str, Any], names: Iterable[str]) -> None:
    """Write ``config.json`` with the sha256 of these files of the folder, beside those it has already, and its own."""
    config = {**config, "sha256": config.get("sha256", {}) | {name: file_sha256(folder / name) for name in names}}
    config["sha256"][CONFIG_FILE] = _config_sha256(config)
    write_json(folder / CONFIG_FILE, config)


def write_sketch(folder: Path, sketch: Sketch) -> str:
    """Write the sketch of usual sentences, and give the name of its file."""
    import numpy as np

    np.savez_compressed(folder / SKETCH_FILE, allow_pickle=False, **sketch.arrays())
    return SKETCH_FILE


def replace_sketch(folder: ModelFolder, sketch: Sketch) -> None:
    """Put another sketch into a model folder; all else stays.

    Raises:
        DiskError: it can't be written. What stood there before still stands there.
    """
    with replacement(folder.path) as work:
        link_own_files(folder.path, work, but=(CONFIG_FILE, SKETCH_FILE))
        write_config(work, folder.config, [write_sketch(work, sketch)])


def files_in(path: Path) -> list[str]:
    """A file's name, or the names of all files in a folder as ``config.json`` has them: ``savedmodel/...``."""
    if path.is_file():
        return [path.name]
    return sorted(each.relative_to(path.parent).as_posix() for each in path.rglob("*") if each.is_file())


def check_output_folder(folder: str | PathLike, needed_bytes: int = 0, log_dir: str | PathLike | None = None) -> Path:
    """Make sure that a model folder can be written here, before anything slow starts; leaves nothing behind.

    Args:
        folder: where the model is to be written.
        needed_bytes: disk space that must be free there.
        log_dir: where the run will write its logs; they may lie in the folder, if no part of the model is called so.

    Raises:
        ModelFolderError: it is a file, or a folder with other things in it.
        DiskError: it can't be written, or is short of space.
        SettingsError: the logs would stand in the model's way.
    """
    target = Path(folder).resolve()
    logs = _entry_of(log_dir, target) if log_dir is not None else None
    with disk_errors(target):
        _refuse_impossible(target)
        _refuse_other_things(target, logs)
    check_writable(target)
    free = shutil.disk_usage(next(parent for parent in target.parents if parent.exists())).free
    if free < needed_bytes:
        raise DiskError(
            f"not enough disk space at {target.parent}: about {needed_bytes / 1e6:.0f} MB are needed, "
            f"{free / 1e6:.0f} MB are free"
        )
    return target


def _refuse_impossible(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise ModelFolderError(f"can't write the model to {target}: it is a file; name a folder")
    if target.is_mount():
        raise ModelFolderError(f"can't write the model to {target}: a disk is mounted there; name a folder inside it")


def _refuse_other_things(target: Path, logs: str | None) -> None:
    if not target.is_dir() or is_model_folder(target) or (target / UNFINISHED).is_dir():
        return
    others = sorted({entry.name for entry in target.iterdir()} - {LOG_FOLDER, logs, *_OF_FILE_MANAGERS})
    if others:
        raise ModelFolderError(
            f"won't write the model to {target}: it holds other things ({', '.join(others[:3])}); name a new folder"
        )


def _entry_of(log_dir: str | PathLike, target: Path) -> str | None:
    """The entry of the folder that holds the logs, if they lie in it."""
    logs = Path(log_dir).resolve()
    if not logs.is_relative_to(target):
        return None
    entry = next(iter(logs.relative_to(target).parts), "")
    if entry in ("", UNFINISHED, *_OWN_ENTRIES):
        raise SettingsError(
            f"log_dir can't be {log_dir}, where the model itself goes: name another folder, such as "
            f"{target / LOG_FOLDER}"
        )
    return entry


@contextlib.contextmanager
def replacement(folder: str | PathLike, *, checked: bool = False) -> Iterator[Path]:
    """A new folder to fill, which takes the place of ``folder`` when the block ends well.

    What stands there besides a model, such as logs, stays there. ``checked`` says that the place was checked and locked
    before the work began (``check_output_folder``, ``one_writer``): what other things have come meanwhile stay too.

    Raises:
        ModelFolderError: the place holds something else.
        DiskError: it can't be written, another process writes it, or the disk is full. What stood there before still
            stands there.
    """
    if not checked:
        with one_writer(check_output_folder(folder)), replacement(folder, checked=True) as work:
            yield work
        return
    target = Path(folder).resolve()
    _refuse_impossible(target)
    if target.is_dir() and not is_model_folder(target):
        in_the_way = sorted(entry.name for entry in target.iterdir() if not _is_foreign(entry.name))
        if in_the_way:
            raise ModelFolderError(
                f"won't write the model to {target}: it holds {in_the_way[0]}, which is not the model's; move it away"
            )
    with atomic_folder(target, replace=True, keep=_is_foreign) as work:
        yield work


def link_own_files(folder: Path, new: Path, but: Iterable[str]) -> None:
    """Give a new folder the files of a model folder, without those that will be written anew.

    They are the same files, not to be written to, or copies where the disk has no links.
    """
    for entry in folder.iterdir():
        if entry.name in _OWN_ENTRIES.difference(but):
            link_tree(entry, new / entry.name)


def _is_foreign(name: str) -> bool:
    """Whether an entry of a model folder is no part of it: logs, and things of the user's."""
    return name not in _OWN_ENTRIES
