"""The layers that a BERT encoder is made of, written in ``keras.ops``.

Follows Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers" (arXiv:1810.04805), in the form of
Google's ``modeling.py``; the adapters follow Houlsby et al. (arXiv:1902.00751); names follow bert-for-tf2.

Dimensions, here and in every comment below:

    B  sentences in the batch        H  hidden_size
    T  tokens in the longest one     N  num_heads, D = H / N
    I  intermediate_size             V  vocab_size

    words            [CLS]  play   our    song   [SEP]  [PAD]
    input_ids        101    2377   2256   2299   102    0         (B, T) int32
    token_type_ids   0      0      0      0      0      0         (B, T) int32, segment 0 when left out
    padding_mask     1      1      1      1      1      0         (B, T), from input_ids != 0 when left out

The whole encoder is encoder.py, TensorFlow's shortcuts are in backend.py, and checkpoints are read in checkpoint.py.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import keras
from keras import ops

from intent_bert.bert.backend import dropout, rows_of
from intent_bert.bert.config import BertConfig
from intent_bert.bert.gradients import add_and_normalise, gelu_erf, gelu_tanh

PACKAGE = "intent_bert"
MASKED_SCORE = -1e4  # added to the attention score of a padded token: its probability is 0 in every dtype

Kernels: TypeAlias = Mapping[str, Any]  # path of a dense layer's kernel -> that kernel in the layer's compute_dtype


def attention_bias_of(padding_mask: Any) -> Any:
    """What is added to attention scores: bool (B, T), true where there is a token -> float32 (B, 1, 1, T)."""
    bias = ops.where(padding_mask, 0.0, MASKED_SCORE)
    return ops.expand_dims(ops.expand_dims(bias, 1), 1)  # not [:, None, None]: LiteRT has no such slice


def get_activation(name: str, gelu_approximate: bool) -> Any:
    if name == "gelu":
        return gelu_tanh if gelu_approximate else gelu_erf
    return keras.activations.get(name)


@keras.saving.register_keras_serializable(PACKAGE)
class BertDense(keras.layers.Dense):
    """A dense layer that takes and gives float32; its product alone is computed in the policy's ``compute_dtype``."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, autocast=False, **kwargs)

    def cast_kernel(self) -> Any:
        """The kernel in ``compute_dtype``, (in, out)."""
        return ops.cast(self.kernel, self.compute_dtype)

    def call(self, inputs: Any, training: bool | None = None, kernels: Kernels | None = None) -> Any:
        kernel = self.cast_kernel() if kernels is None else kernels[self.kernel.path]
        product = ops.matmul(ops.cast(inputs, self.compute_dtype), kernel)
        return self.activation(ops.add(ops.cast(product, "float32"), self.bias))


@keras.saving.register_keras_serializable(PACKAGE)
class BertDropout(keras.layers.Dropout):
    """Keras' dropout with random numbers that cost less; see ``backend.dropout``."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return dropout(inputs, self.rate, self.seed_generator) if training and self.rate > 0 else inputs


@keras.saving.register_keras_serializable(PACKAGE)
class BertLayerNorm(keras.layers.LayerNormalization):
    """LayerNorm of a sum: (..., H) and a residual of the same shape, or spread to it -> float32 (..., H)."""

    def call(self, x: Any, residual: Any) -> Any:
        return add_and_normalise(x, residual, self.gamma, self.beta, self.epsilon)

    def compute_output_shape(self, x_shape: Any, residual_shape: Any) -> Any:
        return x_shape


class BertPart(keras.layers.Layer):
    """A layer made from a BertConfig; it is rebuilt from nothing else. All but the products of BertDense is float32."""

    def __init__(self, config: BertConfig | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.config = BertConfig.from_dict(config) if isinstance(config, dict) else config
        self.config.validate()
        self.supports_masking = True

    def dense(self, units: int, name: str, stddev: float | None = None, **kwargs: Any) -> keras.layers.Dense:
        initializer = keras.initializers.TruncatedNormal(stddev=stddev or self.config.initializer_range)
        return BertDense(units, kernel_initializer=initializer, dtype=self.dtype_policy, name=name, **kwargs)

    def layer_norm(self) -> keras.layers.LayerNormalization:
        return BertLayerNorm(epsilon=self.config.layer_norm_epsilon, dtype="float32", name="LayerNorm")

    def dropout(self, rate: float) -> keras.layers.Dropout:
        return BertDropout(rate, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "config": self.config.to_dict()}


@keras.saving.register_keras_serializable(PACKAGE)
class BertEmbeddings(BertPart):
    """Word, segment and position embeddings, summed and normalised: ids (B, T) -> (B, T, H)."""

    def __init__(self, config: BertConfig | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.normalise, self.drop = self.layer_norm(), self.dropout(self.config.hidden_dropout)

    def build(self, input_shape: Any = None) -> None:
        c = self.config
        tables = {
            "word_embeddings": c.vocab_size,  # (V, H)
            "token_type_embeddings": c.token_type_vocab_size,  # (2, H)
            "position_embeddings": c.max_position_embeddings,  # (512, H)
        }
        initializer = keras.initializers.TruncatedNormal(stddev=c.initializer_range)
        for name, rows in tables.items():
            setattr(self, name, self.add_weight((rows, c.hidden_size), initializer, name=name, autocast=False))
        self.normalise.build((None, None, c.hidden_size))

    def call(self, input_ids: Any, token_type_ids: Any = None, training: bool | None = None) -> Any:
        words = rows_of(self.word_embeddings, input_ids)  # (B, T, H)
        if token_type_ids is None:
            segments = self.token_type_embeddings[0]  # (H,): every stock checkpoint was trained with a segment
        else:
            segments = ops.take(self.token_type_embeddings, token_type_ids, axis=0)  # (B, T, H)
        size = (ops.shape(input_ids)[1], self.config.hidden_size)
        table = ops.convert_to_tensor(self.position_embeddings)
        positions = ops.slice(table, (0, 0), size)  # (T, H); refused by TensorFlow where T > 512
        return self.drop(self.normalise(words, positions + segments), training=training)


@keras.saving.register_keras_serializable(PACKAGE)
class BertSelfAttention(BertPart):
    """Scaled dot-product attention of N heads: (B, T, H) -> (B, T, H), before the output projection.

    With ``first_only`` the answer is that of the first token, (B, 1, H), for which only one query is asked.
    """

    def __init__(self, config: BertConfig | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        width = self.config.hidden_size
        self.query, self.key, self.value = (self.dense(width, name) for name in ("query", "key", "value"))
        self.drop = self.dropout(self.config.attention_dropout)

    def build(self, input_shape: Any) -> None:
        for projection in (self.query, self.key, self.value):
            projection.build(input_shape)

    def call(
        self,
        x: Any,
        attention_bias: Any,
        first_only: bool = False,
        training: bool | None = None,
        kernels: Kernels | None = None,
    ) -> Any:
        heads, size = self.config.num_heads, self.config.hidden_size // self.config.num_heads
        batch, length = ops.shape(x)[0], ops.shape(x)[1]
        asked = 1 if first_only else length
        rows = ops.reshape(x, (-1, heads * size))  # a product of two dimensions takes the bias with it

        def split(projected: Any, length: Any, axes: tuple[int, ...]) -> Any:
            return ops.transpose(ops.reshape(projected, (batch, length, heads, size)), axes)

        query = split(self.query(x[:, 0] if first_only else rows, kernels=kernels), asked, (0, 2, 1, 3))  # (B, N, T, D)
        key = split(self.key(rows, kernels=kernels), length, (0, 2, 3, 1))  # (B, N, D, T)
        value = split(self.value(rows, kernels=kernels), length, (0, 2, 1, 3))  # (B, N, T, D)
        scores = ops.matmul(query, key) * (1 / math.sqrt(size)) + attention_bias  # (B, N, T, T)
        probabilities = self.drop(ops.softmax(scores, axis=-1), training=training)
        context = ops.matmul(probabilities, value)  # (B, N, T, D)
        return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (batch, asked, heads * size))


@keras.saving.register_keras_serializable(PACKAGE)
class BertProjection(BertPart):
    """Dense, dropout, adapter if any, then add and normalise: (B, T, any) and residual (B, T, H) -> (B, T, H)."""

    def __init__(self, config: BertConfig | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        c = self.config
        self.project = self.dense(c.hidden_size, "dense")
        self.drop, self.normalise = self.dropout(c.hidden_dropout), self.layer_norm()
        self.adapter_down: Any = None
        self.adapter_up: Any = None
        if c.adapter_size is not None:
            activation = get_activation(c.adapter_activation, c.gelu_approximate)
            self.adapter_down = self.dense(c.adapter_size, "adapter-down", c.adapter_init_scale, activation=activation)
            self.adapter_up = self.dense(c.hidden_size, "adapter-up", c.adapter_init_scale)

    def build(self, input_shape: Any, *_: Any) -> None:
        hidden = (None, None, self.config.hidden_size)
        self.project.build(input_shape)
        self.normalise.build(hidden)
        if self.adapter_down is not None:
            self.adapter_down.build(hidden)
            self.adapter_up.build((None, None, self.config.adapter_size))

    def call(self, x: Any, residual: Any, training: bool | None = None, kernels: Kernels | None = None) -> Any:
        x = self.drop(self.project(x, kernels=kernels), training=training)
        if self.adapter_down is not None:
            x = x + self.adapter_up(self.adapter_down(x, kernels=kernels), kernels=kernels)
        return self.normalise(x, residual)


@keras.saving.register_keras_serializable(PACKAGE)
class BertEncoderLayer(BertPart):
    """One transformer layer, normalised after each half: (B, T, H) -> (B, T, H).

    With ``first_only`` it computes the first token alone, (B, 1, H): all that is left to do once nothing above reads
    the others.
    """

    def __init__(self, config: BertConfig | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        c = self.config
        activation = get_activation(c.intermediate_activation, c.gelu_approximate)
        self.attention = BertSelfAttention(c, dtype=self.dtype_policy, name="attention")
        self.attention_output = BertProjection(c, dtype=self.dtype_policy, name="attention_output")
        self.intermediate = self.dense(c.intermediate_size, "intermediate", activation=activation)
        self.output_projection = BertProjection(c, dtype=self.dtype_policy, name="output")

    def build(self, input_shape: Any) -> None:
        self.attention.build(input_shape)
        self.attention_output.build(input_shape)
        self.intermediate.build(input_shape)
        self.output_projection.build((*input_shape[:-1], self.config.intermediate_size))

    def call(
        self,
        x: Any,
        attention_bias: Any,
        first_only: bool = False,
        training: bool | None = None,
        kernels: Kernels | None = None,
    ) -> Any:
        attended = self.attention(x, attention_bias, first_only=first_only, training=training, kernels=kernels)
        width = self.config.hidden_size
        rows = ops.reshape(attended, (-1, width))  # (B * T, H)
        residual = x[:, 0] if first_only else ops.reshape(x, (-1, width))
        rows = self.attention_output(rows, residual, training=training, kernels=kernels)
        inner = self.intermediate(rows, kernels=kernels)  # (B * T, I)
        rows = self.output_projection(inner, rows, training=training, kernels=kernels)  # (B * T, H)
        return ops.reshape(rows, ops.shape(attended))
