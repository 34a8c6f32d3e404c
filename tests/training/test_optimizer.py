"""The fused AdamW against Keras's own, and the row updates against numbers computed by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from intent_bert.training.optimizer import AdamW, WarmupThenDecay, adamw


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


def test_weights_of_the_head_take_larger_steps():
    """Adam's first step is the learning rate, whatever the gradient."""
    with keras.name_scope("bert"):
        old = keras.Variable(np.zeros(3, "float32"), name="kernel")
    new = keras.Variable(np.zeros(3, "float32"), name="kernel")
    optimizer = AdamW(0.01, weight_decay=0.0, head_learning_rate_multiplier=5.0)
    optimizer.build([old, new])
    optimizer.apply_gradients([(tf.ones(3), old), (tf.ones(3), new)])
    np.testing.assert_allclose(old, [-0.01] * 3, rtol=1e-4)
    np.testing.assert_allclose(new, [-0.05] * 3, rtol=1e-4)
    assert AdamW.from_config(optimizer.get_config()).head_learning_rate_multiplier == 5.0


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


# --- the schedule, and both in one call ----------------------------------------------------------------------------


def test_the_schedule_by_hand():
    rate = WarmupThenDecay(1.0, 4, 12)
    expected = {0: 0.25, 1: 0.5, 2: 0.75, 3: 1.0, 4: 1.0, 6: 0.75, 8: 0.5, 11: 0.125, 12: 0.0, 20: 0.0}
    assert {step: float(rate(step)) for step in expected} == pytest.approx(expected)
    assert float(WarmupThenDecay(0.3, 0, 0)(1000)) == pytest.approx(0.3)
    assert float(WarmupThenDecay(1.0, 2, 0)(1000)) == 1.0
    assert float(WarmupThenDecay(1.0, 0, 10)(5)) == 0.5
    assert WarmupThenDecay.from_config(rate.get_config()).get_config() == {"highest": 1.0, "warmup": 4, "total": 12}


def test_one_call_gives_the_optimizer_with_its_schedule():
    optimizer = adamw(0.5, 20, weight_decay=0.2, head_learning_rate_multiplier=3)
    rates = []
    for step in (0, 1, 2, 11, 19):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx([0.25, 0.5, 0.5, 0.25, 0.5 / 18])
    assert (optimizer.weight_decay, optimizer.head_learning_rate_multiplier) == (0.2, 3)
    constant = adamw(1e-5, 20, warmup=0, decay=False)
    assert float(constant.learning_rate) == pytest.approx(1e-5)
    constant.learning_rate = 1e-6  # no schedule stands in the way of ReduceLROnPlateau
    rising = adamw(0.5, 20, warmup=0.5, decay=False)
    rising.iterations.assign(4)
    assert float(rising.learning_rate) == pytest.approx(0.25)


def test_a_plain_model_compiled_with_it_learns_and_only_its_kernels_decay():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    model.compile(adamw(0.05, steps=30 * 4, weight_decay=0.01), "mse", jit_compile=False)
    losses = model.fit(x, x[:, :1] * x[:, 1:], batch_size=16, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]
    decayed = {weight.path for weight in model.trainable_weights if model.optimizer._use_weight_decay(weight)}
    assert decayed == {weight.path for weight in model.trainable_weights if weight.path.endswith("kernel")}
