"""The BERT encoder as one Keras layer: ids in, hidden states out.

    input_ids (B, T) -> embed -> (B, T, H) -> encode, layer after layer -> (B, T, H)

The layers inside and the letters of the dimensions are in layers.py. What it does not do: read checkpoints
(checkpoint.py), pool, or know of intents.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from intent_bert.bert.backend import refuse_after_fork
from intent_bert.bert.config import BertConfig
from intent_bert.bert.layers import PACKAGE, BertEmbeddings, BertEncoderLayer, BertPart, Kernels, attention_bias_of
from intent_bert.errors import SettingsError


@keras.saving.register_keras_serializable(PACKAGE)
class BertModelLayer(BertPart):
    """A BERT encoder: ``input_ids`` (B, T) -> hidden states (B, T, H).

    Called with ``input_ids``, or with ``[input_ids, token_type_ids]``; a ``mask`` (B, T), true where there is a
    token, wins over the one made from ``input_ids != 0``. Any T up to ``max_position_embeddings``; padding is
    masked, so it changes nothing. With ``config.out_layer_ndxs`` the answer is a list of hidden states, one for
    each index.

    Args:
        config: a ``BertConfig``, as ``params_from_pretrained_ckpt(folder)`` gives it.
        train_layers: only this many of the last layers learn (0 to ``num_layers``); the embeddings and the layers below
            are frozen: no gradient, and no dropout either. None: everything learns.
        first_only: the last layer computes the first token, [CLS], alone: (B, 1, H), the same numbers for less work.
            ``config.out_layer_ndxs`` asks for whole layers and wins.

    Raises:
        SettingsError: more tokens than ``max_position_embeddings`` (checked on building and where the length is
            known when called; a graph that learns it only when it runs raises TensorFlow's InvalidArgumentError).

    >>> bert = BertModelLayer.from_params(params_from_pretrained_ckpt(folder), name="bert")
    >>> bert(numpy.array([[101, 2377, 102, 0]], "int32")).shape
    TensorShape([1, 4, 384])
    """

    def __init__(
        self,
        config: BertConfig | dict[str, Any],
        adapter_freeze: bool = False,
        train_layers: int | None = None,
        first_only: bool = False,
        **kwargs: Any,
    ) -> None:
        refuse_after_fork()
        super().__init__(config, **kwargs)
        c = self.config
        self.adapter_freeze = adapter_freeze  # so that a saved model comes back as frozen as it was
        if train_layers is not None and not 0 <= train_layers <= c.num_layers:
            raise SettingsError(f"train_layers must be 0 to {c.num_layers} for this encoder, not {train_layers}")
        self.train_layers, self.first_only = train_layers, first_only
        self.frozen_layers = 0 if train_layers is None else c.num_layers - train_layers
        self.embeddings = BertEmbeddings(c, dtype=self.dtype_policy, name="embeddings")
        self.encoder_layers = [
            BertEncoderLayer(c, dtype=self.dtype_policy, name=f"layer_{index}") for index in range(c.num_layers)
        ]

    @classmethod
    def from_params(cls, params: BertConfig, **kwargs: Any) -> "BertModelLayer":
        """The layer these parameters describe (bert-for-tf2's way to make one)."""
        return cls(BertConfig.from_dict(params.to_dict()), **kwargs)

    def build(self, input_shape: Any) -> None:
        ids_shape = input_shape[0] if _is_pair(input_shape) else input_shape
        self._check_length(ids_shape[-1])
        hidden = (*ids_shape, self.config.hidden_size)
        self.embeddings.build(ids_shape)
        for layer in self.encoder_layers:
            layer.build(hidden)
        if self.adapter_freeze:
            self.apply_adapter_freeze()
        if self.train_layers is not None:
            for part in (self.embeddings, *self.encoder_layers[: self.frozen_layers]):
                part.trainable = False

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        x, attention_bias = self.embed(inputs, mask, training)
        return self.result_of(self.encode(x, attention_bias, training))

    def embed(self, inputs: Any, mask: Any = None, training: bool | None = None) -> tuple[Any, Any]:
        """What ``call`` takes -> what ``encode`` takes: embeddings (B, T, H) and attention bias (B, 1, 1, T)."""
        input_ids, token_type_ids = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
        self._check_length(input_ids.shape[1])
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        padding_mask = ops.not_equal(input_ids, 0) if mask is None else ops.cast(mask, "bool")  # (B, T)
        x = self.embeddings(input_ids, token_type_ids, training=training if self.train_layers is None else False)
        return x, attention_bias_of(padding_mask)

    def encode(
        self, x: Any, attention_bias: Any, training: bool | None = None, kernels: Kernels | None = None
    ) -> list[Any]:
        """The states that are asked for, float32 (B, T, H) each; ``kernels`` saves casting those that it holds."""
        outputs = []
        for index, layer in enumerate(self.encoder_layers):
            x = layer(
                x,
                attention_bias,
                first_only=self.is_cut_to_first(index),
                training=training if index >= self.frozen_layers else False,
                kernels=kernels,
            )
            outputs.append(x)
        indexes = self.config.out_layer_ndxs
        return [outputs[index] for index in ([-1] if indexes is None else indexes)]

    def result_of(self, states: Sequence[Any]) -> Any:
        """What ``call`` gives, from what ``encode`` gave: in ``compute_dtype``; a list where several are asked for."""
        states = [ops.cast(each, self.compute_dtype) for each in states]
        return states[0] if self.config.out_layer_ndxs is None else states

    def is_cut_to_first(self, index: int) -> bool:
        """Whether this layer computes the first token alone."""
        return self.first_only and self.config.out_layer_ndxs is None and index == self.config.num_layers - 1

    def compute_output_shape(self, input_shape: Any) -> Any:
        ids_shape = input_shape[0] if _is_pair(input_shape) else input_shape
        hidden = (*ids_shape, self.config.hidden_size)
        if self.is_cut_to_first(self.config.num_layers - 1):
            return _first(hidden)
        indexes = self.config.out_layer_ndxs
        return hidden if indexes is None else [hidden for _ in indexes]

    def apply_adapter_freeze(self) -> None:
        """Leave only the adapters and the LayerNorms trainable, as bert-for-tf2 does; nothing without adapters."""
        if self.config.adapter_size is None:
            return
        self.adapter_freeze = True
        for name in ("word_embeddings", "token_type_embeddings", "position_embeddings"):
            getattr(self.embeddings, name).trainable = False
        for layer in self.encoder_layers:
            frozen = (layer.attention, layer.attention_output.project, layer.intermediate)
            for part in (*frozen, layer.output_projection.project):
                part.trainable = False

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("adapter_freeze", "train_layers", "first_only")}
        return {**super().get_config(), **own}

    def _check_length(self, length: int | None) -> None:
        limit = self.config.max_position_embeddings
        if length is not None and length > limit:
            raise SettingsError(f"{length} tokens are too many: this checkpoint has {limit} positions")


def _is_pair(input_shape: Sequence) -> bool:
    """Whether this is the shape of [input_ids, token_type_ids] rather than of input_ids."""
    return len(input_shape) > 0 and isinstance(input_shape[0], (list, tuple))


def _first(shape: Sequence) -> tuple:
    """(B, T, H) -> (B, 1, H)."""
    return (shape[0], 1, shape[2])
