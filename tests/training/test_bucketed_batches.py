"""BucketedBatches: every sentence once an epoch, an order that the seed fixes, and a plain fit that learns."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import QUICK

from intent_bert import BucketedBatches, FullTokenizer, IntentDetectionData, create_model
from intent_bert.data.batches import encode
from intent_bert.errors import DataError, SettingsError

IDS = [np.arange(1, 3 + number % 9, dtype="int32") for number in range(50)]
LABELS = np.arange(50) % 3


def rows_of(batches: BucketedBatches) -> list[list[int]]:
    """The rows of each batch of an epoch: the weights of these are their numbers."""
    return [batches[number][2].astype(int).tolist() for number in range(len(batches))]


def numbered(**settings: int) -> BucketedBatches:
    return BucketedBatches(IDS, LABELS, 8, sample_weight=np.arange(50), **settings)


def test_every_sentence_once_an_epoch_in_batches_of_about_one_length():
    batches = numbered()
    assert len(batches) == 7
    for _ in range(3):
        assert sorted(row for rows in rows_of(batches) for row in rows) == list(range(50))
        for number, rows in enumerate(rows_of(batches)):
            x, y, weights = batches[number]
            assert (x.dtype, y.dtype, weights.dtype) == (np.int32, np.int32, np.float32)
            assert x.shape == (len(rows), max(len(IDS[row]) for row in rows))
            assert [ids[ids != 0].tolist() for ids in x] == [IDS[row].tolist() for row in rows]
            assert y.tolist() == LABELS[rows].tolist()
            assert max(len(IDS[row]) for row in rows) - min(len(IDS[row]) for row in rows) <= 3
        batches.on_epoch_end()


def test_seed_and_epoch_fix_the_order():
    one, same, other = numbered(seed=1), numbered(seed=1), numbered(seed=2)
    first = rows_of(one)
    assert first == rows_of(same) != rows_of(other)
    for batches in (one, same):
        batches.on_epoch_end()
    assert first != rows_of(one) == rows_of(same)


def test_a_padded_matrix_gives_the_same_batches(quick_checkpoint, small_table):
    tokenizer = FullTokenizer(quick_checkpoint / "vocab.txt")
    data = IntentDetectionData(small_table, None, tokenizer, seed=None)
    ids = encode(list(small_table.text), tokenizer, 40)
    padded, lists = BucketedBatches(data.train_x, data.train_y, 16), BucketedBatches(ids, data.train_y, 16)
    for number in range(len(lists)):
        for one, other in zip(padded[number], lists[number], strict=True):
            np.testing.assert_array_equal(one, other)
    assert padded[0][0].shape[1] < data.train_x.shape[1]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_a_plain_fit_learns(quick_checkpoint, small_table, workers):
    keras.utils.set_random_seed(0)
    data = IntentDetectionData(small_table, None, FullTokenizer(quick_checkpoint / "vocab.txt"))
    model = create_model(32, quick_checkpoint, data.classes, dropout=0.0)
    optimizer = keras.optimizers.Adam(QUICK["learning_rate"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    batches = BucketedBatches(data.train_x, data.train_y, batch_size=8, workers=workers)
    history = model.fit(batches, epochs=8, shuffle=False, verbose=0).history
    assert history["accuracy"][-1] > 0.95
    assert model.evaluate(batches, verbose=0)[1] > 0.95


ON_JAX = """
import keras, numpy
from intent_bert import BucketedBatches

assert keras.backend.backend() == "jax"
rng = numpy.random.default_rng(0)
labels = rng.integers(0, 2, 64)
ids = [rng.integers(1, 9, rng.integers(2, 6)) + 10 * label for label in labels]
tokens = keras.Input((None,), dtype="int32")
pooled = keras.layers.GlobalMaxPooling1D()(keras.layers.Embedding(20, 8)(tokens))
model = keras.Model(tokens, keras.layers.Dense(2, activation="softmax")(pooled))
model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
batches = BucketedBatches(ids, labels, batch_size=8, sample_weight=numpy.ones(64), workers=2)
print(model.fit(batches, epochs=10, shuffle=False, verbose=0).history["accuracy"][-1])
"""


@pytest.mark.slow
def test_on_jax():
    pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", ON_JAX], env=environment, capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[0]) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "expected sentences to make batches of, got none"),
        ((IDS, LABELS[:49]), "expected as many labels as sentences, got 50 sentences and 49 labels"),
        ((IDS, LABELS, 8, 0, [1.0]), "expected as many weights as sentences, got 50 sentences and 1 weights"),
        ((IDS, LABELS, 0), "batch_size must be at least 1, not 0"),
        ((IDS, LABELS, 8, -1), "seed must be at least 0, not -1"),
    ],
)
def test_what_can_t_be(arguments, message):
    with pytest.raises((DataError, SettingsError)) as caught:
        BucketedBatches(*arguments)
    assert str(caught.value) == message
