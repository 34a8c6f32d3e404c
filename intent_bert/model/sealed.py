"""A sealed model: one file, ``model.intent``, that is verified as a whole and then read as a model folder.

    manifest.json           format version, the version that wrote it, the sha256 of every other part
    signature.json          only where it is signed: an Ed25519 signature of the bytes of manifest.json
    config.json   model.onnx   vocab.txt   tokenizer_config.json   labels.json
    scope.npz  sketch.npz   where the model can tell which sentences are in scope, and what usual ones are like
    self_test.json          some sentences with their predictions (inference/self_test.py)
    README.md               the model card, for people

It is a zip whose parts are stored as they are, in this order, with no date: the same model gives the same bytes.
Nothing in it is code or a pickle. A part that is compressed, has another name, or differs from the manifest is refused,
so what comes out is never larger than the file and never leaves its place: a folder of this process's own, for its user
alone, which goes with the last model that reads it. The sha256 find damage; who made a file only a signature tells.

Nothing here writes one: that is export/sealed.py's business.
"""

import hashlib
import json
import os
import shutil
import tempfile
import weakref
import zipfile
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

from intent_bert.bert.tokenization import TOKENIZER_CONFIG_FILE, VOCAB_FILE
from intent_bert.errors import DiskError, IntentBertError, ModelFolderError, reason
from intent_bert.model.signature import PublicKey, Signature

SEALED_VERSION = 1
SUFFIX = ".intent"
MANIFEST, SIGNATURE, SELF_TEST = "manifest.json", "signature.json", "self_test.json"
_REQUIRED = ("config.json", "model.onnx", VOCAB_FILE, TOKENIZER_CONFIG_FILE, "labels.json", SELF_TEST)
_ARRAYS = ("scope.npz", "sketch.npz")
_OPTIONAL = (*_ARRAYS, "README.md")
PARTS = (*_REQUIRED, *_OPTIONAL)
_MOST_PARTS, _LARGEST_MANIFEST = 100, 100_000
_LARGEST_ARRAYS = 100_000_000  # bytes
_BLOCK = 1 << 20
_KEPT = 2  # unpacked files that are kept for the next reader of the same file

_recent: dict[tuple, "Unpacked"] = {}
_lock = Lock()


class Unpacked:
    """The verified parts of a sealed file, in a folder that is removed with this object."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remove = weakref.finalize(self, _remove, folder, os.getpid())


def _remove(folder: Path, made_by: int) -> None:
    if os.getpid() == made_by:  # not in a process that was forked, whose parent still reads
        shutil.rmtree(folder, ignore_errors=True)


def looks_sealed(path: Path) -> bool:
    """Whether a path is that of a sealed file, whole or not: by its name, or by its first bytes."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return path.suffix == SUFFIX or stream.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise ModelFolderError(f"can't read {path}: {reason(error)}") from error


def unpacked(path: Path, require_signature: str | PathLike | None = None) -> Unpacked:
    """The parts of a sealed file, verified; those that were unpacked a moment ago where the file is still the same.

    Raises:
        ModelFolderError: no sealed file, one that is damaged, changed or of a newer version, or not signed as required.
        SettingsError: the public key can't be read, or its package is not installed.
        DiskError: there is no room to unpack it.
    """
    key = None if require_signature is None else PublicKey.read(require_signature)
    try:
        state = path.stat()
        which = (path.resolve(), state.st_ino, state.st_size, state.st_mtime_ns, key and key.fingerprint)
        with _lock:
            found = _recent.pop(which, None) or _verified(path, key)
            _recent[which] = found
            for old in list(_recent)[:-_KEPT]:
                del _recent[old]
    except IntentBertError:
        raise
    except OSError as error:
        raise ModelFolderError(f"can't read {path}: {reason(error)}") from error
    return found


def _verified(path: Path, key: PublicKey | None) -> Unpacked:
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack(archive, path, key)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeDecodeError) as error:
        raise ModelFolderError(
            f"{path} is damaged or no sealed model, for it is no whole zip file ({reason(error)}): copy it again"
        ) from error


def _unpack(archive: zipfile.ZipFile, path: Path, key: PublicKey | None) -> Unpacked:
    sizes = _sizes(archive, path)
    manifest = _read_manifest(archive, path, sizes)
    if key is not None:
        _check_signature(archive, path, sizes, key)
    hashes: dict[str, str] = manifest["sha256"]
    strange = sorted(set(hashes) - set(PARTS))
    missing = sorted(set(_REQUIRED) - set(hashes)) + sorted(set(hashes) - set(sizes))
    surplus = sorted(set(sizes) - set(hashes) - {MANIFEST, SIGNATURE})
    for names, fault in ((strange, "which no sealed model has"), (surplus, "which its manifest does not name")):
        if names:
            raise ModelFolderError(f"{path} was changed after it was sealed: it holds {names[0]}, {fault}")
    if missing:
        raise ModelFolderError(f"{path} was changed after it was sealed: it lacks {missing[0]}")
    try:
        folder = Path(tempfile.mkdtemp(prefix="intent_bert_"))  # for this user alone
    except OSError as error:
        raise DiskError(f"can't unpack {path}: {reason(error)} (TMPDIR names another place)") from error
    found = Unpacked(folder)
    try:
        _extract_all(archive, path, hashes, folder)
    except BaseException:
        found.remove()
        raise
    return found


def _extract_all(archive: zipfile.ZipFile, path: Path, hashes: dict[str, str], folder: Path) -> None:
    for name, sha256 in hashes.items():
        if _extracted(archive, path, name, folder) != sha256:
            raise ModelFolderError(
                f"{path} was changed after it was sealed: {name} is not what was sealed (its sha256 differs); copy it "
                "again"
            )
    for name in _ARRAYS:
        if name in hashes:
            _check_arrays(folder / name, path)


def _sizes(archive: zipfile.ZipFile, path: Path) -> dict[str, int]:
    """The size of every part by its name, once none of them can grow or leave its place."""
    sizes: dict[str, int] = {}
    for part in archive.infolist()[: _MOST_PARTS + 1]:
        name = part.filename
        if not name or name != Path(name).name or "\\" in name or ":" in name or name.startswith("."):
            raise ModelFolderError(f"won't open {path}: it names a file outside of it, {name!r}")
        if name in sizes:
            raise ModelFolderError(f"{path} was changed after it was sealed: it holds {name} twice")
        stored = part.compress_type == zipfile.ZIP_STORED and part.compress_size == part.file_size
        if not stored or part.flag_bits & 1:
            raise ModelFolderError(f"{path} was changed after it was sealed: {name} is compressed or encrypted")
        sizes[name] = part.file_size
    if len(sizes) > _MOST_PARTS or MANIFEST not in sizes:
        raise ModelFolderError(f"{path} is no sealed model: it has no {MANIFEST}, or too many parts")
    return sizes


def _read_small(archive: zipfile.ZipFile, path: Path, sizes: dict[str, int], name: str) -> tuple[bytes, dict[str, Any]]:
    if sizes[name] > _LARGEST_MANIFEST:
        raise ModelFolderError(f"{path} is no sealed model: its {name} has {sizes[name]:,} bytes")
    content = archive.read(name)
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ModelFolderError(f"{path} is no sealed model: its {name} is not ours")
    return content, values


def _read_manifest(archive: zipfile.ZipFile, path: Path, sizes: dict[str, int]) -> dict[str, Any]:
    _, manifest = _read_small(archive, path, sizes, MANIFEST)
    version, hashes = manifest.get("sealed_version"), manifest.get("sha256")
    if isinstance(version, int) and version > SEALED_VERSION:
        raise ModelFolderError(
            f"{path} is sealed in format {version} (intent_bert {manifest.get('intent_bert_version')}); this version "
            f"reads up to format {SEALED_VERSION}: upgrade intent_bert"
        )
    whole = isinstance(hashes, dict) and all(isinstance(each, str) for each in hashes.values())
    if not isinstance(version, int) or not whole:
        raise ModelFolderError(f"{path} is no sealed model: its {MANIFEST} is not ours")
    return manifest


def _check_signature(archive: zipfile.ZipFile, path: Path, sizes: dict[str, int], key: PublicKey) -> None:
    if SIGNATURE not in sizes:
        raise ModelFolderError(f"{path} is not signed, and a signature is required: ask its maker for a signed one")
    _, values = _read_small(archive, path, sizes, SIGNATURE)
    if not key.has_signed(archive.read(MANIFEST), Signature.from_dict(values)):
        raise ModelFolderError(
            f"{path} is not signed with the key that {key.source} belongs to: it is another's, or was changed"
        )


def _extracted(archive: zipfile.ZipFile, path: Path, name: str, folder: Path) -> str:
    """Write a part into the folder; the sha256 of what was written."""
    sha256 = hashlib.sha256()
    with archive.open(name) as source:
        try:
            with (folder / name).open("xb") as target:
                while block := source.read(_BLOCK):
                    sha256.update(block)
                    target.write(block)
        except OSError as error:
            raise DiskError(f"can't unpack {path} to {folder}: {reason(error)} (TMPDIR names another place)") from error
    return sha256.hexdigest()


def _check_arrays(arrays: Path, path: Path) -> None:
    """numpy's file is a zip as well, whose parts may be compressed; they must not grow without a bound."""
    with zipfile.ZipFile(arrays) as archive:
        size = sum(each.file_size for each in archive.infolist())
    if size > _LARGEST_ARRAYS:
        raise ModelFolderError(f"won't open {path}: its {arrays.name} would take {size / 1e6:.0f} MB")
