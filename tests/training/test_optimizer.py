"""The fused AdamW against Keras's own, and the row updates against numbers computed by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from intent_bert.training.fit import WarmupThenDecay
from intent_bert.training.optimizer import AdamW


def run(optimizer: keras.optimizers.Optimizer, gradients: list[list[np.ndarray]]) -> list[np.ndarray]:
    """The weights after these gradients, from the same start."""
    rng = np.random.default_rng(0)
    names = ("kernel", "bias", "gamma", "word_embeddings")
    weights = [keras.Variable(rng.normal(size=gradients[0][0].shape).astype("float32"), name=name) for name in names]
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "embeddings"])
    optimizer.build(weights)
    for step in gradients:
        optimizer.apply_gradients(zip(map(tf.constant, step), weights, strict=True))
    return [weight.numpy() for weight in weights]


def gradients_of(steps: int) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(1)
    return [[rng.normal(size=(5, 3)).astype("float32") for _ in range(4)] for _ in range(steps)]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("schedule", [False, True])
def test_dense_updates_are_those_of_keras(weight_decay, schedule):
    def rate() -> float | WarmupThenDecay:
        return WarmupThenDecay(0.05, 3, 8) if schedule else 0.05

    settings = {"weight_decay": weight_decay, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6}
    ours = run(AdamW(rate(), **settings), gradients_of(6))
    keras_own = run(keras.optimizers.AdamW(rate(), **settings), gradients_of(6))
    start = run(AdamW(rate(), **settings), gradients_of(1))
    for mine, theirs, first in zip(ours, keras_own, start, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
        assert np.abs(mine - first).max() > 0.05


def test_only_weights_that_are_not_excluded_decay():
    nothing = [[np.zeros((5, 3), "float32")] * 4] * 2
    before = run(AdamW(0.1, weight_decay=0.0), nothing)
    after = run(AdamW(0.1, weight_decay=0.5), nothing)
    np.testing.assert_allclose(after[0], before[0] * (1 - 0.1 * 0.5) ** 2, rtol=1e-6)
    for place in (1, 2, 3):
        np.testing.assert_array_equal(after[place], before[place])


def test_new_weights_take_larger_steps():
    """Adam's first step is the learning rate, whatever the gradient."""
    with keras.name_scope("bert"):
        old = keras.Variable(np.zeros(3, "float32"), name="kernel")
    new = keras.Variable(np.zeros(3, "float32"), name="kernel")
    optimizer = AdamW(0.01, weight_decay=0.0, new_weights_factor=5.0)
    optimizer.build([old, new])
    optimizer.apply_gradients([(tf.ones(3), old), (tf.ones(3), new)])
    np.testing.assert_allclose(old, [-0.01] * 3, rtol=1e-4)
    np.testing.assert_allclose(new, [-0.05] * 3, rtol=1e-4)
    assert AdamW.from_config(optimizer.get_config()).new_weights_factor == 5.0


def test_rows_are_updated_as_lazy_adam_by_hand():
    """Words 1, 3, 1, then 3, then 0, 1: a row's moments move only when it is seen; repeated rows are summed."""
    start = np.arange(8, dtype="float32").reshape(4, 2) / 10
    table = keras.Variable(start, name="word_embeddings")
    optimizer = AdamW(0.01, weight_decay=0.0, beta_1=0.9, beta_2=0.99, epsilon=1e-7)
    optimizer.build([table])
    steps = [
        ([1, 3, 1], [[1.0, 2.0], [0.5, -1.0], [3.0, -2.0]]),
        ([3], [[-2.0, 4.0]]),
        ([0, 1], [[0.1, 0.2], [1.0, 1.0]]),
    ]
    expected, m, v = start.astype("float64"), np.zeros((4, 2)), np.zeros((4, 2))
    for number, (rows, values) in enumerate(steps, start=1):
        optimizer.apply_gradients([(tf.IndexedSlices(tf.constant(values), tf.constant(rows), (4, 2)), table)])
        summed: dict[int, np.ndarray] = {}
        for row, value in zip(rows, values, strict=True):
            summed[row] = summed.get(row, 0) + np.array(value)
        rate = 0.01 * np.sqrt(1 - 0.99**number) / (1 - 0.9**number)
        for row, gradient in summed.items():
            m[row] = 0.9 * m[row] + 0.1 * gradient
            v[row] = 0.99 * v[row] + 0.01 * gradient**2
            expected[row] -= rate * m[row] / (np.sqrt(v[row]) + 1e-7)
        np.testing.assert_allclose(table.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(table.numpy()[2], start[2])
    assert np.abs(table.numpy()[[0, 1, 3]] - start[[0, 1, 3]]).min() > 0.004


def test_rows_seen_once_move_as_dense_adam_would():
    start = np.ones((4, 2), "float32")
    rows, values = [0, 2], [[1.0, -2.0], [0.5, 3.0]]
    dense = np.zeros((4, 2), "float32")
    dense[rows] = values
    results = []
    for gradient in (tf.constant(dense), tf.IndexedSlices(tf.constant(values), tf.constant(rows), (4, 2))):
        table = keras.Variable(start)
        optimizer = AdamW(0.1, weight_decay=0.0)
        optimizer.build([table])
        optimizer.apply_gradients([(gradient, table)])
        results.append(table.numpy())
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_a_model_with_an_embedding_gets_row_gradients_and_trains_alike():
    """The whole way, through ``compile`` and a traced step: words that no sentence holds do not move at all."""
    model = keras.Sequential([keras.layers.Embedding(20, 4), keras.layers.Flatten(), keras.layers.Dense(1)])
    x = np.array([[1, 2, 3], [3, 5, 1]])
    model.build((None, 3))
    before = model.layers[0].embeddings.numpy()
    model.compile(AdamW(0.1, weight_decay=0.0), "mse")
    model.fit(x, np.array([1.0, 2.0]), epochs=3, verbose=0)
    moved = np.abs(model.layers[0].embeddings.numpy() - before).max(axis=1) > 0
    assert np.flatnonzero(moved).tolist() == [1, 2, 3, 5]


def test_the_optimizer_survives_its_config():
    optimizer = AdamW(0.01, weight_decay=0.02, beta_2=0.9)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is AdamW
    assert (again.weight_decay, again.beta_2) == (0.02, 0.9)
