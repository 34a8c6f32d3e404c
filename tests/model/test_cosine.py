"""The cosine head: worked by hand, its start at class means, and a model that holds it."""

import keras
import numpy as np
import pytest

from intent_bert.bert.config import params_from_pretrained_ckpt
from intent_bert.config import Architecture
from intent_bert.data.batches import pad
from intent_bert.model.cosine import SCALE, CosineLogits
from intent_bert.model.network import build_model, create_model

SENTENCES = [[2, 10, 11, 12, 3], [2, 20, 3], [2, 30, 31, 3]]


def test_logits_by_hand():
    layer = CosineLogits(2)
    layer.build((None, 3))
    layer.kernel.assign([[2.0, 0.0], [-2.0, 3.0], [0.0, -3.0]])
    vectors = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 5.0]], "float32")  # centred: (1, -1, 0) and nothing at all
    expected = [[SCALE, -SCALE / 2], [0.0, 0.0]]
    np.testing.assert_allclose(layer(vectors), expected, atol=1e-4)
    np.testing.assert_allclose(layer(vectors * 100), expected, atol=1e-4)  # lengths don't count
    assert layer.compute_output_shape((None, 3)) == (None, 2)


def test_it_starts_at_the_mean_directions_of_the_labels():
    layer = CosineLogits(3)
    layer.build((None, 3))
    vectors = np.array([[4.0, 1.0, 1.0], [1.0, 3.0, 2.0], [2.0, 30.0, 1.0], [9.0, 9.0, 9.1]], "float32")
    labels = np.array([0, 1, 1, 2])
    layer.start_at(vectors, labels)
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    mean = unit[labels == 1].mean(axis=0)
    np.testing.assert_allclose(layer.kernel[:, 1], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(layer(vectors)[0, 0], SCALE, atol=1e-4)


def test_the_layer_comes_back_from_its_config():
    layer = CosineLogits(4, name="logits")
    assert CosineLogits.from_config(layer.get_config()).units == 4


def test_more_padding_changes_nothing(tiny_checkpoint):
    model = create_model(32, tiny_checkpoint, 3, pooling="mean", head="cosine")
    np.testing.assert_allclose(model(pad(SENTENCES, 30)), model(pad(SENTENCES)), atol=1e-5)


def test_it_computes_in_float32_whatever_the_encoder_does(tiny_checkpoint):
    model = build_model(
        params_from_pretrained_ckpt(tiny_checkpoint),
        3,
        Architecture(pooling="mean", head="cosine"),
        dtype="mixed_bfloat16",
    )
    assert model.get_layer("logits").compute_dtype == "float32"
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_model_with_it_can_be_saved_and_loaded(tiny_checkpoint, tmp_path, pooling):
    model = create_model(32, tiny_checkpoint, 3, pooling=pooling, head="cosine")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(pad(SENTENCES)), model(pad(SENTENCES)), atol=1e-6)
