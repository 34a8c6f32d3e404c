"""Logits as cosines: how near a sentence's vector is to one direction for each intent, as a Keras layer.

B sentences, F features of a vector, C intents.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from intent_bert.bert.layers import PACKAGE

SCALE = 20.0  # cosines of -1 to 1 become logits of -20 to 20
EPSILON = 1e-12  # of a squared length


@keras.saving.register_keras_serializable(PACKAGE)
class CosineLogits(keras.layers.Layer):
    """``SCALE`` times the cosine of a centred vector and each intent's direction: (B, F) -> (B, C).

    Centred means less the mean of its own features, as LayerNormalization has it. The directions are the columns of
    ``kernel``, whose length does not count. They can start at the mean vectors of the intents' sentences
    (``start_at``), as in prototypical networks (Snell et al. 2017, arXiv:1703.05175); a cosine with a scale in place of
    a free product follows Gidaris & Komodakis 2018 (arXiv:1804.09458).
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.units), initializer="glorot_uniform")

    def call(self, vectors: Any) -> Any:
        vectors = ops.cast(vectors, "float32")
        centred = vectors - ops.mean(vectors, axis=-1, keepdims=True)
        return SCALE * ops.matmul(_unit(centred, -1), _unit(self.kernel, 0))

    def start_at(self, vectors: np.ndarray, labels: np.ndarray) -> None:
        """Set each direction to the mean of the intent's unit vectors: vectors (N, F), labels int (N,)."""
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), EPSILON)
        sums = np.zeros((self.units, vectors.shape[1]), "float32")
        np.add.at(sums, labels, unit)
        self.kernel.assign((sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), EPSILON)).T)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def _unit(x: Any, axis: int) -> Any:
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), EPSILON))
