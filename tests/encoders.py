"""What the tests of the encoder share: one unlike all defaults, one loaded from a folder, and BERT in numpy."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from conftest import TINY_CONFIG

from intent_bert.bert.checkpoint import load_stock_weights
from intent_bert.bert.config import BertConfig, params_from_pretrained_ckpt
from intent_bert.bert.encoder import BertModelLayer

Array = np.ndarray
UNLIKE_DEFAULTS = BertConfig(
    vocab_size=50,
    hidden_size=12,
    num_layers=2,
    num_heads=3,
    intermediate_size=20,
    gelu_approximate=False,
    hidden_dropout=0.2,
    attention_dropout=0.3,
    max_position_embeddings=16,
    token_type_vocab_size=3,
    initializer_range=0.3,
    layer_norm_epsilon=1e-3,
    adapter_size=5,
    adapter_activation="tanh",
    adapter_init_scale=0.4,
    out_layer_ndxs=[-1, 0],
)


def as_numpy(tensor: Any) -> Array:
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def load(folder: Path, dtype: str = "float32", first_only: bool = False, **changes: Any) -> BertModelLayer:
    """The encoder of a checkpoint folder with its weights."""
    params = params_from_pretrained_ckpt(folder)
    params = BertConfig.from_dict(params.to_dict() | changes)
    bert = BertModelLayer.from_params(params, name="bert", dtype=dtype, first_only=first_only)
    bert.build((None, None))
    load_stock_weights(bert, folder)
    return bert


def numpy_encoder(weights: dict[str, Array], ids: Array, types: Array, mask: Array) -> list[Array]:
    """BERT as the papers write it, from weights under Google's names; the output of every layer."""
    heads, layers = TINY_CONFIG["num_attention_heads"], TINY_CONFIG["num_hidden_layers"]
    weights = {name: value.astype("float64") for name, value in weights.items()}

    def dense(x: Array, name: str) -> Array:
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    def normalise(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / spread * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    def gelu(x: Array) -> Array:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    tables = "bert/embeddings/"
    x = weights[tables + "word_embeddings"][ids] + weights[tables + "token_type_embeddings"][types]
    x = normalise(x + weights[tables + "position_embeddings"][: ids.shape[1]], tables + "LayerNorm")
    outputs = []
    for index in range(layers):
        base = f"bert/encoder/layer_{index}"
        query, key, value = (
            np.stack(np.split(dense(x, f"{base}/attention/self/{name}"), heads, axis=-1), axis=1)  # (B, N, T, D)
            for name in ("query", "key", "value")
        )
        scores = np.einsum("bnqd,bnkd->bnqk", query, key) / math.sqrt(query.shape[-1])
        scores = np.where(mask[:, None, None, :] != 0, scores, -np.inf)
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        context = np.einsum("bnqk,bnkd->bnqd", powers / powers.sum(-1, keepdims=True), value)
        context = np.concatenate([context[:, head] for head in range(heads)], axis=-1)
        attended = dense(context, f"{base}/attention/output/dense")
        x = normalise(attended + x, f"{base}/attention/output/LayerNorm")
        inner = gelu(dense(x, f"{base}/intermediate/dense"))
        x = normalise(dense(inner, f"{base}/output/dense") + x, f"{base}/output/LayerNorm")
        outputs.append(x)
    return outputs
