"""The BERT encoder as a Keras 3 layer, written in ``keras.ops``.

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

What it does not do: read checkpoints (checkpoint.py), pool, or know of intents.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
from keras import ops

from intent_bert.bert.config import BertConfig
from intent_bert.bert.gradients import add_and_normalise, gelu_erf, gelu_tanh
from intent_bert.errors import SettingsError

PACKAGE = "intent_bert"
MASKED_SCORE = -1e4  # added to the attention score of a padded token: its probability is 0 in every dtype


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
        self.cast_kernel: Any = None  # while the parts of a batch share it

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        kernel = ops.cast(self.kernel, self.compute_dtype) if self.cast_kernel is None else self.cast_kernel
        product = ops.matmul(ops.cast(inputs, self.compute_dtype), kernel)
        return self.activation(ops.add(ops.cast(product, "float32"), self.bias))


@keras.saving.register_keras_serializable(PACKAGE)
class BertDropout(keras.layers.Dropout):
    """Dropout at a rate rounded to a whole number of 65,536ths: of each random number two halves are taken.

    TensorFlow's generator is most of what dropout costs on a CPU. On other backends it is Keras' own.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        dropped = round(self.rate * 2**16)
        if not training or dropped in (0, 2**16) or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=bool(training))

        import tensorflow as tf

        size, seed = tf.size(inputs), tf.bitcast(tf.cast(self.seed_generator.next(), "uint32"), "int32")
        bits = tf.random.stateless_uniform([(size + 1) // 2], seed, None, None, "int32")
        halves = tf.reshape(tf.bitcast(bits, "int16"), [-1])[:size]  # from -32,768 to 32,767
        kept = tf.cast(tf.reshape(halves, tf.shape(inputs)) >= dropped - 2**15, inputs.dtype)
        return inputs * (kept * (2**16 / (2**16 - dropped)))


class _BertPart(keras.layers.Layer):
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
        return keras.layers.LayerNormalization(
            epsilon=self.config.layer_norm_epsilon, dtype="float32", name="LayerNorm"
        )

    def add_and_normalise(self, x: Any, residual: Any) -> Any:
        weights = self.normalise
        return add_and_normalise(x, residual, weights.gamma, weights.beta, self.config.layer_norm_epsilon)

    def dropout(self, rate: float) -> keras.layers.Dropout:
        return BertDropout(rate, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "config": self.config.to_dict()}


@keras.saving.register_keras_serializable(PACKAGE)
class BertEmbeddings(_BertPart):
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
            setattr(self, name, self.add_weight((rows, c.hidden_size), initializer, name=name))
        self.normalise.build((None, None, c.hidden_size))

    def call(self, input_ids: Any, token_type_ids: Any = None, training: bool | None = None) -> Any:
        words = _rows(self.word_embeddings, input_ids)  # (B, T, H)
        if token_type_ids is None:
            segments = self.token_type_embeddings[0]  # (H,): every stock checkpoint was trained with a segment
        else:
            segments = ops.take(self.token_type_embeddings, token_type_ids, axis=0)  # (B, T, H)
        size = (ops.shape(input_ids)[1], self.config.hidden_size)
        positions = ops.slice(self.position_embeddings, (0, 0), size)  # (T, H); refused by TensorFlow where T > 512
        return self.drop(self.add_and_normalise(words, positions + segments), training=training)


@keras.saving.register_keras_serializable(PACKAGE)
class BertSelfAttention(_BertPart):
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

    def call(self, x: Any, attention_bias: Any, first_only: bool = False, training: bool | None = None) -> Any:
        heads, size = self.config.num_heads, self.config.hidden_size // self.config.num_heads
        batch, length = ops.shape(x)[0], ops.shape(x)[1]
        asked = 1 if first_only else length
        rows = ops.reshape(x, (-1, heads * size))  # a product of two dimensions takes the bias with it

        def split(projected: Any, length: Any, axes: tuple[int, ...]) -> Any:
            return ops.transpose(ops.reshape(projected, (batch, length, heads, size)), axes)

        query = split(self.query(x[:, 0] if first_only else rows), asked, (0, 2, 1, 3))  # (B, N, T, D)
        key = split(self.key(rows), length, (0, 2, 3, 1))  # (B, N, D, T)
        value = split(self.value(rows), length, (0, 2, 1, 3))  # (B, N, T, D)
        scores = ops.matmul(query, key) * (1 / math.sqrt(size)) + attention_bias  # (B, N, T, T)
        probabilities = self.drop(ops.softmax(scores, axis=-1), training=training)
        context = ops.matmul(probabilities, value)  # (B, N, T, D)
        return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (batch, asked, heads * size))


@keras.saving.register_keras_serializable(PACKAGE)
class BertProjection(_BertPart):
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

    def call(self, x: Any, residual: Any, training: bool | None = None) -> Any:
        x = self.drop(self.project(x), training=training)
        if self.adapter_down is not None:
            x = x + self.adapter_up(self.adapter_down(x))
        return self.add_and_normalise(x, residual)


@keras.saving.register_keras_serializable(PACKAGE)
class BertEncoderLayer(_BertPart):
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

    def call(self, x: Any, attention_bias: Any, first_only: bool = False, training: bool | None = None) -> Any:
        attended = self.attention(x, attention_bias, first_only=first_only, training=training)
        width = self.config.hidden_size
        rows = ops.reshape(attended, (-1, width))  # (B * T, H)
        residual = x[:, 0] if first_only else ops.reshape(x, (-1, width))
        rows = self.attention_output(rows, residual, training=training)
        rows = self.output_projection(self.intermediate(rows), rows, training=training)  # (B * T, I) -> (B * T, H)
        return ops.reshape(rows, ops.shape(attended))


@keras.saving.register_keras_serializable(PACKAGE)
class BertModelLayer(_BertPart):
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
        super().__init__(config, **kwargs)
        c = self.config
        self.adapter_freeze = adapter_freeze  # so that a saved model comes back as frozen as it was
        if train_layers is not None and not 0 <= train_layers <= c.num_layers:
            raise SettingsError(f"train_layers must be 0 to {c.num_layers} for this encoder, not {train_layers}")
        self.train_layers, self.first_only = train_layers, first_only
        self.frozen_layers = 0 if train_layers is None else c.num_layers - train_layers
        self.parts = 1  # see encode_in_parts; not kept with the model
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
        input_ids, token_type_ids = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
        self._check_length(input_ids.shape[1])
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        padding_mask = ops.not_equal(input_ids, 0) if mask is None else ops.cast(mask, "bool")  # (B, T)
        x = self.embeddings(input_ids, token_type_ids, training=training if self.train_layers is None else False)
        attention_bias = attention_bias_of(padding_mask)
        parts = zip(_in_parts(x, self.parts), _in_parts(attention_bias, self.parts), strict=True)
        with self._kernels_cast_once():
            encode = partial(self._encode, training=training)
            if self.parts > 1:
                encode = self._traced(encode)
            encoded = [encode(*part) for part in parts]
        whole = [ops.cast(_joined(states), self.compute_dtype) for states in zip(*encoded, strict=True)]
        return whole[0] if self.config.out_layer_ndxs is None else whole

    @contextmanager
    def _kernels_cast_once(self) -> Iterator[None]:
        """Let all parts of a batch use one cast of each kernel; the gradients of the parts are added before theirs."""
        denses = [layer for layer in self._flatten_layers() if isinstance(layer, BertDense)] if self.parts > 1 else []
        for dense in denses:
            dense.cast_kernel = ops.cast(dense.kernel, dense.compute_dtype)
        try:
            yield
        finally:
            for dense in denses:
                dense.cast_kernel = None

    def _encode(self, x: Any, attention_bias: Any, training: bool | None) -> list[Any]:
        outputs = []
        for index, layer in enumerate(self.encoder_layers):
            learning = training if index >= self.frozen_layers else False
            x = layer(x, attention_bias, first_only=self.is_cut_to_first(index), training=learning)
            outputs.append(x)
        indexes = self.config.out_layer_ndxs
        return [outputs[index] for index in ([-1] if indexes is None else indexes)]

    def _traced(self, encode: Any) -> Any:
        """As a function that TensorFlow traces once for all parts: a second less until a training's first step."""
        import tensorflow as tf

        shapes = (None, None, self.config.hidden_size), (None, 1, 1, None)
        signature = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
        return tf.function(encode, input_signature=signature, autograph=False)

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


def _rows(table: keras.Variable, ids: Any) -> Any:
    """The rows of a table (V, H) with these numbers: ids (B, T) -> (B, T, H)."""
    if keras.backend.backend() != "tensorflow":
        return ops.take(table, ids, axis=0)
    import tensorflow as tf

    return tf.gather(table.value, ids)  # ops.take first reads, and may copy, the whole table


def _in_parts(x: Any, parts: int) -> list[Any]:
    """A batch cut into so many of about the same size."""
    if parts == 1:
        return [x]
    batch = ops.shape(x)[0]
    ends = [batch * part // parts for part in range(parts + 1)]
    return [x[start:end] for start, end in itertools.pairwise(ends)]


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=0)


def _first(shape: Sequence) -> tuple:
    """(B, T, H) -> (B, 1, H)."""
    return (shape[0], 1, shape[2])
