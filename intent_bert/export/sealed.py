"""Write a sealed model: the parts of a model folder that an answer needs, in one file that is verified as a whole.

What the file looks like, and how it is read, stands in model/sealed.py. The answers of the self-test come from the
drawn model.
"""

import json
import tempfile
import zipfile
from os import PathLike
from pathlib import Path

from intent_bert.export.onnx_graph import onnx_model
from intent_bert.inference.engines import OnnxEngine
from intent_bert.inference.self_test import self_test_of
from intent_bert.model.folder import CARD_FILE, ONNX_FILE, file_sha256, write_config, write_json
from intent_bert.model.saved import Artifact, config_of, write_small_files
from intent_bert.model.sealed import MANIFEST, PARTS, SEALED_VERSION, SELF_TEST, SIGNATURE
from intent_bert.model.signature import PrivateKey
from intent_bert.version import __version__

_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_ORDINARY_FILE = 0o100644 << 16
_OF_THIS_MACHINE = ("train_file", "validation_file", "test_file", "unknown_file", "output_dir", "log_dir")


def seal(artifact: Artifact, path: Path, card: Path | None = None, sign: str | PathLike | None = None) -> None:
    """Write a model as a sealed file.

    Args:
        artifact: the model.
        path: the file.
        card: the model card to put in, if there is one.
        sign: a private Ed25519 key (PEM) to sign it with.

    Raises:
        SettingsError: the key can't be read, or the model can't be drawn as ONNX.
        OSError: it can't be written.
    """
    key = None if sign is None else PrivateKey.read(sign)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".sealing") as place:
        folder = Path(place)
        names = write_small_files(artifact, folder)
        (folder / ONNX_FILE).write_bytes(onnx_model(artifact.model).SerializeToString())
        config = config_of(artifact)
        settings = {name: value for name, value in config["settings"].items() if name not in _OF_THIS_MACHINE}
        write_config(folder, {**config, "settings": settings}, [*names, ONNX_FILE])
        write_json(folder / SELF_TEST, self_test_of(artifact, OnnxEngine(folder / ONNX_FILE)))
        if card is not None and card.is_file():
            (folder / CARD_FILE).write_bytes(card.read_bytes())
        _write_zip(folder, path, key)


def _write_zip(folder: Path, path: Path, key: PrivateKey | None) -> None:
    parts = [name for name in PARTS if (folder / name).is_file()]
    manifest = {
        "sealed_version": SEALED_VERSION,
        "intent_bert_version": __version__,
        "sha256": {name: file_sha256(folder / name) for name in parts},
    }
    content = (json.dumps(manifest, indent=2) + "\n").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(MANIFEST), content)
        if key is not None:
            archive.writestr(_entry(SIGNATURE), json.dumps(key.sign(content).to_dict(), indent=2) + "\n")
        for name in parts:
            archive.writestr(_entry(name), (folder / name).read_bytes())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _NO_DATE)
    entry.create_system, entry.external_attr = 3, _ORDINARY_FILE
    return entry
