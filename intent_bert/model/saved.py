"""The trained classifier with all that is needed to ask it, and its way into a model folder and back.

What the folder holds, and how it is written and checked, is ``model_folder``'s business; here its files become a Keras
model, and a Keras model its files.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from intent_bert.bert.backend import refuse_after_fork
from intent_bert.bert.config import BertConfig
from intent_bert.bert.tokenization import TOKENIZER_CONFIG_FILE, VOCAB_FILE, FullTokenizer, tokenizer_config
from intent_bert.config import Architecture
from intent_bert.data.labels import Label
from intent_bert.errors import IntentBertError, ModelFolderError, reason
from intent_bert.model.decision import Decision
from intent_bert.model.folder import (
    FORMAT_VERSION,
    LABELS_FILE,
    LOADED_FILES,
    SCOPE_FILE,
    SKETCH_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    files_in,
    replacement,
    write_config,
    write_json,
    write_sketch,
)
from intent_bert.model.network import build_model
from intent_bert.model.sketch import Sketch
from intent_bert.version import __version__

_OF_THE_ARCHITECTURE = ("adapter_size", "out_layer_ndxs")  # what a BertConfig has from it
_HDF5_OVERHEAD = 4096  # bytes that a weight file takes for each weight beyond its numbers, at most


@dataclass
class Artifact:
    """A trained classifier and all that is needed to ask it; the model computes in float32.

    Attributes:
        model: what ``create_model`` gives, with its trained weights.
        tokenizer, classes: what texts become, and what the model's outputs are.
        architecture, encoder: what the model is made of.
        decision: how its outputs become predictions.
        settings: facts of the run, kept for the reader.
        sketch: what usual sentences are like; None where none were held out to tell.
    """

    model: keras.Model
    tokenizer: FullTokenizer
    classes: list[Label]
    encoder: BertConfig
    architecture: Architecture
    decision: Decision
    settings: dict[str, Any]
    sketch: Sketch | None = None

    @classmethod
    def trained(
        cls,
        model: keras.Model,
        tokenizer: FullTokenizer,
        classes: list[Label],
        architecture: Architecture,
        settings: dict[str, Any],
    ) -> Self:
        """What a run has made; a model that was trained in another precision is rebuilt in float32."""
        bert = model.get_layer("bert")
        encoder = BertConfig.from_dict({**bert.config.to_dict(), "adapter_size": None, "out_layer_ndxs": None})
        if bert.compute_dtype != "float32":
            weights = model.get_weights()
            model = build_model(encoder, len(classes), architecture, dtype="float32")
            model.set_weights(weights)
        return cls(model, tokenizer, classes, encoder, architecture, Decision(), settings)

    @property
    def max_seq_len(self) -> int:
        """The longest sentence in tokens."""
        assert self.architecture.max_seq_len is not None  # resolved before the model was made
        return self.architecture.max_seq_len


def load_model(folder: str | PathLike) -> keras.Model:
    """The Keras model of a model folder, as ``create_model`` gave it, with its trained weights.

    Returns:
        Input "input_ids" int32 (B, T), output probabilities float32 (B, C) in the order of ``labels.json``.

    Raises:
        ModelFolderError: no such folder, a part is missing or damaged, or it was written by a newer version.
    """
    return load_artifact(folder).model


def save_artifact(
    artifact: Artifact,
    folder: str | PathLike,
    write_extras: Callable[[Path], None] | None = None,
    write_exports: Callable[[Path], list[str]] | None = None,
    *,
    checked: bool = False,
) -> Path:
    """Write a model folder, replacing one that stands there.

    Args:
        folder: where to; its parent is made if need be.
        write_extras: writes further files into the folder it is given, before anything is swapped in.
        write_exports: does the same with exported forms of the model, and gives the names of those it has written:
            they belong to the model from then on, with their sha256.
        checked: the place was checked and locked before (``check_output_folder``, ``one_writer``): other things that
            have come meanwhile stay there.

    Raises:
        ModelFolderError: the place holds something else.
        DiskError: it can't be written, or the disk is full. What stood there before still stands there.
    """
    with replacement(folder, checked=checked) as work:
        _write_files(artifact, work)
        exported = [] if write_exports is None else write_exports(work)
        _write_config(artifact, work, exported)
        if write_extras is not None:
            write_extras(work)
    return Path(folder).resolve()


def load_artifact(folder: str | PathLike | ModelFolder) -> Artifact:
    """Read a model folder, opened already or not; no network, no code from the folder.

    Raises:
        ModelFolderError: no such folder, a part is missing or damaged, or it was written by a newer version.
        SettingsError: this process was forked from one that has used TensorFlow.
    """
    opened = folder if isinstance(folder, ModelFolder) else ModelFolder(folder)
    refuse_after_fork()
    weights, classes, tokenizer = opened.file(WEIGHTS_FILE), opened.classes, opened.tokenizer
    try:
        model = build_model(opened.encoder, len(classes), opened.architecture, dtype="float32")
        _load_every_weight(model, weights)
    except (KeyError, TypeError, OSError, ValueError, IntentBertError) as error:
        raise ModelFolderError(f"{opened.path} is damaged: {reason(error)}") from error
    return Artifact(
        model, tokenizer, classes, opened.encoder, opened.architecture, opened.decision, opened.config["settings"],
        opened.sketch,
    )  # fmt: skip


def save_weights(model: keras.Model, path: Path) -> None:
    """``model.save_weights``, for which a full disk is an OSError: the HDF5 library may crash on it.

    As many bytes as the file will take, optimizer state included, are written and freed first.

    Raises:
        OSError: the file can't be written.
    """
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.weights, *(optimizer.variables if optimizer is not None else [])]
    size = sum(4 * math.prod(variable.shape) + _HDF5_OVERHEAD for variable in variables)
    block = bytes(1 << 20)
    try:
        with path.open("wb") as stream:
            for start in range(0, size, len(block)):
                stream.write(block[: size - start])
    finally:
        path.unlink(missing_ok=True)
    try:
        model.save_weights(path)
    except RuntimeError as error:  # h5py's, of what HDF5 could not write
        raise OSError(reason(error)) from error


def _load_every_weight(model: keras.Model, path: Path) -> None:
    """Keras leaves a weight as it is, with a warning at most, where another version's file has no group for it."""
    unset = 12345.0
    for weight in model.weights:
        weight.assign(np.full(weight.shape, unset, weight.dtype))
    model.load_weights(path)
    missing = [weight.path for weight in model.weights if np.all(weight.numpy() == unset)]
    if missing:
        raise ModelFolderError(f"{path.name} lacks {', '.join(missing[:3])}")


def _write_files(artifact: Artifact, folder: Path) -> None:
    weights_only = keras.Model(artifact.model.inputs, artifact.model.outputs)  # the same layers, no optimizer state
    save_weights(weights_only, folder / WEIGHTS_FILE)
    vocab = "".join(f"{token}\n" for token in artifact.tokenizer.vocab_lines)
    (folder / VOCAB_FILE).write_text(vocab, encoding="utf-8", newline="\n")
    (folder / TOKENIZER_CONFIG_FILE).write_text(tokenizer_config(artifact.tokenizer.do_lower_case), encoding="utf-8")
    write_json(folder / LABELS_FILE, artifact.classes)
    if artifact.decision.scope is not None:
        np.savez(folder / SCOPE_FILE, allow_pickle=False, **artifact.decision.scope.arrays())
    if artifact.sketch is not None:
        write_sketch(folder, artifact.sketch)


def _write_config(artifact: Artifact, folder: Path, exported: list[str]) -> None:
    encoder = {name: value for name, value in artifact.encoder.to_dict().items() if name not in _OF_THE_ARCHITECTURE}
    config: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "intent_bert_version": __version__,
        "encoder": encoder,
        "architecture": asdict(artifact.architecture),
        "decision": artifact.decision.to_dict(),
        "settings": artifact.settings,
    }
    own = [*LOADED_FILES, *([] if artifact.decision.scope is None else [SCOPE_FILE])]
    own += [] if artifact.sketch is None else [SKETCH_FILE]
    write_config(folder, config, [*own, *(file for name in exported for file in files_in(folder / name))])
