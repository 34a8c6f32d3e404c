"""A sealed file as bytes: verified as a whole, unpacked where it can do no harm, refused in one sentence."""

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from intent_bert.errors import DiskError, IntentBertError, ModelFolderError
from intent_bert.files import atomic
from intent_bert.model import sealed
from intent_bert.model.sealed import MANIFEST, unpacked

PARTS = {"config.json": b"{}", "model.onnx": b"graph" * 1000, "vocab.txt": b"[PAD]", "tokenizer_config.json": b"{}"}
PARTS |= {"labels.json": b"[]", "self_test.json": b"{}"}


def manifest_of(parts: dict[str, bytes], **more: object) -> bytes:
    import hashlib

    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    return json.dumps({"sealed_version": 1, "intent_bert_version": "9.9", "sha256": hashes, **more}).encode()


def write(path: Path, parts: dict[str, bytes], manifest: bytes | None = None, compress: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", compress) as archive:
        archive.writestr(MANIFEST, manifest_of(parts) if manifest is None else manifest)
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """Where files are unpacked, to see that nothing stays there."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.setattr(sealed, "_recent", {})
    return place


def refusal(path: Path, temporary: Path, kind: type[IntentBertError] = ModelFolderError) -> str:
    with pytest.raises(kind) as caught:
        unpacked(path)
    assert list(temporary.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_parts_come_out_as_they_went_in_and_go_with_their_last_reader(tmp_path, temporary, monkeypatch):
    path = write(tmp_path / "m.intent", PARTS)
    found = unpacked(path)
    assert {entry.name: entry.read_bytes() for entry in found.folder.iterdir()} == PARTS
    assert found.folder.parent == temporary
    assert found.folder.stat().st_mode & 0o777 == 0o700
    assert unpacked(path) is found  # the same file is not unpacked twice
    os.utime(path, ns=(1, 1))
    assert unpacked(path) is not found  # another file
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    sealed._recent.clear()
    assert found.folder.is_dir()  # a reader is left
    folder = found.folder
    del found
    assert folder.is_dir()  # a forked process removes nothing


def test_the_last_reader_removes_what_was_unpacked(tmp_path, temporary):
    for number in range(4):
        write(tmp_path / f"{number}.intent", PARTS)
        unpacked(tmp_path / f"{number}.intent")
    assert len(list(temporary.iterdir())) == 2  # kept for the next reader
    sealed._recent.clear()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("length", [0, 10, 3000, -1, -30])
def test_a_file_that_is_cut_short_is_refused(tmp_path, temporary, length):
    path = write(tmp_path / "m.intent", PARTS)
    path.write_bytes(path.read_bytes()[:length])
    assert refusal(path, temporary).startswith(f"{path} is damaged or no sealed model, for it is no whole zip file (")


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path, temporary):
    content = write(tmp_path / "m.intent", PARTS).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / "flipped.intent"
    passed = 0
    for place in (*rng.integers(0, len(content), 150), *range(30), *range(len(content) - 22, len(content))):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:  # some bits mean nothing (dates, attributes): then the parts are as they were
            found = unpacked(path)
            assert {entry.name: entry.read_bytes() for entry in found.folder.iterdir()} == PARTS
            passed += 1
        except ModelFolderError as error:
            assert "\n" not in str(error)
        sealed._recent.clear()
    assert passed < 60


Change = Callable[[Path], Path]


def changed_part(path: Path) -> Path:
    return write(path, {**PARTS, "model.onnx": b"other"}, manifest_of(PARTS))


def escaping(name: str) -> Change:
    return lambda path: write(path, {**PARTS, name: b"evil"})


def twice(path: Path) -> Path:
    write(path, PARTS)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("vocab.txt", b"other")
    return path


def encrypted(path: Path) -> Path:
    content = bytearray(write(path, PARTS).read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 8 : entry + 10] = struct.pack("<H", 1)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (changed_part, "was changed after it was sealed: model.onnx is not what was sealed (its sha256 differs); cop"),
        (escaping("../evil"), "it names a file outside of it, '../evil'"),
        (escaping("/etc/evil"), "it names a file outside of it, '/etc/evil'"),
        (escaping("a/evil"), "it names a file outside of it, 'a/evil'"),
        (escaping("..\\evil"), "it names a file outside of it, '"),
        (escaping("C:evil"), "it names a file outside of it, 'C:evil'"),
        (escaping(".."), "it names a file outside of it, '..'"),
        (escaping("evil.py"), "was changed after it was sealed: it holds evil.py, which no sealed model has"),
        (
            lambda path: write(path, {**PARTS, "README.md": b"card"}, manifest_of(PARTS)),
            "was changed after it was sealed: it holds README.md, which its manifest does not name",
        ),
        (
            lambda path: write(path, {k: v for k, v in PARTS.items() if k != "vocab.txt"}),
            "was changed after it was sealed: it lacks vocab.txt",
        ),
        (
            lambda path: write(path, PARTS, manifest_of({**PARTS, "scope.npz": b""})),
            "was changed after it was sealed: it lacks scope.npz",
        ),
        (twice, "was changed after it was sealed: it holds vocab.txt twice"),
        (encrypted, "was changed after it was sealed: manifest.json is compressed or encrypted"),
        (
            lambda path: write(path, {**PARTS, "model.onnx": bytes(10**7)}, compress=zipfile.ZIP_DEFLATED),
            "was changed after it was sealed: manifest.json is compressed or encrypted",  # a zip bomb is
        ),
        (
            lambda path: write(path, PARTS, manifest_of(PARTS, sealed_version=2)),
            " is sealed in format 2 (intent_bert 9.9); this version reads up to format 1: upgrade intent_bert",
        ),
        (lambda path: write(path, PARTS, b"{"), " is no sealed model: its manifest.json is not ours"),
        (lambda path: write(path, PARTS, b"[" * 9999), " is no sealed model: its manifest.json is not ours"),
        (lambda path: write(path, PARTS, b'{"sealed_version": 1}'), " is no sealed model: its manifest.json is not ou"),
        (lambda path: write(path, PARTS, b" " * 200_000), " is no sealed model: its manifest.json has 200,000 bytes"),
        (
            lambda path: write(path, {f"{number}": b"" for number in range(200)}),
            " is no sealed model: it has no manifest.json, or too many parts",
        ),
    ],
)
def test_what_was_changed_is_refused_and_nothing_stays(tmp_path, temporary, make: Change, expected):
    before = {entry.name for entry in tmp_path.iterdir()}
    assert expected in refusal(make(tmp_path / "m.intent"), temporary)
    assert {entry.name for entry in tmp_path.iterdir()} == before | {"m.intent"}


def test_arrays_that_would_grow_large_are_refused(tmp_path, temporary):
    np.savez_compressed(tmp_path / "scope.npz", zeros=np.zeros(2 * 10**7))
    path = write(tmp_path / "m.intent", {**PARTS, "scope.npz": (tmp_path / "scope.npz").read_bytes()})
    assert refusal(path, temporary) == f"won't open {path}: its scope.npz would take 160 MB"


def test_a_disk_without_room_is_told(tmp_path, temporary, monkeypatch):
    path = write(tmp_path / "m.intent", PARTS)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    message = refusal(path, temporary, DiskError)
    assert message == f"can't unpack {path}: No space left on device (TMPDIR names another place)"
    assert atomic.is_full(OSError(28, ""))
