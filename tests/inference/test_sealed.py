"""A sealed file in place of a model folder: asked, signed, pickled, refused; nothing is written into it."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import check_refusal, run

from intent_bert.errors import ModelFolderError, SettingsError
from intent_bert.export.exports import export_model
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model import sealed
from intent_bert.model.folder import ModelFolder, file_sha256

TEXTS = ["play my song", "will it rain", "", "book a table 🙏"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two pairs of keys, PEM."""
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    from cryptography.hazmat.primitives import serialization as s

    place, keys = tmp_path_factory.mktemp("keys"), {}
    for name in ("mine", "other"):
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
        public = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
        for kind, content in (("key", private), ("pub", public)):
            keys[f"{name}.{kind}"] = place / f"{name}.{kind}"
            keys[f"{name}.{kind}"].write_bytes(content)
    return keys


@pytest.fixture(scope="module")
def folder(trained: Any, keys: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a signed sealed file in it; not to be written to."""
    folder = tmp_path_factory.mktemp("sealed") / "model"
    shutil.copytree(trained.folder, folder)
    export_model(folder, "sealed", sign=keys["mine.key"])
    return folder


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return folder / "model.intent"


def rewritten(file: Path, new: Path, change: Any) -> Path:
    """The file with its parts changed, and a manifest that agrees with them."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    manifest = json.loads(parts["manifest.json"])
    import hashlib

    manifest["sha256"] = {name: hashlib.sha256(parts[name]).hexdigest() for name in manifest["sha256"]}
    parts["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(new, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return new


def test_it_answers_as_its_folder(folder, file):
    ours, theirs = IntentPredictor.load(folder), IntentPredictor.load(file)
    assert (theirs.engine, theirs.classes, theirs.max_seq_len) == ("onnx", ours.classes, ours.max_seq_len)
    np.testing.assert_allclose(theirs.predict_proba(TEXTS), ours.predict_proba(TEXTS), atol=1e-6)
    np.testing.assert_allclose(theirs.in_scope_score(TEXTS), ours.in_scope_score(TEXTS), atol=1e-4)
    assert theirs.decision.to_dict() == ours.decision.to_dict()
    again = pickle.loads(pickle.dumps(theirs))
    assert again.predict(TEXTS) == theirs.predict(TEXTS)
    assert ModelFolder(folder).holds("model.intent")


def test_the_same_model_gives_the_same_bytes_and_no_path_of_this_machine(folder, file, tmp_path, trained):
    copy = shutil.copytree(trained.folder, tmp_path / "model")
    export_model(copy, "sealed")
    first = file_sha256(copy / "model.intent")
    export_model(copy, "sealed")
    assert file_sha256(copy / "model.intent") == first
    with zipfile.ZipFile(file) as archive:
        assert str(trained.folder.parent).encode() not in archive.read("config.json")
        assert archive.namelist()[:2] == ["manifest.json", "signature.json"]


def test_commands_take_it_where_they_take_a_folder(capsys, folder, file, tmp_path, trained):
    asked = ("play my song", "will it rain", "--json")
    assert run(capsys, "predict", file, *asked) == run(capsys, "predict", folder, *asked)
    table = trained.folder.parent / "test.csv"
    assert run(capsys, "evaluate", file, table)[0] == 0
    for words in (("calibrate", file, table), ("export", file), ("export", file, "--format", "sealed")):
        check_refusal(run(capsys, *words), f"{file} is a sealed file, which is not changed: name the model folder that")
    check_refusal(
        run(capsys, "predict", file, "a", "--engine", "keras"),
        f"{file} is a sealed file, which holds model.onnx alone: engine 'keras' needs the model folder that",
    )
    cut = tmp_path / "cut.intent"
    cut.write_bytes(file.read_bytes()[:5000])
    check_refusal(run(capsys, "predict", cut, "a"), f"{cut} is damaged or no sealed model, for it is no whole zip file")


def test_a_signature_can_be_required(capsys, folder, file, keys, tmp_path):
    signed = IntentPredictor.load(file, require_signature=keys["mine.pub"])
    assert signed.predict_one("play my song").intent == "music"
    assert pickle.loads(pickle.dumps(signed)).predict(TEXTS) == signed.predict(TEXTS)
    with pytest.raises(
        ModelFolderError, match=r"is not signed with the key that .*other.pub belongs to: it is another"
    ):
        IntentPredictor.load(file, require_signature=keys["other.pub"])
    unsigned = rewritten(file, tmp_path / "unsigned.intent", lambda parts: parts.pop("signature.json"))
    assert IntentPredictor.load(unsigned).predict_one("play my song").intent == "music"
    changed = rewritten(file, tmp_path / "changed.intent", lambda parts: parts.update({"README.md": b"mine"}))
    for path, told in (
        (unsigned, "is not signed, and a signature is required"),
        (changed, "is not signed with the key"),
    ):
        check_refusal(run(capsys, "predict", path, "a", "--require-signature", keys["mine.pub"]), f"{path} {told}")
    check_refusal(
        run(capsys, "predict", folder, "a", "--require-signature", keys["mine.pub"]),
        f"a folder has no signature: expected a sealed file, got {folder}",
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mine.key", "is no public Ed25519 key in PEM form without a password ("),
        ("no.pub", "can't read the key "),
        ("text.pub", "is no public Ed25519 key in PEM form without a password ("),
    ],
)
def test_keys_that_cannot_be_used_are_told(file, keys, tmp_path, name, told):
    (tmp_path / "text.pub").write_text("hello")
    with pytest.raises(SettingsError) as caught:
        IntentPredictor.load(file, require_signature=keys.get(name, tmp_path / name))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_signing_needs_a_private_key_and_a_sealed_file(folder, keys):
    with pytest.raises(SettingsError, match=r"^--sign is for --format sealed: format 'onnx' has no signature$"):
        export_model(folder, "onnx", sign=keys["mine.key"])
    with pytest.raises(SettingsError, match=r"mine.pub is no private Ed25519 key in PEM form"):
        export_model(folder, "sealed", sign=keys["mine.pub"])


def wrong_answers(parts: dict[str, bytes]) -> None:
    test = json.loads(parts["self_test.json"])
    test["sentences"][0]["probabilities"].reverse()
    parts["self_test.json"] = json.dumps(test).encode()


def other_labels(parts: dict[str, bytes]) -> None:
    test = json.loads(parts["self_test.json"])
    for each in test["sentences"]:
        each["probabilities"].append(0.0)
    parts["self_test.json"] = json.dumps(test).encode()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (wrong_answers, "fails its self-test: 'Play our song now' got "),
        (other_labels, "is damaged: its self-test can't be read (shape (8, 4))"),
        (lambda parts: parts.update({"self_test.json": b"[]"}), "is damaged: its self-test can't be read ("),
        (lambda parts: parts.update({"model.onnx": b"graph"}), "can't run "),
        (
            lambda parts: parts.update({"config.json": b"{}"}),
            "is no model folder of intent_bert: its config.json is not",
        ),
    ],
)
def test_one_that_is_wrong_in_itself_is_refused(file, tmp_path, monkeypatch, change, told):
    monkeypatch.setattr(sealed, "_recent", {})
    new = rewritten(file, tmp_path / "new.intent", change)
    with pytest.raises(ModelFolderError) as caught:
        IntentPredictor.load(new)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sealed_file_gives_its_encoders_vectors_as_its_folder_does(folder, file):
    from intent_bert.workbench.vectors import FrozenEncoder

    encoder = FrozenEncoder(file)
    assert encoder.is_tuned
    np.testing.assert_allclose(
        encoder.vectors(["play a song"]), FrozenEncoder(folder).vectors(["play a song"]), atol=1e-5
    )
