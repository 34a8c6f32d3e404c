"""A classifier from a ``BertForSequenceClassification`` in Hugging Face's layout, trained here or elsewhere.

    config.json         labels (id2label), the encoder's shape, one intent a sentence or several (problem_type)
    model.safetensors   every weight, the pooler and the classifier among them
    vocab.txt or tokenizer.json, and tokenizer_config.json

It becomes a model with pooling "cls" and head "dense", which is the same thing. Nothing tells how its probabilities
were made: they count as not calibrated, and which sentences are in scope it can't say, until ``calibrate`` has seen
labelled ones. No code runs from the folder, and a pickle (pytorch_model.bin) is not read. Writing
a model folder of it is huggingface_import.py's business.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from intent_bert.bert.checkpoint import SAFETENSORS_FILE, load_stock_weights, read_arrays
from intent_bert.bert.config import (
    HUGGINGFACE_CONFIG_FILE,
    SHORTEST,
    BertConfig,
    StockBertConfig,
    map_stock_config_to_params,
)
from intent_bert.bert.huggingface_tokenizer import read_tokenizer
from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer
from intent_bert.config import Architecture
from intent_bert.errors import CheckpointError, ModelFolderError, reason
from intent_bert.export.huggingface import ARCHITECTURE
from intent_bert.model.decision import Decision
from intent_bert.model.folder import is_model_folder
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.model.network import build_model
from intent_bert.model.saved import Artifact

_HEAD = {  # stock name: layer and weight
    "bert/pooler/dense/kernel": ("dense", "kernel"),
    "bert/pooler/dense/bias": ("dense", "bias"),
    "classifier/kernel": ("logits", "kernel"),
    "classifier/bias": ("logits", "bias"),
}
_PICKLES = ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack")


def read_classifier(folder: Path) -> Artifact:
    """The classifier of a folder in Hugging Face's layout.

    Raises:
        CheckpointError: the folder holds another kind of model, or is missing something.
    """
    config = _read_config(folder)
    classes, multi_label = _labels(config, folder), _is_multi_label(config, folder)
    try:
        encoder = map_stock_config_to_params(StockBertConfig.from_huggingface_json(json.dumps(config)))
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    if not (folder / SAFETENSORS_FILE).is_file():
        pickled = next((f", but {name}, which is not read" for name in _PICKLES if (folder / name).exists()), "")
        raise CheckpointError(
            f"{folder} has no {SAFETENSORS_FILE}{pickled}: save the model with transformers' "
            "save_pretrained(FOLDER, safe_serialization=True), in one file"
        )
    lines, lower_case, longest = read_tokenizer(folder)
    if len(lines) > encoder.vocab_size:
        raise CheckpointError(
            f"{folder}: the vocabulary has {len(lines)} tokens, but the config says vocab_size {encoder.vocab_size}"
        )
    max_seq_len = max(SHORTEST, min(longest or encoder.max_position_embeddings, encoder.max_position_embeddings))
    architecture = Architecture("cls", "dense", _dropout(config, encoder), max_seq_len, None, multi_label)
    model = build_model(encoder, len(classes), architecture, dtype="float32")
    _load(model, folder)
    settings = {"imported_from": folder.resolve().name, "multi_label": multi_label, "max_seq_len": max_seq_len}
    tokenizer = _tokenizer(lines, lower_case)
    return Artifact(model, tokenizer, classes, encoder, architecture, _decision(config, classes, multi_label), settings)


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise CheckpointError(f"no such folder: {folder}")
    if is_model_folder(folder):
        raise CheckpointError(f"{folder} is a model folder of intent_bert already: use it as it is")
    path = folder / HUGGINGFACE_CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} has no {HUGGINGFACE_CONFIG_FILE}: expected a folder that transformers' save_pretrained wrote"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"can't read {path}: {reason(error)}") from error
    architectures = config.get("architectures") if isinstance(config, dict) else None
    if architectures != [ARCHITECTURE]:
        named = ", ".join(map(str, architectures)) if isinstance(architectures, list) else "no known model"
        raise CheckpointError(f"{folder} holds {named}: only {ARCHITECTURE} can be imported")
    return config


def _labels(config: dict[str, Any], folder: Path) -> list[Any]:
    named = config.get("id2label")
    if not isinstance(named, dict):
        raise CheckpointError(f"{folder}: {HUGGINGFACE_CONFIG_FILE} has no id2label, which names the intents")
    try:
        by_number = {int(number): str(label) for number, label in named.items()}
    except ValueError:
        by_number = {}
    if sorted(by_number) != list(range(len(named))):
        raise CheckpointError(f"{folder}: id2label must name the outputs 0, 1, 2 ... of the model, each once")
    labels = [by_number[number] for number in range(len(by_number))]
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise CheckpointError(f"{folder}: id2label must hold two or more different labels, not {len(set(labels))}")
    return labels


def _is_multi_label(config: dict[str, Any], folder: Path) -> bool:
    kind = config.get("problem_type") or "single_label_classification"
    if kind not in ("single_label_classification", "multi_label_classification"):
        raise CheckpointError(f"{folder} is a model of {kind}: only one that names labels can be imported")
    return bool(kind == "multi_label_classification")


def _dropout(config: dict[str, Any], encoder: BertConfig) -> float:
    asked = config.get("classifier_dropout")
    if isinstance(asked, int | float) and not isinstance(asked, bool) and 0 <= asked < 1:
        return float(asked)
    return encoder.hidden_dropout


def _decision(config: dict[str, Any], classes: list[Any], multi_label: bool) -> Decision:
    """Not calibrated; the thresholds of a multi-label model that was exported here come back."""
    if not multi_label:
        return Decision()
    own = config.get("intent_bert")
    thresholds = own.get("thresholds") if isinstance(own, dict) else None
    if isinstance(thresholds, list) and len(thresholds) == len(classes):
        try:
            return MultiLabelDecision.from_dict({"scores": "sigmoid", "thresholds": thresholds, "fitted_on": 0})
        except ModelFolderError:
            pass
    return MultiLabelDecision.unfitted(len(classes))


def _load(model: Any, folder: Path) -> None:
    load_stock_weights(model.get_layer("bert"), folder, known=_HEAD)
    arrays = read_arrays(folder)
    for name, (layer, weight) in _HEAD.items():
        variable = getattr(model.get_layer(layer), weight)
        if name not in arrays:
            raise CheckpointError(f"{folder / SAFETENSORS_FILE} lacks {name}, which {ARCHITECTURE} has")
        if arrays[name].shape != tuple(variable.shape):
            raise CheckpointError(
                f"{folder / SAFETENSORS_FILE}: {name} is {list(arrays[name].shape)}, expected {list(variable.shape)}"
            )
        variable.assign(np.asarray(arrays[name], "float32"))


def _tokenizer(lines: list[str], lower_case: bool) -> FullTokenizer:
    """Ours, which reads its vocabulary from a file."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / VOCAB_FILE
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
        return FullTokenizer(file, lower_case)
