"""The trained classifier with all that is needed to ask it, and its way into a model folder and back.

What the folder holds, and how it is written and checked, is ``model_folder``'s business; here its files become a Keras
model, and a Keras model its files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from intent_bert.bert.config import BertConfig
from intent_bert.bert.tokenization import TOKENIZER_CONFIG_FILE, VOCAB_FILE, FullTokenizer, tokenizer_config
from intent_bert.data.batches import Label
from intent_bert.errors import IntentBertError, ModelFolderError
from intent_bert.model.folder import (
    FORMAT_VERSION,
    LABELS_FILE,
    LOADED_FILES,
    WEIGHTS_FILE,
    ModelFolder,
    files_in,
    reason,
    replacement,
    write_config,
    write_json,
)
from intent_bert.model.network import build_model, save_weights
from intent_bert.version import __version__

_ARCHITECTURE = ("max_seq_len", "pooling", "dropout", "head")


@dataclass
class Artifact:
    """A trained classifier and all that is needed to ask it.

    ``pooling``, ``dropout`` and ``head`` are ``create_model``'s arguments; ``settings`` are the facts of the run, kept
    for the reader. The model computes in float32, whatever it was trained in.
    """

    model: keras.Model
    tokenizer: FullTokenizer
    classes: list[Label]
    params: BertConfig
    max_seq_len: int
    pooling: str
    dropout: float
    head: str
    settings: dict[str, Any]

    @classmethod
    def trained(
        cls, model: keras.Model, tokenizer: FullTokenizer, classes: list[Label], settings: dict[str, Any]
    ) -> Self:
        """What a run with these settings (those of ``TrainingConfig``, and facts of the run) has made."""
        params = BertConfig.from_dict({**model.get_layer("bert").config.to_dict(), "out_layer_ndxs": None})
        arguments = {name: settings[name] for name in _ARCHITECTURE}
        if model.get_layer("bert").compute_dtype != "float32":
            weights = model.get_weights()
            shape = {name: settings[name] for name in ("pooling", "dropout", "head")}
            model = build_model(params, len(classes), **shape, dtype="float32")
            model.set_weights(weights)
        return cls(model=model, tokenizer=tokenizer, classes=classes, params=params, settings=settings, **arguments)


def save_artifact(
    artifact: Artifact,
    folder: str | PathLike,
    write_extras: Callable[[Path], None] | None = None,
    write_exports: Callable[[Path], list[str]] | None = None,
) -> Path:
    """Write a model folder, replacing one that stands there.

    Args:
        folder: where to; its parent is made if need be.
        write_extras: writes further files into the folder it is given, before anything is swapped in.
        write_exports: does the same with exported forms of the model, and gives the names of those it has written:
            they belong to the model from then on, with their sha256.

    Raises:
        ModelFolderError: the place holds something else, or can't be written, or the disk is full. What stood there
            before still stands there.
    """
    with replacement(folder) as work:
        _write_files(artifact, work)
        exported = [] if write_exports is None else write_exports(work)
        _write_config(artifact, work, exported)
        if write_extras is not None:
            write_extras(work)
    return Path(folder).resolve()


def load_artifact(folder: str | PathLike) -> Artifact:
    """Read a model folder; no network, no code from the folder.

    Raises:
        ModelFolderError: no such folder, a part is missing or damaged, or it was written by a newer version.
    """
    opened = ModelFolder(folder)
    config = opened.config
    weights, classes, tokenizer = opened.file(WEIGHTS_FILE), opened.classes, opened.tokenizer
    try:
        params = BertConfig.from_dict(config["encoder"])
        arguments = {name: config[name] for name in ("pooling", "dropout", "head")}
        model = build_model(params, len(classes), **arguments, dtype="float32")
        _load_every_weight(model, weights)
    except (KeyError, TypeError, OSError, ValueError, IntentBertError) as error:
        raise ModelFolderError(f"{opened.path} is damaged: {reason(error)}") from error
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


def _write_files(artifact: Artifact, folder: Path) -> None:
    weights_only = keras.Model(artifact.model.inputs, artifact.model.outputs)  # the same layers, no optimizer state
    save_weights(weights_only, folder / WEIGHTS_FILE)
    vocab = "".join(f"{token}\n" for token in artifact.tokenizer.vocab_lines)
    (folder / VOCAB_FILE).write_text(vocab, encoding="utf-8", newline="\n")
    (folder / TOKENIZER_CONFIG_FILE).write_text(tokenizer_config(artifact.tokenizer.do_lower_case), encoding="utf-8")
    write_json(folder / LABELS_FILE, artifact.classes)


def _write_config(artifact: Artifact, folder: Path, exported: list[str]) -> None:
    config: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "intent_bert_version": __version__,
        "encoder": artifact.params.to_dict(),
        **{name: getattr(artifact, name) for name in _ARCHITECTURE},
        "settings": artifact.settings,
    }
    write_config(folder, config, [*LOADED_FILES, *(file for name in exported for file in files_in(folder / name))])
