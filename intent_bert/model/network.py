"""The classifier: a BERT encoder, a head, and the intents' logits.

    input_ids (B, T) -> BertModelLayer (B, T, H) -> vector (B, F) -> head -> logits (B, C) -> softmax, or sigmoids

    head     dense    pooling (B, H) -> dropout -> dense tanh -> dropout -> logits
             linear   pooling (B, H) -> dropout -> logits
             cosine   pooling (B, H) -> dropout -> cosines with each intent's direction, scaled: logits
             rnn      bidirectional LSTM over the tokens (B, 2 * RNN_UNITS) -> dropout -> logits

B sentences, T tokens, H hidden_size, C intents. ``create_model`` ends in the softmax, as the tutorial has it: train
that model with ``SparseCategoricalCrossentropy()`` as it is, Keras finds the softmax and computes the loss from what
went into it. ``logits_model`` and ``outputs_model`` reach what lies beneath. What logits mean is decision.py's
business; nothing here reads tables or trains.
"""

from collections.abc import Sequence, Sized
from numbers import Integral
from os import PathLike

import keras
import numpy as np
from keras import ops

from intent_bert.bert.checkpoint import check_checkpoint_folder, load_stock_weights
from intent_bert.bert.config import BertConfig, params_from_pretrained_ckpt, resolved_max_seq_len
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.pretrained import resolve
from intent_bert.config import Architecture, trained_layers
from intent_bert.data.labels import Label
from intent_bert.errors import SettingsError
from intent_bert.model.cosine import CosineLogits
from intent_bert.model.pooling import TokenPooling

RNN_UNITS = 128  # in each direction
LOGITS, PROBABILITIES = "logits", "intent"  # the last two layers
_LAST_FOUR = [-4, -3, -2, -1]


def create_model(
    max_seq_len: int,
    bert_ckpt_file: str | PathLike,
    classes: Sequence[Label] | int,
    *,
    pooling: str = Architecture.pooling,
    dropout: float = Architecture.dropout,
    head: str = Architecture.head,
    train_layers: str | int = "all",
    adapter_size: int | None = Architecture.adapter_size,
    dtype: str | None = None,
    multi_label: bool = Architecture.multi_label,
) -> keras.Model:
    """A classifier with pretrained weights in its encoder, ready to be compiled and trained.

    Args:
        max_seq_len: the longest sentence it must take, in tokens; any shorter one is taken as well.
        bert_ckpt_file: a known name ("all-MiniLM-L6-v2"), a checkpoint folder in Google's or Hugging Face's layout,
            or a prefix (".../bert_model.ckpt").
        classes: the intents, or how many there are.
        pooling: how hidden states become one vector; see ``TokenPooling``.
        dropout: the rate before and after the dense layer.
        head: "dense" (the tutorial's), "linear" (a softmax over the pooled vector and nothing between), or "rnn" (a
            bidirectional LSTM over the vectors of all tokens; pooling has no part in it).
        train_layers: what learns beside the head: "all", the last N encoder layers, or "head" for none of them. Frozen
            layers have no dropout.
        adapter_size: adds Houlsby adapters of this width and freezes the rest of the encoder.
        dtype: a Keras dtype policy such as "mixed_bfloat16"; logits and softmax stay float32.
        multi_label: a sentence may have several intents, or none: each has a probability of its own (a sigmoid). Train
            with ``BinaryCrossentropy()`` on targets of 0 and 1, float32 (B, C).

    Returns:
        A ``keras.Model``: input "input_ids" int32 (B, T), output probabilities float32 (B, C).

    Raises:
        SettingsError: an unknown checkpoint, pooling or head, ``max_seq_len`` over the checkpoint's positions, more
            ``train_layers`` than it has, or adapters wider than its feed-forward layers.
        CheckpointError: the checkpoint is not whole or does not fit its config.
    """
    folder = check_checkpoint_folder(resolve(bert_ckpt_file))
    architecture = Architecture(pooling, head, dropout, max_seq_len, adapter_size, multi_label)
    return pretrained_model(folder, params_from_pretrained_ckpt(folder), classes, architecture, train_layers, dtype)


def pretrained_model(
    folder: str | PathLike,
    config: BertConfig,
    classes: Sequence[Label] | int,
    architecture: Architecture,
    train_layers: str | int = "all",
    dtype: str | None = None,
) -> keras.Model:
    """``create_model`` for a checkpoint folder that is known to be whole, and its config."""
    size, most = architecture.adapter_size, config.intermediate_size
    if size is not None and size > most:
        raise SettingsError(
            f"adapter_size must be at most {most}, the width of this checkpoint's feed-forward layers, not {size}"
        )
    if architecture.max_seq_len is not None:
        resolved_max_seq_len(architecture.max_seq_len, architecture.max_seq_len, config.max_position_embeddings)
    if isinstance(classes, str) or not isinstance(classes, Integral | Sized):
        raise SettingsError(f"classes must be the intents or their number, not {classes!r}")
    number = int(classes) if isinstance(classes, Integral) else len(classes)
    model = build_model(config, number, architecture, train_layers, dtype)
    load_stock_weights(model.get_layer("bert"), folder)
    return model


def build_model(
    config: BertConfig,
    number_of_classes: int,
    architecture: Architecture,
    train_layers: str | int = "all",
    dtype: str | None = None,
) -> keras.Model:
    """The same model from the encoder's config alone, with random weights."""
    if number_of_classes < 2:
        raise SettingsError(f"a classifier needs at least two intents, not {number_of_classes}")
    pooling, head = architecture.pooling, architecture.head
    input_ids = keras.Input((None,), dtype="int32", name="input_ids")  # (B, T)
    bert = BertModelLayer.from_params(
        _encoder_config(config, architecture),
        name="bert",
        train_layers=trained_layers(train_layers),
        first_only=pooling == "cls" and head != "rnn",
        dtype=dtype,
    )
    hidden_states = bert(input_ids)  # (B, T, H), or (B, 1, H) where nothing reads more
    bert.apply_adapter_freeze()
    if head == "rnn":
        rnn = keras.layers.Bidirectional(keras.layers.LSTM(RNN_UNITS, dtype=dtype), name="rnn", dtype=dtype)
        x = rnn(hidden_states, mask=ops.not_equal(input_ids, 0))  # (B, 2 * RNN_UNITS)
    else:
        x = TokenPooling(pooling, name="pooling", dtype=dtype)(hidden_states, input_ids)  # (B, H)
    x = keras.layers.Dropout(architecture.dropout, name="dropout", dtype=dtype)(x)
    if head == "dense":
        x = keras.layers.Dense(config.hidden_size, activation="tanh", name="dense", dtype=dtype)(x)
        x = keras.layers.Dropout(architecture.dropout, name="dropout_2", dtype=dtype)(x)
    to_logits = CosineLogits if head == "cosine" else keras.layers.Dense
    x = to_logits(number_of_classes, name=LOGITS, dtype="float32")(x)  # (B, C)
    if architecture.multi_label:
        probabilities = keras.layers.Activation("sigmoid", name=PROBABILITIES, dtype="float32")(x)
    else:
        probabilities = keras.layers.Softmax(name=PROBABILITIES, dtype="float32")(x)
    return keras.Model(input_ids, probabilities, name="intent_classifier")


def _encoder_config(config: BertConfig, architecture: Architecture) -> BertConfig:
    """The encoder's config with the adapters and outputs that the architecture asks for."""
    last_four = architecture.pooling.endswith("last_four")
    if last_four and config.num_layers < 4:
        raise SettingsError(
            f"pooling {architecture.pooling!r} needs four layers, the checkpoint has {config.num_layers}"
        )
    outputs = _LAST_FOUR if last_four else None
    changed = {"adapter_size": architecture.adapter_size, "out_layer_ndxs": outputs}
    return BertConfig.from_dict({**config.to_dict(), **changed})


def start_at_priors(model: keras.Model, shares: np.ndarray) -> None:
    """Let a multi-label model begin with each intent's share of the sentences, (C,), as its probability.

    From zero, the first steps would only teach that most intents are rare.
    """
    logits = np.log(shares) - np.log1p(-shares)
    model.get_layer(LOGITS).bias.assign(logits.astype("float32"))


def logits_model(model: keras.Model) -> keras.Model:
    """The same layers without the softmax or the sigmoids: inputs -> logits float32 (B, C)."""
    return keras.Model(model.inputs, model.get_layer(LOGITS).output, name="logits")


def lower_layers(states: list) -> list:
    """Of the embeddings and the states of L layers those behind layer L // 3 and layer L - 1."""
    last = len(states) - 1
    return [states[last // 3], states[last - 1]]


def outputs_model(model: keras.Model) -> keras.Model:
    """The same layers: input_ids (B, T) -> all that a prediction may read of a sentence, float32, by name.

    ``probabilities`` and ``logits`` (B, C), ``vector`` (B, F) beneath the head, and ``layers`` (B, 2H): the means over
    the tokens of two lower layers (``lower_layers``), side by side.
    """
    bert, (input_ids,) = model.get_layer("bert"), model.inputs
    vector = model.get_layer("rnn" if "rnn" in [layer.name for layer in model.layers] else "pooling").output
    states = bert.output if isinstance(bert.output, list) else [bert.output]
    head = keras.Model([*states, input_ids], [model.output, model.get_layer(LOGITS).output, vector])
    x, attention_bias = bert.embed(input_ids)
    every = bert.encode_every_layer(x, attention_bias)
    asked = bert.result_of(bert.asked_for(every))
    probabilities, logits, vector = head([*(asked if isinstance(asked, list) else [asked]), input_ids])
    mean = TokenPooling("mean", dtype="float32")
    lower = [mean(ops.cast(state, "float32"), input_ids) for state in lower_layers([x, *every])]
    outputs = {
        "probabilities": probabilities,
        "logits": logits,
        "vector": ops.cast(vector, "float32"),
        "layers": ops.concatenate(lower, axis=-1),
    }
    return keras.Model(input_ids, outputs, name="outputs")
