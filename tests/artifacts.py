"""Trained models for the tests, made without training."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from intent_bert.bert.config import params_from_pretrained_ckpt
from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.config import Architecture
from intent_bert.model.network import build_model
from intent_bert.model.saved import Artifact


def artifact_of(
    checkpoint: Path,
    classes: list[Any],
    pooling: str = "cls",
    adapter_size: int | None = None,
    precision: str = "float32",
    dropout: float = 0.5,
    head: str = "dense",
    train_layers: str | int = "all",
) -> Artifact:
    """A model with random weights in its head: what it answers does not matter, only that it answers the same."""
    keras.utils.set_random_seed(0)
    architecture = Architecture(pooling, head, dropout, max_seq_len=24, adapter_size=adapter_size)
    encoder = params_from_pretrained_ckpt(checkpoint)
    model = build_model(encoder, len(classes), architecture, train_layers, precision)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(np.random.default_rng(len(weight.path)).normal(0, 0.2, weight.shape))
    settings = {"seed": 7, "data": "é"}
    tokenizer = FullTokenizer(checkpoint / "vocab.txt")
    return Artifact.trained(model, tokenizer, classes, architecture, settings)
