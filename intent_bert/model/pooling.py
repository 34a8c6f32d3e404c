"""One vector a sentence from its hidden states, as a Keras layer.

B sentences, T tokens, H hidden_size.
"""

from typing import Any

import keras
from keras import ops

from intent_bert.bert.layers import PACKAGE
from intent_bert.config import check_pooling


@keras.saving.register_keras_serializable(PACKAGE)
class TokenPooling(keras.layers.Layer):
    """One vector a sentence from its hidden states; padding is left out.

    ``cls`` takes the [CLS] row, ``mean`` and ``max`` go over the tokens, ``sum_last_four``, ``mean_last_four`` and
    ``concat_last_four`` first add, average or join each token's vectors of the last four layers and then average over
    the tokens. Called with ``(hidden_states, input_ids)``, hidden_states being (B, T, H) or, for the last three, a
    list of four of them.
    """

    def __init__(self, pooling: str = "cls", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_pooling(pooling)
        self.pooling = pooling

    def build(self, *_: Any) -> None:
        self.built = True

    def call(self, hidden_states: Any, input_ids: Any) -> Any:
        if self.pooling == "cls":
            return hidden_states[:, 0, :]  # (B, H)
        if self.pooling in ("sum_last_four", "mean_last_four"):
            total = sum(hidden_states[1:], hidden_states[0])
            hidden_states = total / len(hidden_states) if self.pooling == "mean_last_four" else total
        elif self.pooling == "concat_last_four":
            hidden_states = ops.concatenate(hidden_states, axis=-1)  # (B, T, 4H)
        mask = ops.expand_dims(ops.cast(ops.not_equal(input_ids, 0), hidden_states.dtype), -1)  # (B, T, 1)
        if self.pooling == "max":
            return ops.max(hidden_states - (1 - mask) * 1e4, axis=1)
        return ops.sum(hidden_states * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1)

    def compute_output_shape(self, hidden_shape: Any, *_: Any) -> tuple:
        if self.pooling == "concat_last_four":
            return (hidden_shape[0][0], 4 * hidden_shape[0][-1])
        if self.pooling in ("sum_last_four", "mean_last_four"):
            hidden_shape = hidden_shape[0]
        return (hidden_shape[0], hidden_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling": self.pooling}
