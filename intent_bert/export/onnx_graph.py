"""The classifier as an ONNX graph, drawn node by node from the weights of the Keras model.

    input_ids (B, T) int32 -> embeddings -> encoder layers -> pooling -> vector (B, F) -> head -> logits (B, C)
                                                           -> layers (B, 2H)                   -> probabilities (B, C)

Dimensions as in bert/layers.py, and M = B * T: the rows of all tokens, padding among them, one under the other. Every
matrix product is one of (M, K) with (K, J), a single one for the whole batch; only attention looks at (B, T, H).
Attention, LayerNormalization and GELU are one node each. Where only the [CLS] vector is read, the last layer has keys
and values of all tokens and everything else of [CLS] alone: (B, H) in place of (M, H), which changes no prediction.

``quantize="int8"`` keeps the encoder's kernels as int8, a scale for each column, but for a few that predictions depend
on most (``stays_float32``), and the word embeddings as float16.
What goes into a product becomes uint8 when it runs, a scale for each row, that is for each token: a prediction depends
neither on the padding nor on the other sentences of its batch, and no sentences are needed to calibrate anything.
Attention, LayerNormalization, GELU and the head stay float32.

Nothing here runs, checks or writes a graph.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.layers import MASKED_SCORE, BertEncoderLayer, BertProjection
from intent_bert.errors import SettingsError
from intent_bert.model.cosine import EPSILON as COSINE_EPSILON
from intent_bert.model.cosine import SCALE, CosineLogits
from intent_bert.model.network import lower_layers
from intent_bert.version import __version__

OPSET, IR_VERSION = 20, 9  # the first that have Gelu, and what goes with them
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
INPUT, PROBABILITIES, LOGITS, VECTOR, LAYERS = "input_ids", "probabilities", "logits", "vector", "layers"
_LAYERS = {INPUT, "bert", "pooling", "rnn", "dropout", "dense", "dropout_2", "logits", "intent"}  # of build_model
_LARGEST_BYTES = 2**31 - 1  # of a protobuf file
PARTS = ("query", "key", "value", "attention_output", "intermediate", "output")  # products of a layer
_EVENNESS = 0.85  # 1: the columns alike, 0: the rows of the kernel alike
_LEAST_GELU = 0.171  # GELU is nowhere below -0.1701, in neither form


def stays_float32(place: str, first_only: bool) -> bool:
    """Whether a product of the encoder is left alone by int8: ``place`` is "layer_0/query" and the like.

    Those of [CLS] alone take little of the time. The values of attention are a twelfth of the products, and what int8
    changes in a prediction comes to more than half from them (benchmarks/int8_layers.py).
    """
    return first_only or place.endswith("/value")


def onnx_model(
    model: keras.Model, quantize: str | None = None, keep: Callable[[str, bool], bool] = stays_float32
) -> onnx.ModelProto:
    """The graph of a classifier that ``build_model`` made, in float32 whatever its precision, or in int8.

    Args:
        model: with its trained weights.
        quantize: "int8", or None.
        keep: tells which products int8 leaves in float32, from their place and whether they are of [CLS] alone.

    Raises:
        SettingsError: the model has weights or layers that this module knows nothing of, or is too large for a file.
    """
    graph = _Graph(quantize == "int8", keep)
    bert: BertModelLayer = model.get_layer("bert")
    layers = {layer.name: layer for layer in model.layers}
    pooling = layers["pooling"].pooling if "pooling" in layers else None
    states = graph.encoder(bert, first_only=pooling == "cls")
    x = graph.recurrent(layers["rnn"], states[-1]) if pooling is None else graph.pooled(pooling, states)  # (B, F)
    graph.add("Identity", x, result=VECTOR)
    lower = graph.add("Concat", *lower_layers(states), axis=-1)  # (M, 2H)
    graph.add("Identity", graph.mean(lower, 2 * bert.config.hidden_size), result=LAYERS)
    if "dense" in layers:
        x = graph.add("Tanh", graph.dense(x, layers["dense"]))
    to_logits = graph.cosines if isinstance(layers["logits"], CosineLogits) else graph.dense
    x = graph.add("Identity", to_logits(x, layers["logits"]), result=LOGITS)  # (B, C)
    if isinstance(layers["intent"], keras.layers.Softmax):
        graph.add("Softmax", x, axis=-1, result=PROBABILITIES)
    else:
        graph.add("Sigmoid", x, result=PROBABILITIES)
    unknown = [name for name in layers if name not in _LAYERS]
    unknown += [weight.path for weight in model.weights if id(weight) not in graph.weights_drawn]
    if unknown:
        raise SettingsError(f"can't write this model as ONNX: it has {', '.join(unknown[:3])}, which no export knows")
    classes = model.output_shape[-1]
    widths = {PROBABILITIES: classes, LOGITS: classes, VECTOR: _vector_width(layers)}
    return graph.finished({**widths, LAYERS: 2 * bert.config.hidden_size})


def encoder_model(bert: BertModelLayer) -> onnx.ModelProto:
    """The graph of a frozen encoder in float32: the mean over the tokens as ``vector`` (B, H), and again as logits."""
    graph, width = _Graph(int8=False, keep=stays_float32), bert.config.hidden_size
    states = graph.encoder(bert, first_only=False)
    vector = graph.add("Identity", graph.mean(states[-1], width), result=VECTOR)
    graph.add("Identity", vector, result=LOGITS)
    lower = graph.add("Concat", *lower_layers(states), axis=-1)  # (M, 2H)
    graph.add("Identity", graph.mean(lower, 2 * width), result=LAYERS)
    return graph.finished({LOGITS: width, VECTOR: width, LAYERS: 2 * width})


def _vector_width(layers: dict[str, Any]) -> int:
    return layers["rnn" if "rnn" in layers else "pooling"].output.shape[-1]


class _Graph:
    """A graph that grows: ``constant`` and ``add`` give the name of what they make."""

    def __init__(self, int8: bool, keep: Callable[[str, bool], bool]) -> None:
        self.int8, self.keep = int8, keep
        self.nodes: list[onnx.NodeProto] = []
        self.made: set[str] = set()
        self.constants: dict[str, onnx.TensorProto] = {}
        self.weights_drawn: set[int] = set()
        self.hidden_size, self.mask = 0, ""
        self.tokens = self.add("Shape", INPUT, start=1, end=2)  # [T]

    # what graphs are made of

    def constant(self, name: str, array: np.ndarray | np.generic) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def whole(self, *numbers: int) -> str:
        """A constant int64 vector."""
        return self.constant(f"int64{list(numbers)}", np.array(numbers, "int64"))

    def number(self, value: float) -> str:
        """A constant float32 scalar."""
        return self.constant(f"float32({value})", np.float32(value))

    def weight(self, variable: Any) -> np.ndarray:
        """A variable's float32 values; those that are drawn are counted."""
        self.weights_drawn.add(id(variable))
        return keras.ops.convert_to_numpy(variable).astype("float32")

    def add(self, operator: str, *inputs: str, result: str = "", domain: str = "", **attributes: Any) -> str:
        """A node with one output."""
        return self.add_many(1, operator, *inputs, result=result, domain=domain, **attributes)[0]

    def add_many(
        self, outputs: int, operator: str, *inputs: str, result: str = "", domain: str = "", **attributes: Any
    ) -> list[str]:
        name = f"{operator}_{len(self.nodes)}"
        results = [result or (name if outputs == 1 else f"{name}.{number}") for number in range(outputs)]
        self.made.update(results)
        self.nodes.append(helper.make_node(operator, inputs, results, name, domain=domain, **attributes))
        return results

    def finished(self, widths: dict[str, int]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "intent_classifier",
            [helper.make_tensor_value_info(INPUT, TensorProto.INT32, ["batch", "tokens"])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n]) for name, n in widths.items()],
            list(self.constants.values()),
        )
        operators = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=operators, ir_version=IR_VERSION)
        model.producer_name, model.producer_version = "intent_bert", __version__
        if model.ByteSize() > _LARGEST_BYTES:
            raise SettingsError(
                f"can't write this model as ONNX: {model.ByteSize() / 1e9:.1f} GB are more than a file can hold"
            )
        return model

    # the encoder

    def encoder(self, bert: BertModelLayer, first_only: bool) -> list[str]:
        """The embeddings and each layer's states, (M, H); with ``first_only`` the last are of [CLS] alone, (B, H)."""
        self.hidden_size = bert.config.hidden_size
        mask = self.add("Not", self.add("Equal", INPUT, self.constant("padding", np.int32(0))))  # (B, T) bool
        self.mask = self.add("Cast", mask, to=TensorProto.INT32)
        x = self.embeddings(bert)
        states = [x]
        for number, layer in enumerate(bert.encoder_layers, start=1):
            x = self.encoder_layer(layer, f"layer_{number - 1}", x, first_only and number == len(bert.encoder_layers))
            states.append(x)
        return states

    def embeddings(self, bert: BertModelLayer) -> str:
        layer = bert.embeddings
        table = self.weight(layer.word_embeddings).astype("float16" if self.int8 else "float32")  # (V, H)
        words = self.add("Gather", self.constant(layer.word_embeddings.path, table), INPUT)  # (B, T, H)
        if self.int8:
            words = self.add("Cast", words, to=TensorProto.FLOAT)
        table = self.weight(layer.position_embeddings) + self.weight(layer.token_type_embeddings)[0]  # (512, H)
        positions = self.constant(layer.position_embeddings.path, table)  # with segment 0, which every token has
        places = self.add("Slice", positions, self.whole(0), self.tokens, self.whole(0))  # (T, H)
        return self.normalised(self.by_row(self.add("Add", words, places)), layer.normalise)

    def encoder_layer(self, layer: BertEncoderLayer, name: str, x: str, first_only: bool) -> str:
        """(M, H) -> (M, H), or (B, H)."""
        attention = layer.attention
        residual = self.first(x) if first_only else x
        parts = {"key": attention.key, "value": attention.value}
        if first_only:
            queries = self.product(residual, [attention.query], "first", int8=self.in_int8(f"{name}/query", first_only))
            queries = self.add("Unsqueeze", queries, self.whole(1))  # (B, 1, H)
            keys, values = self.side_by_side(x, parts, name)
        else:
            queries, keys, values = self.side_by_side(x, {"query": attention.query, **parts}, name)  # (B, T, H) each
        attended = self.add(
            "MultiHeadAttention", queries, keys, values, "", self.mask,
            domain=CONTRIB, num_heads=layer.config.num_heads, mask_filter_value=MASKED_SCORE,
        )  # fmt: skip
        rows = "first" if first_only else "all"
        int8 = {part: self.in_int8(f"{name}/{part}", first_only) for part in PARTS[3:]}
        x = self.projection(
            layer.attention_output, self.by_row(attended), residual, rows, "any", int8["attention_output"]
        )
        inner = self.product(
            x, [layer.intermediate], rows, int8=int8["intermediate"], normalised_by=layer.attention_output.normalise
        )  # (M, I)
        kind = layer.config.intermediate_activation
        inner = self.activation(inner, kind, layer.config.gelu_approximate)
        return self.projection(layer.output_projection, inner, x, rows, kind, int8["output"])

    def in_int8(self, place: str, first_only: bool) -> bool:
        return self.int8 and not self.keep(place, first_only)

    def side_by_side(self, x: str, layers: dict[str, keras.layers.Dense], name: str) -> list[str]:
        """The products of x with each of these, (B, T, H) each: one for all in float32, one for all in int8."""
        found: dict[str, str] = {}
        for int8 in (False, True):
            group = [part for part in layers if self.in_int8(f"{name}/{part}", first_only=False) == int8]
            if group:
                product = self.product(x, [layers[part] for part in group], int8=int8)
                found |= dict(zip(group, self.split(product, len(group)), strict=True))
        return [found[part] for part in layers]

    def projection(self, layer: BertProjection, x: str, residual: str, rows: str, kind: str, int8: bool) -> str:
        x = self.product(x, [layer.project], rows, kind, int8)  # (M, H)
        if layer.adapter_down is not None:
            down = self.dense(x, layer.adapter_down)
            down = self.activation(down, layer.config.adapter_activation, layer.config.gelu_approximate)
            x = self.add("Add", x, self.dense(down, layer.adapter_up))
        return self.normalised(self.add("Add", x, residual), layer.normalise)

    def activation(self, x: str, name: str, gelu_approximate: bool) -> str:
        if name == "gelu":
            return self.add("Gelu", x, approximate="tanh" if gelu_approximate else "none")
        return x if name == "linear" else self.add({"relu": "Relu", "tanh": "Tanh"}[name], x)

    def normalised(self, x: str, layer: keras.layers.LayerNormalization) -> str:
        names = [self.constant(each.path, self.weight(each)) for each in (layer.gamma, layer.beta)]
        return self.add("LayerNormalization", x, *names, axis=-1, epsilon=layer.epsilon)

    # rows and tokens

    def by_row(self, x: str) -> str:
        """(B, T, H) -> (M, H)."""
        return self.add("Reshape", x, self.whole(-1, self.hidden_size))

    def by_sentence(self, x: str, width: int) -> str:
        """(M, width) -> (B, T, width)."""
        shape = f"shape{width}"
        if shape not in self.made:
            self.add("Concat", self.whole(-1), self.tokens, self.whole(width), axis=0, result=shape)
        return self.add("Reshape", x, shape)

    def first(self, x: str) -> str:
        """The [CLS] rows: (M, H) -> (B, H)."""
        return self.add("Gather", self.by_sentence(x, self.hidden_size), self.constant("cls", np.int64(0)), axis=1)

    def split(self, x: str, parts: int) -> list[str]:
        """(M, parts * H) -> so many (B, T, H)."""
        x = self.by_sentence(x, parts * self.hidden_size)
        if parts == 1:
            return [x]
        return self.add_many(parts, "Split", x, axis=-1, num_outputs=parts)

    # products

    def dense(self, x: str, layer: keras.layers.Dense) -> str:
        """A float32 product with its bias: (M, K) -> (M, J)."""
        return self.product(x, [layer])

    def product(
        self,
        x: str,
        layers: list[keras.layers.Dense],
        rows: str = "all",
        kind: str = "any",
        int8: bool = False,
        normalised_by: keras.layers.LayerNormalization | None = None,
    ) -> str:
        """One product with the kernels of these layers side by side, and their biases: (M, K) -> (M, J).

        ``rows`` says whether x has a row for "all" tokens or for each "first" one, ``kind`` which activation it comes
        from and ``normalised_by`` which normalisation, for a better fit of what is quantised.
        """
        name = "+".join(layer.kernel.path for layer in layers)
        kernel = np.concatenate([self.weight(layer.kernel) for layer in layers], axis=1)  # (K, J)
        bias = self.constant(f"{name}.bias", np.concatenate([self.weight(layer.bias) for layer in layers]))
        if not int8:
            return self.add("Gemm", x, self.constant(name, kernel), bias)
        if normalised_by is not None:
            x, kernel = self.evened(x, kernel, normalised_by, f"{name}.evened")
        scales = np.maximum(np.abs(kernel).max(axis=0), 1e-12) / 127  # (J,)
        whole = np.round(kernel / scales).astype("int8")
        quantised, row_scales, zero = self.quantised(x, rows, kind)
        product = self.add(
            "MatMulIntegerToFloat", quantised, self.constant(name, whole), self.number(1),
            self.constant(f"{name}.scales", scales), self.constant(f"uint8({zero})", np.uint8(zero)), domain=CONTRIB,
        )  # fmt: skip
        return self.add("Add", self.add("Mul", product, row_scales), bias)

    def evened(
        self, x: str, kernel: np.ndarray, layer: keras.layers.LayerNormalization, name: str
    ) -> tuple[str, np.ndarray]:
        """x (M, K) with its columns scaled to be about alike, and the kernel (K, J) scaled back: the same product.

        A row has one scale, so a column that is always large would cost the others their precision. How large a column
        is, its normalisation tells. The idea is SmoothQuant's (Xiao et al. 2023, arXiv 2211.10438).
        """
        size = np.abs(self.weight(layer.beta)) + 3 * np.abs(self.weight(layer.gamma))  # (K,) three deviations
        other = np.maximum(np.abs(kernel).max(axis=1), 1e-6)
        factors = np.maximum(size, 1e-6) ** _EVENNESS / other ** (1 - _EVENNESS)
        factors = (factors / np.exp(np.log(factors).mean())).astype("float32")
        return self.add("Mul", x, self.constant(name, 1 / factors)), kernel * factors[:, None]

    def quantised(self, x: str, rows: str, kind: str) -> tuple[str, str, int]:
        """x as uint8 (M, K), the scale of each row (M, 1), and the uint8 that stands for 0.

        A row reaches from its largest absolute value to minus that; where an activation bounds it below, from its
        largest value to that bound.
        """
        zero = {"gelu": 16, "relu": 0}.get(kind, 128)
        if zero == 128:
            largest = self.add("ReduceMax", self.add("Abs", x), self.whole(-1), keepdims=1)
            scales = self.add("Mul", largest, self.number(1 / 127))
        else:
            largest = self.add("ReduceMax", x, self.whole(-1), keepdims=1)
            scales = self.add("Mul", largest, self.number(1 / (255 - zero)))
            scales = self.add("Max", scales, self.number(_LEAST_GELU / zero if zero else 1e-12))
        zeros = f"zeros{zero}_{rows}"
        if zeros not in self.made:
            length = self.add("Shape", INPUT, end=1) if rows == "first" else self.add("Size", INPUT)
            length = self.add("Reshape", length, self.whole(1))
            value = helper.make_tensor("value", TensorProto.UINT8, [1], [zero])
            self.add("ConstantOfShape", length, value=value, result=zeros)
        flat = self.add("Reshape", scales, self.whole(-1))  # (M,)
        return self.add("QuantizeLinear", x, flat, zeros, axis=0), scales, zero

    # from tokens to a sentence

    def pooled(self, pooling: str, states: list[str]) -> str:
        """What ``TokenPooling`` gives: (B, H), or (B, 4H)."""
        if pooling == "cls":
            return states[-1]
        x, width = states[-1], self.hidden_size
        if pooling == "concat_last_four":
            x, width = self.add("Concat", *states[-4:], axis=-1), 4 * width
        elif pooling in ("sum_last_four", "mean_last_four"):
            x = self.add("Sum", *states[-4:])
            x = self.add("Mul", x, self.number(0.25)) if pooling == "mean_last_four" else x
        if pooling == "max":
            lowered = self.add("Mul", self.add("Sub", self.number(1), self.token_weights()), self.number(1e4))
            x = self.add("Sub", self.by_sentence(x, width), lowered)  # (B, T, width)
            return self.add("ReduceMax", x, self.whole(1), keepdims=0)
        return self.mean(x, width)

    def token_weights(self) -> str:
        """1 for a token and 0 for padding: (B, T, 1) float."""
        return self.add("Unsqueeze", self.add("Cast", self.mask, to=TensorProto.FLOAT), self.whole(-1))

    def mean(self, x: str, width: int) -> str:
        """The mean over the tokens of each sentence: (M, width) -> (B, width)."""
        x, mask = self.by_sentence(x, width), self.token_weights()  # (B, T, width), (B, T, 1)
        total = self.add("ReduceSum", self.add("Mul", x, mask), self.whole(1), keepdims=0)  # (B, width)
        number = self.add("Max", self.add("ReduceSum", mask, self.whole(1), keepdims=0), self.number(1))  # (B, 1)
        return self.add("Div", total, number)

    def cosines(self, x: str, layer: CosineLogits) -> str:
        """What ``CosineLogits`` gives, as a LayerNormalization and a product: (B, F) -> (B, C)."""
        kernel = self.weight(layer.kernel)  # (F, C)
        directions = kernel / np.maximum(np.linalg.norm(kernel, axis=0), 1e-6)
        width = len(kernel)
        names = [
            self.constant(f"ones{width}", np.ones(width, "float32")),
            self.constant(f"zeros{width}", np.zeros(width, "float32")),
        ]
        unit = self.add("LayerNormalization", x, *names, axis=-1, epsilon=COSINE_EPSILON / width)  # of length sqrt(F)
        scaled = (SCALE / np.sqrt(width) * directions).astype("float32")
        return self.add("MatMul", unit, self.constant(layer.kernel.path, scaled))

    def recurrent(self, layer: keras.layers.Bidirectional, x: str) -> str:
        """The bidirectional LSTM over the tokens of each sentence: (M, H) -> (B, 2 * units)."""
        cells = [layer.forward_layer.cell, layer.backward_layer.cell]

        def both(part: Callable[[Any], np.ndarray], name: str) -> str:
            return self.constant(f"{layer.name}/{name}", np.stack([part(cell) for cell in cells]))

        def reordered(
            array: np.ndarray,
        ) -> np.ndarray:  # gates: Keras has i, f, c, o in columns; ONNX i, o, f, c in rows
            i, f, c, o = np.split(array, 4, axis=-1)
            return np.concatenate([i, o, f, c], axis=-1).T

        kernel = both(lambda cell: reordered(self.weight(cell.kernel)), "kernel")  # (2, 4 * units, H)
        recurrent = both(lambda cell: reordered(self.weight(cell.recurrent_kernel)), "recurrent_kernel")
        bias = both(lambda cell: np.pad(reordered(self.weight(cell.bias)), (0, 4 * cell.units)), "bias")
        x = self.add("Transpose", self.by_sentence(x, self.hidden_size), perm=[1, 0, 2])  # (T, B, H)
        lengths = self.add("ReduceSum", self.mask, self.whole(1), keepdims=0)  # (B,) int32
        _, last, _ = self.add_many(
            3, "LSTM", x, kernel, recurrent, bias, lengths, direction="bidirectional", hidden_size=cells[0].units
        )  # (2, B, units)
        last = self.add("Transpose", last, perm=[1, 0, 2])
        return self.add("Reshape", last, self.whole(-1, 2 * cells[0].units))
