"""A model as Hugging Face's ``BertForSequenceClassification``, with the same probabilities, calibrated ones.

    config.json   model.safetensors   tokenizer.json   tokenizer_config.json   vocab.txt   README.md

There a sentence's vector is tanh of a dense layer over [CLS], and logits are a linear layer over that: our default head
exactly. The temperature goes into the last layer. Other heads take that shape by a change of weights alone:

    linear                  tanh(x) is x where x is small: the vector is made small before it, and large again after
    pooling mean            one more encoder layer, whose attention is the same for all tokens; each row is their mean
    cosine, pooling mean    the LayerNorm of that layer is the one of the head
    linear, pooling mean    that LayerNorm divides by a length that must be known: the layer makes the logits, in C of
                            the H places, and two of the others are so large that nothing else counts for the length

In that layer the sum with what went into it (a residual) is drowned by a large factor, 2 ** 30: it is beyond float32's
24 bits, and beyond what float16 can hold. H is the encoder's width, C the number of intents.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from intent_bert.bert.checkpoint import SAFETENSORS_FILE, huggingface_tensor_of, stock_names, write_safetensors
from intent_bert.bert.config import HUGGINGFACE_CONFIG_FILE, BertConfig, stock_config_of
from intent_bert.bert.huggingface_tokenizer import write_tokenizer
from intent_bert.errors import SettingsError
from intent_bert.model.cosine import EPSILON, SCALE, CosineLogits
from intent_bert.model.folder import CARD_FILE
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.model.saved import Artifact
from intent_bert.version import __version__

ARCHITECTURE = "BertForSequenceClassification"
Arrays = dict[str, np.ndarray]  # stock name -> value, in the stock layout
_SMALL = 2.0**-13  # so much of a vector is its own tanh, to float32's last bit; a power of two changes no digit
_LARGE = 2.0**30  # what drowns a residual
_LARGER = 2.0**47  # what drowns the large in the length of a vector


def write_huggingface(artifact: Artifact, path: Path, card: Path) -> None:
    """Write the folder.

    Args:
        artifact: the model.
        path: the folder, which is made.
        card: the model card to put in, if there is one.

    Raises:
        SettingsError: the model has another head or pooling than this layout can hold.
        OSError: it can't be written.
    """
    encoder, arrays = classifier_weights(artifact)
    path.mkdir()
    (path / HUGGINGFACE_CONFIG_FILE).write_text(_config(artifact, encoder), encoding="utf-8")
    write_safetensors(dict(_tensor_of(*item) for item in arrays.items()), path / SAFETENSORS_FILE)
    write_tokenizer(artifact.tokenizer, artifact.max_seq_len, path)
    own_card = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    (path / CARD_FILE).write_text(_card(artifact, encoder) + own_card, encoding="utf-8")


def classifier_weights(artifact: Artifact) -> tuple[BertConfig, Arrays]:
    """The encoder's shape, which may have one more layer, and all weights under Google's names."""
    model, architecture = artifact.model, artifact.architecture
    head = None if architecture.adapter_size is not None else _HEADS.get((architecture.pooling, architecture.head))
    if head is None:
        adapters = " and adapters" if architecture.adapter_size is not None else ""
        fitting = ", ".join(f"{pooling} with {head}" for pooling, head in _HEADS)
        raise SettingsError(
            f"Hugging Face's {ARCHITECTURE} can't hold pooling {architecture.pooling!r} with head "
            f"{architecture.head!r}{adapters}: it can hold pooling and head {fitting}, without adapters; export to "
            "onnx, sealed or savedmodel instead"
        )
    encoder = {name: variable.numpy() for name, variable in stock_names(model.get_layer("bert")).items()}
    layer = model.get_layer("logits")
    kernel, bias = _logits_weights(layer)  # (K, C), (C,)
    temperature = artifact.decision.temperature
    return head(artifact, encoder, kernel / temperature, bias / temperature)


def _logits_weights(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (K, C) and bias (C,) of the last layer, float64; of a cosine head what LayerNorm leaves for it."""
    kernel = layer.kernel.numpy().astype("float64")
    if not isinstance(layer, CosineLogits):
        return kernel, layer.bias.numpy().astype("float64")
    lengths = np.sqrt(np.maximum((kernel**2).sum(axis=0), EPSILON))
    return SCALE / np.sqrt(len(kernel)) * kernel / lengths, np.zeros(kernel.shape[1])


# --- heads -------------------------------------------------------------------------------------------------------

Head = Callable[[Artifact, Arrays, np.ndarray, np.ndarray], tuple[BertConfig, Arrays]]


def _dense(artifact: Artifact, encoder: Arrays, kernel: np.ndarray, bias: np.ndarray) -> tuple[BertConfig, Arrays]:
    dense = artifact.model.get_layer("dense")
    pooler = dense.kernel.numpy(), dense.bias.numpy()
    return artifact.encoder, encoder | _named(pooler, (kernel, bias))


def _linear(artifact: Artifact, encoder: Arrays, kernel: np.ndarray, bias: np.ndarray) -> tuple[BertConfig, Arrays]:
    return artifact.encoder, encoder | _named(*_around_tanh(np.eye(len(kernel)), kernel, bias))


def _cosine_of_mean(
    artifact: Artifact, encoder: Arrays, kernel: np.ndarray, bias: np.ndarray
) -> tuple[BertConfig, Arrays]:
    width = len(kernel)
    config, layer = _layer_of_means(artifact.encoder, _LARGE * np.eye(width), np.zeros(width))
    return config, encoder | layer | _named(*_around_tanh(np.eye(width), kernel, bias))


def _cosine_of_first(
    artifact: Artifact, encoder: Arrays, kernel: np.ndarray, bias: np.ndarray
) -> tuple[BertConfig, Arrays]:
    width = len(kernel)
    config, layer = _layer_of_means(artifact.encoder, np.zeros((width, width)), np.zeros(width))
    return config, encoder | layer | _named(*_around_tanh(np.eye(width), kernel, bias))


def _linear_of_mean(
    artifact: Artifact, encoder: Arrays, kernel: np.ndarray, bias: np.ndarray
) -> tuple[BertConfig, Arrays]:
    width, classes = kernel.shape
    if classes > width - 3:
        raise SettingsError(
            f"Hugging Face's {ARCHITECTURE} can hold pooling 'mean' with head 'linear' for up to {width - 3} intents "
            f"of an encoder this wide, not for {classes}: export to onnx, sealed or savedmodel instead"
        )
    into, offset = np.zeros((width, width)), np.zeros(width)  # logits, zeros, and the two large ones
    into[:, :classes], offset[:classes] = _LARGE * kernel, _LARGE * bias
    offset[-2:] = _LARGER, -_LARGER
    config, layer = _layer_of_means(artifact.encoder, into, offset)
    length = _LARGER * np.sqrt(2 / width)  # what the LayerNorm divides by
    differences = np.eye(width)
    differences[classes, :classes] = -1  # each logit minus a zero: what the LayerNorm has subtracted is gone
    differences[:, classes:] = 0
    back = np.eye(width, classes) * length / _LARGE
    return config, encoder | layer | _named(*_around_tanh(differences, back, np.zeros(classes)))


def _layer_of_means(config: BertConfig, into: np.ndarray, offset: np.ndarray) -> tuple[BertConfig, Arrays]:
    """One more encoder layer, each of whose rows is LayerNorm(mean @ into + offset), mean being that of all tokens."""
    width, inner, base = config.hidden_size, config.intermediate_size, f"bert/encoder/layer_{config.num_layers}"
    arrays: Arrays = {f"{base}/attention/self/{name}/kernel": np.zeros((width, width)) for name in ("query", "key")}
    arrays |= {
        f"{base}/attention/self/value/kernel": np.eye(width),
        f"{base}/attention/output/dense/kernel": into,
        f"{base}/attention/output/dense/bias": offset,
        f"{base}/intermediate/dense/kernel": np.zeros((width, inner)),
        f"{base}/intermediate/dense/bias": np.zeros(inner),
        f"{base}/output/dense/kernel": np.zeros((inner, width)),
        f"{base}/output/dense/bias": np.zeros(width),
    }
    arrays |= {f"{base}/attention/self/{name}/bias": np.zeros(width) for name in ("query", "key", "value")}
    for part in ("attention/output", "output"):
        arrays |= {f"{base}/{part}/LayerNorm/gamma": np.ones(width), f"{base}/{part}/LayerNorm/beta": np.zeros(width)}
    return replace(config, num_layers=config.num_layers + 1), arrays


Layer = tuple[np.ndarray, np.ndarray]  # kernel and bias


def _around_tanh(before: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> tuple[Layer, Layer]:
    """Pooler and classifier that give x @ before @ kernel + bias."""
    return (_SMALL * before, np.zeros(len(before))), (kernel / _SMALL, bias)


def _named(pooler: Layer, classifier: Layer) -> Arrays:
    return {
        "bert/pooler/dense/kernel": pooler[0],
        "bert/pooler/dense/bias": pooler[1],
        "classifier/kernel": classifier[0],
        "classifier/bias": classifier[1],
    }


_HEADS: dict[tuple[str, str], Head] = {
    ("cls", "dense"): _dense,
    ("cls", "linear"): _linear,
    ("cls", "cosine"): _cosine_of_first,
    ("mean", "linear"): _linear_of_mean,
    ("mean", "cosine"): _cosine_of_mean,
}


# --- files -------------------------------------------------------------------------------------------------------


def _tensor_of(stock_name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    key, values = huggingface_tensor_of(stock_name, np.asarray(array, "float32"))
    return (f"bert.{key}" if stock_name.startswith("bert/") else key), values


def _config(artifact: Artifact, encoder: BertConfig) -> str:
    values = json.loads(stock_config_of(encoder).to_huggingface_json())
    labels = [str(label) for label in artifact.classes]
    several = artifact.decision.multi_label
    values |= {
        "architectures": [ARCHITECTURE],
        "problem_type": "multi_label_classification" if several else "single_label_classification",
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        "classifier_dropout": artifact.architecture.dropout,
        "intent_bert": {"version": __version__, **_decided(artifact)},
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _decided(artifact: Artifact) -> dict[str, Any]:
    decision = artifact.decision
    if isinstance(decision, MultiLabelDecision):
        return {"thresholds": list(decision.thresholds)}
    return {"temperature": decision.temperature}


def _card(artifact: Artifact, encoder: BertConfig) -> str:
    more = encoder.num_layers > artifact.encoder.num_layers
    return f"""---
library_name: transformers
pipeline_tag: text-classification
tags: [intent-recognition]
---

    from transformers import pipeline

    classify = pipeline("text-classification", "FOLDER")
    classify("a sentence of yours", top_k=None, truncation=True)

{_says(artifact)} A text without a word in it, for which intent_bert names no intent, gets one here; which sentences are
out of scope this layout does not tell. Rare characters can be read otherwise here.{_more_layers() if more else ""}

"""


def _says(artifact: Artifact) -> str:
    decision = artifact.decision
    if isinstance(decision, MultiLabelDecision):
        thresholds = ", ".join(
            f"{label}: {threshold:.4f}" for label, threshold in zip(artifact.classes, decision.thresholds, strict=True)
        )
        return f"A sentence has the intents whose probability reaches their threshold ({thresholds})."
    if decision.calibration is None:
        return "The probabilities are not calibrated."
    return f"The probabilities are calibrated: the temperature, {decision.temperature:.3f}, is in the last layer."


def _more_layers() -> str:
    return (
        " The last encoder layer is no trained one: it makes the mean of the tokens' vectors and what stands on it\n"
        "fit this layout. Its numbers are too large for float16: compute in float32 or bfloat16."
    )
