"""The tuned encoder of a model in sentence-transformers' layout: sentences as vectors, for search and clustering.

    config.json   model.safetensors   tokenizer.json ...    the encoder, in Hugging Face's layout
    modules.json   1_Pooling/config.json   config_sentence_transformers.json   sentence_bert_config.json

Its vectors are what the model's head stands on: of pooling "mean" the mean of the tokens' vectors, of "cls" that of
[CLS], of "max" the largest values. The head, and with it the intents, are not in it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from intent_bert.bert.checkpoint import (
    SAFETENSORS_FILE,
    huggingface_tensor_of,
    load_stock_weights,
    stock_names,
    write_safetensors,
)
from intent_bert.bert.config import HUGGINGFACE_CONFIG_FILE, params_from_pretrained_ckpt, stock_config_of
from intent_bert.bert.huggingface_tokenizer import ids_by_file, write_tokenizer
from intent_bert.config import Architecture
from intent_bert.errors import SettingsError
from intent_bert.model.folder import CARD_FILE, write_json
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.network import build_model
from intent_bert.model.saved import Artifact
from intent_bert.version import __version__

POOLINGS = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "max": "pooling_mode_max_tokens"}
_MODES = (*POOLINGS.values(), "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens")
_MODES += ("pooling_mode_lasttoken",)


def write_encoder(artifact: Artifact, path: Path) -> None:
    """Write the folder.

    Raises:
        SettingsError: the model has adapters, or another pooling than this layout knows.
        OSError: it can't be written.
    """
    architecture = artifact.architecture
    if architecture.head == "rnn" or architecture.adapter_size is not None or architecture.pooling not in POOLINGS:
        adapters = " and adapters" if architecture.adapter_size is not None else ""
        raise SettingsError(
            f"sentence-transformers can't hold pooling {architecture.pooling!r} with head {architecture.head!r}"
            f"{adapters}: it can hold pooling {', '.join(POOLINGS)}, without adapters and with any head but rnn"
        )
    path.mkdir()
    variables = stock_names(artifact.model.get_layer("bert")).items()
    tensors = dict(huggingface_tensor_of(name, variable.numpy().astype("float32")) for name, variable in variables)
    write_safetensors(tensors, path / SAFETENSORS_FILE)
    config = stock_config_of(artifact.encoder).to_huggingface_json()
    (path / HUGGINGFACE_CONFIG_FILE).write_text(config, encoding="utf-8")
    write_tokenizer(artifact.tokenizer, artifact.max_seq_len, path)
    kind = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{kind}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kind}.Pooling"},
    ]
    write_json(path / "modules.json", modules)
    write_json(path / "sentence_bert_config.json", {"max_seq_length": artifact.max_seq_len, "do_lower_case": False})
    write_json(path / "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})
    (path / "1_Pooling").mkdir()
    modes = {mode: mode == POOLINGS[architecture.pooling] for mode in _MODES}
    write_json(path / "1_Pooling" / "config.json", {"word_embedding_dimension": artifact.encoder.hidden_size, **modes})
    (path / CARD_FILE).write_text(_card(artifact), encoding="utf-8")


def vectors_of(path: Path, texts: Sequence[str]) -> np.ndarray:
    """The vectors of texts (N, H), float32, computed from the written files."""
    pooling = json.loads((path / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    (name,) = [name for name, mode in POOLINGS.items() if pooling[mode]]
    length = json.loads((path / "sentence_bert_config.json").read_text(encoding="utf-8"))["max_seq_length"]
    model = build_model(params_from_pretrained_ckpt(path), 2, Architecture(name, "linear"), dtype="float32")
    load_stock_weights(model.get_layer("bert"), path)
    return KerasEngine(model).outputs(ids_by_file(path, list(texts), length)).vectors


def _card(artifact: Artifact) -> str:
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
---

# A sentence encoder

Fine-tuned with intent_bert {__version__} on sentences of {len(artifact.classes)} intents: sentences of one intent are
near each other.

    from sentence_transformers import SentenceTransformer

    SentenceTransformer("FOLDER").encode(["a sentence of yours"])
"""
