"""The ONNX graph: what it answers beside the Keras model, what it is made of, and what it refuses."""

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

import intent_bert
from intent_bert.bert.config import params_from_pretrained_ckpt
from intent_bert.config import POOLINGS, Architecture
from intent_bert.errors import SettingsError
from intent_bert.export import onnx_graph
from intent_bert.export.onnx_graph import PARTS, onnx_model
from intent_bert.model.network import build_model

LENGTHS = (9, 3, 5, 2, 7)


def model_of(checkpoint: Path, dtype: str = "float32", **settings: Any) -> keras.Model:
    """A classifier of three intents with large random weights; settings of the encoder or of ``build_model``."""
    params = params_from_pretrained_ckpt(checkpoint)
    of_architecture = {each.name for each in fields(Architecture)} & set(settings)
    architecture = Architecture(**{name: settings.pop(name) for name in of_architecture})
    for name in [name for name in settings if hasattr(params, name)]:
        setattr(params, name, settings.pop(name))
    model = build_model(params, 3, architecture, dtype=dtype, **settings)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.normal("gamma" in weight.path, 0.3, weight.shape))
    return model


def ids_of(lengths: tuple[int, ...] = LENGTHS, width: int = max(LENGTHS)) -> np.ndarray:
    rng = np.random.default_rng(0)
    ids = np.zeros((len(lengths), width), "int32")
    for row, length in enumerate(lengths):
        ids[row, :length] = rng.integers(1, 160, length)
    return ids


def ask(graph: onnx.ModelProto, ids: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(graph)
    return onnxruntime.InferenceSession(graph.SerializeToString()).run(["probabilities"], {"input_ids": ids})[0]


# --- the same answers --------------------------------------------------------------------------------------------

MODELS: list[dict[str, Any]] = [
    *({"pooling": pooling, "head": head} for pooling in POOLINGS for head in ("dense", "linear", "cosine")),
    {"head": "rnn"},
    {"adapter_size": 3},
    {"adapter_size": 3, "adapter_activation": "relu", "pooling": "mean"},
    {"gelu_approximate": False},
    {"intermediate_activation": "relu"},
    {"intermediate_activation": "tanh", "pooling": "max"},
    {"intermediate_activation": "linear"},
    {"num_layers": 1, "layer_norm_epsilon": 0.1},
]


@pytest.mark.parametrize("settings", MODELS, ids=lambda settings: " ".join(map(str, settings.values())))
def test_a_graph_answers_as_keras_does_whatever_the_padding_and_the_batch(tiny_checkpoint, settings):
    model, ids = model_of(tiny_checkpoint, **settings), ids_of()
    expected = model(ids).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01, "sentences that are answered alike would show nothing"
    alone = [ids[row : row + 1, :length] for row, length in enumerate(LENGTHS)]
    for quantize, tolerance in ((None, 1e-5), ("int8", 0.1)):
        graph = onnx_model(model, quantize)
        found = ask(graph, ids)
        np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)
        assert (found.shape, found.dtype) == ((5, 3), np.float32)
        wider = np.pad(ids, ((0, 0), (0, 48 - ids.shape[1])))
        np.testing.assert_allclose(ask(graph, wider), found, atol=1e-6)
        np.testing.assert_allclose(np.concatenate([ask(graph, each) for each in alone]), found, atol=1e-6)
        np.testing.assert_allclose(ask(graph, ids[::-1]), found[::-1], atol=1e-6)


def test_int8_differs_from_float32_by_rounding_alone(tiny_checkpoint):
    """On trained-like weights the difference is small; a scale put in the wrong place would make it large."""
    model, ids = model_of(tiny_checkpoint, pooling="mean", head="linear"), ids_of((30,) * 40, 40)
    difference = np.abs(ask(onnx_model(model, "int8"), ids) - model(ids).numpy())
    assert 1e-5 < difference.mean() < 0.01


def test_a_model_in_mixed_precision_gives_the_float32_graph_of_its_weights(tiny_checkpoint):
    ids = ids_of()
    mixed = model_of(tiny_checkpoint, "mixed_bfloat16")
    found = ask(onnx_model(mixed), ids)
    np.testing.assert_allclose(found, model_of(tiny_checkpoint)(ids).numpy(), atol=1e-5)
    assert np.abs(found - mixed(ids).numpy()).max() > 1e-4, "bfloat16 would not have shown"


def test_the_graph_of_a_real_encoder_answers_as_keras_does(real_checkpoint):
    from intent_bert.model.network import create_model

    keras.utils.set_random_seed(0)
    model, ids = create_model(64, real_checkpoint, 5), ids_of((40, 12, 7), 40) * 150
    np.testing.assert_allclose(ask(onnx_model(model), ids), model(ids).numpy(), atol=1e-5)


# --- what it is made of ------------------------------------------------------------------------------------------


def operators(graph: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in graph.graph.node)


def test_attention_layer_norm_and_gelu_are_one_node_each(tiny_checkpoint):
    graph = onnx_model(model_of(tiny_checkpoint))
    found = operators(graph)
    assert found == {
        "MultiHeadAttention": 4, "LayerNormalization": 9, "Gelu": 4,
        "Gemm": 3 * 4 + 5 + 2,  # three for a layer, five for the last, two of the head
        "Add": 1 + 2 * 4, "Gather": 2, "Reshape": 1 + 2 * 3 + 3 + 1, "Split": 4, "Concat": 3 + 1, "Unsqueeze": 1 + 1,
        "Equal": 1, "Not": 1, "Cast": 1 + 1, "Shape": 1, "Slice": 1, "Tanh": 1, "Softmax": 1, "Identity": 3,
        "Mul": 1, "ReduceSum": 2, "Max": 1, "Div": 1,  # the means of two lower layers
    }  # fmt: skip
    gelus = [node for node in graph.graph.node if node.op_type == "Gelu"]
    assert {onnx.helper.get_node_attr_value(node, "approximate") for node in gelus} == {b"tanh"}
    exact = onnx_model(model_of(tiny_checkpoint, gelu_approximate=False)).graph.node
    forms = {onnx.helper.get_node_attr_value(node, "approximate") for node in exact if node.op_type == "Gelu"}
    assert forms == {b"none"}


def test_int8_leaves_the_values_of_attention_alone_in_float32(tiny_checkpoint):
    model = model_of(tiny_checkpoint, pooling="mean")
    graph = onnx_model(model, "int8")
    found = operators(graph)
    assert (found["MatMulIntegerToFloat"], found["Gemm"], found["MultiHeadAttention"]) == (4 * 4, 4 + 2, 4)
    assert found["QuantizeLinear"] == 4 * 4  # query and key share theirs
    kernels = [each for each in graph.graph.initializer if each.data_type == onnx.TensorProto.INT8]
    assert {"/".join(each.name.split("/")[2:]) for each in kernels} == {
        f"attention/query/kernel+bert/layer_{number}/attention/key/kernel" for number in range(4)
    } | {"attention_output/dense/kernel", "intermediate/kernel", "output/dense/kernel"}
    words = next(each for each in graph.graph.initializer if each.name.endswith("word_embeddings"))
    assert words.data_type == onnx.TensorProto.FLOAT16
    assert len(graph.SerializeToString()) < 0.6 * len(onnx_model(model).SerializeToString())  # half of it is names


def test_int8_leaves_products_of_the_first_token_alone_and_what_is_asked_for_in_float32(tiny_checkpoint):
    model = model_of(tiny_checkpoint, pooling="cls", head="linear")
    found = operators(onnx_model(model, "int8"))
    assert (found["MatMulIntegerToFloat"], found["Gemm"]) == (3 * 4 + 1, 3 + 5 + 1)  # the last layer's keys
    places: list[str] = []
    found = operators(onnx_model(model, "int8", lambda place, first: not places.append(place) and "output" in place))
    assert (found["MatMulIntegerToFloat"], found["Gemm"]) == (3 * 2 + 3, 3 * 2 + 2 + 1)
    assert {place.split("/")[0] for place in places} == {f"layer_{number}" for number in range(4)}
    assert {place.split("/")[1] for place in places} == set(PARTS)
    split = onnx_model(model, "int8", lambda place, first: place.endswith(("query", "key")))
    assert operators(split)["MatMulIntegerToFloat"] == 3 * 4 + 4
    np.testing.assert_allclose(ask(split, ids_of()), model(ids_of()).numpy(), atol=0.1)


def test_a_column_that_is_always_large_does_not_cost_the_others_their_precision(tiny_checkpoint, monkeypatch):
    model, ids = model_of(tiny_checkpoint, pooling="mean", head="linear"), ids_of((30,) * 40, 40)
    for layer in model.get_layer("bert").encoder_layers:
        normalise = layer.attention_output.normalise
        normalise.gamma.assign(np.where(np.arange(32) == 5, 30, normalise.gamma.numpy()))
        kernel = layer.intermediate.kernel.numpy()
        layer.intermediate.kernel.assign(np.where(np.arange(32)[:, None] == 5, kernel / 30, kernel))
    expected = model(ids).numpy()
    evened = np.abs(ask(onnx_model(model, "int8"), ids) - expected).mean()
    monkeypatch.setattr(onnx_graph._Graph, "evened", lambda self, x, kernel, *_: (x, kernel))
    assert evened < 0.7 * np.abs(ask(onnx_model(model, "int8"), ids) - expected).mean()


def test_only_the_first_row_goes_through_the_last_layer_where_only_it_is_read(tiny_checkpoint):
    """The rows of the products above the last attention: 2 sentences of 6 tokens, 2 rows in place of 12."""
    rows = {}
    for pooling in ("cls", "mean"):
        graph = onnx_model(model_of(tiny_checkpoint, pooling=pooling, head="linear"))
        last = [node for node in graph.graph.node if node.op_type == "LayerNormalization"][-1]
        graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(last.output[0]))
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        rows[pooling] = session.run([last.output[0]], {"input_ids": ids_of((6, 6), 6)})[0].shape
    assert rows == {"cls": (2, 32), "mean": (12, 32)}


def test_the_same_weights_give_the_same_file_which_says_who_wrote_it(tiny_checkpoint):
    graph = onnx_model(model_of(tiny_checkpoint))
    assert graph.SerializeToString() == onnx_model(model_of(tiny_checkpoint)).SerializeToString()
    assert (graph.producer_name, graph.producer_version) == ("intent_bert", intent_bert.__version__)
    shapes = {
        each.name: [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in (*graph.graph.input, *graph.graph.output)
    }
    assert shapes == {
        "input_ids": ["batch", "tokens"],
        "probabilities": ["batch", 3],
        "logits": ["batch", 3],
        "vector": ["batch", 32],
        "layers": ["batch", 64],
    }


# --- refused -----------------------------------------------------------------------------------------------------


def test_weights_that_no_export_knows_are_refused_by_name(quick_checkpoint, monkeypatch):
    model = model_of(quick_checkpoint)
    extra = keras.layers.Dense(3, name="second_opinion")(model.output)
    with pytest.raises(SettingsError) as caught:
        onnx_model(keras.Model(model.input, extra))
    assert str(caught.value).startswith("can't write this model as ONNX: it has second_opinion, ")
    monkeypatch.setattr("intent_bert.export.onnx_graph._LARGEST_BYTES", 10_000)
    with pytest.raises(SettingsError, match=r"can't write this model as ONNX: 0\.\d GB are more than a file can hold"):
        onnx_model(model)
