"""The fit: which weights it keeps, what Ctrl-C leaves, seeds, the schedule, and that it learns."""

import logging
import signal
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import f1_score

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.config import TrainingConfig
from intent_bert.data.labels import class_weights
from intent_bert.errors import SettingsError
from intent_bert.evaluation.metrics import Evaluation
from intent_bert.model.keras_engine import compiled, predict_in_batches
from intent_bert.model.network import create_model
from intent_bert.training import fit as fitting
from intent_bert.training.callbacks import MacroF1
from intent_bert.training.fit import compile_model, fine_tune
from intent_bert.training.prepare import Sentences

CLASSES = ["music", "table", "weather"]


def small_model() -> keras.Model:
    """Anything that takes ids (B, T) and gives probabilities will do where the fit itself is looked at."""
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="input_ids")
    encoder = keras.layers.Embedding(160, 8, name="bert")
    encoder.config, encoder.train_layers = SimpleNamespace(hidden_size=8), None
    x = keras.layers.GlobalAveragePooling1D()(encoder(ids))
    logits = keras.layers.Dense(3, name="logits")(x)
    return keras.Model(ids, keras.layers.Softmax(name="intent")(logits))


def batches_of(sentences: Sentences, config: TrainingConfig) -> Any:
    return fitting._batches(small_model(), fitting._Inputs(sentences, None), CLASSES, config, first_epoch=0)


@pytest.fixture(scope="module")
def sentences(small_table, quick_checkpoint) -> Sentences:
    return Sentences.of(small_table, FullTokenizer(quick_checkpoint / "vocab.txt"), 32)


def config_of(**settings: Any) -> TrainingConfig:
    return TrainingConfig(**{"epochs": 4, "batch_size": 16, "learning_rate": 0.01, **settings})


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch, self.now = epoch, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.now == self.epoch and batch == 2:
            signal.raise_signal(signal.SIGINT)


def run(
    model: keras.Model, sentences: Sentences, validation: Sentences | None, config: TrainingConfig, *callbacks: Any
):
    """The history, whether it was interrupted, and the weights after each epoch."""
    after: list[list[np.ndarray]] = []
    result = fine_tune(
        model,
        sentences,
        validation,
        CLASSES,
        config,
        report=lambda *_: after.append(model.get_weights()),
        callbacks=callbacks,
        verbose=0,
    )
    return result.history, result.interrupted, after


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# --- which weights are kept --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([(0.5, 1.0), (0.8, 0.5), (0.8, 0.4), (0.7, 0.1)], 2),  # the highest accuracy, then the lowest loss
        ([(0.9, 0.5), (0.8, 0.1), (0.9, 0.5), (0.9, 0.6)], 0),  # the first of two alike
        ([(0.1, 2.0), (0.2, 2.0), (0.3, 2.0), (0.4, 2.0)], 3),
        ([(0.0, float("nan"))] * 4, 3),  # no label of the validation table is known: the last
    ],
)
def test_the_best_epoch_by_validation_is_kept(sentences, monkeypatch, scores, best):
    script = iter(scores)

    def scripted(*_: Any) -> SimpleNamespace:
        accuracy, loss = next(script)
        metrics = {"METRICS": Evaluation.METRICS, "score": (accuracy, -loss)}
        return SimpleNamespace(accuracy=accuracy, loss=loss, macro_f1=accuracy, **metrics)

    monkeypatch.setattr(fitting, "evaluate", scripted)
    model = small_model()
    history, interrupted, after = run(model, sentences, sentences, config_of())
    assert not interrupted
    assert history["val_accuracy"].tolist() == [accuracy for accuracy, _ in scores]
    assert history.index.tolist() == [1, 2, 3, 4]
    assert [place for place, weights in enumerate(after) if same(model.get_weights(), weights)] == [best]


def test_without_validation_the_last_epoch_is_kept(sentences):
    model = small_model()
    history, _, after = run(model, sentences, None, config_of(epochs=2))
    assert same(model.get_weights(), after[1])
    assert not same(model.get_weights(), after[0])
    assert set(history.columns) == {"accuracy", "loss", "macro_f1"}


@pytest.mark.parametrize("validated", [True, False])
def test_ctrl_c_in_the_second_epoch_keeps_the_first_and_says_so(sentences, caplog, validated):
    model = small_model()
    with caplog.at_level(logging.WARNING, "intent_bert"):
        history, interrupted, after = run(model, sentences, sentences if validated else None, config_of(), Interrupt(1))
    assert interrupted
    assert same(model.get_weights(), after[0])
    assert len(history) == len(after) == 1
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["interrupted: training stops here, the weights are those of epoch 1"]


def test_ctrl_c_before_the_first_epoch_is_done_goes_on(sentences, caplog, capsys):
    model = small_model()
    with caplog.at_level(logging.WARNING, "intent_bert"), pytest.raises(KeyboardInterrupt):
        fine_tune(model, sentences, None, CLASSES, config_of(), callbacks=[Interrupt(0)])
    assert caplog.messages == ["interrupted before the first epoch was done: there is nothing to keep"]
    assert "epoch 1/4" in capsys.readouterr().err


def test_several_models_start_alike_and_their_mean_is_kept(sentences):
    model = small_model()
    first = model.get_weights()
    history, _, after = run(model, sentences, None, config_of(epochs=2, models=3))
    assert len(history) == len(after) == 6
    ends = [after[1], after[3], after[5]]
    for kept, *each in zip(model.get_weights(), *ends, strict=True):
        np.testing.assert_allclose(kept, np.mean(each, axis=0), atol=1e-6)
    assert not same(ends[0], ends[1])  # another order of the sentences
    alone = small_model()
    alone.set_weights(first)
    run(alone, sentences, None, config_of(epochs=2))
    assert same(alone.get_weights(), ends[0])  # the first is what a single one would be
    distances = [sum(float(np.abs(a - b).sum()) for a, b in zip(first, end, strict=True)) for end in ends]
    assert max(distances) < 2 * min(distances)  # the second does not go on where the first was


def test_ctrl_c_in_a_later_model_keeps_the_mean_of_those_that_are_done(sentences, caplog):
    model = small_model()
    with caplog.at_level(logging.WARNING, "intent_bert"):
        history, interrupted, after = run(model, sentences, None, config_of(epochs=1, models=3), Interrupt(2))
    told = "interrupted: training stops here, the weights are the mean of the 2 models that are done"
    assert caplog.messages == [told]
    assert interrupted and len(history) == 2
    for kept, *each in zip(model.get_weights(), *after, strict=True):
        np.testing.assert_allclose(kept, np.mean(each, axis=0), atol=1e-6)


# --- what a fit is made of ---------------------------------------------------------------------------------------


def test_each_epoch_sees_each_sentence_once_in_a_new_order(sentences):
    config = config_of(batch_size=7)
    steps = -(-len(sentences.ids) // 7)
    batches = batches_of(sentences, config).take(2 * steps)
    seen = [
        (*(int(number) for number in row if number), int(label))
        for x, y in batches.as_numpy_iterator()
        for row, label in zip(x, y, strict=True)
    ]
    expected = sorted((*ids, CLASSES.index(label)) for ids, label in zip(sentences.ids, sentences.labels, strict=True))
    first, second = seen[: len(expected)], seen[len(expected) :]
    assert sorted(first) == sorted(second) == expected
    assert first != second


def test_balanced_weights_are_scikit_learns_and_reach_the_loss(sentences):
    from sklearn.utils.class_weight import compute_class_weight

    labels = ["music"] * 6 + ["table"] * 3 + ["weather"]
    weights = class_weights(labels, CLASSES, "balanced")
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.array(CLASSES), y=labels))
    assert class_weights(labels, CLASSES, None) is None
    given = {"weather": 3, "music": 1, "table": 2}
    assert class_weights(labels, CLASSES, given).tolist() == [1, 2, 3]
    batches = batches_of(sentences, config_of(class_weight=given))
    _, numbers, in_batch = next(batches.as_numpy_iterator())
    assert in_batch.tolist() == [number + 1 for number in numbers]

    few = Sentences(sentences.texts[:40], ["music"] * 38 + ["table"] * 2, sentences.ids[:40])
    scores = []
    for class_weight in (None, {"music": 0.01, "table": 1, "weather": 1}):
        model = small_model()
        fine_tune(model, few, None, CLASSES, config_of(epochs=8, class_weight=class_weight), verbose=0)
        scores.append(fitting.compiled(model)(fitting.pad(few.ids))[:, 1].mean())
    assert scores[1] > scores[0] + 0.1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"music": 1, "table": 1}, "have a weight for each label and no other: see 'weather'"),
        (
            {"music": 1, "table": 1, "weather": 1, "x": 1},
            "have a weight for each label and no other: see 'x'",
        ),
        ({"music": 1, "table": 0, "weather": 1}, "be above 0, not 0 for 'table'"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(given, expected):
    with pytest.raises(SettingsError) as caught:
        class_weights(CLASSES, CLASSES, given)
    assert str(caught.value) == f"class_weight must {expected}"


def test_progress_goes_to_stderr(sentences, capsys):
    fine_tune(small_model(), sentences, sentences, CLASSES, config_of(epochs=1))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 1/1: 100%" in captured.err
    assert "val_accuracy=" in captured.err


def test_the_training_step_is_traced_once(sentences, quick_checkpoint, monkeypatch):
    """Tracing takes seconds, and TensorFlow does it anew where the first step has made a variable."""
    model, traced = create_model(32, quick_checkpoint, CLASSES), []
    step = keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda *given: traced.append(given[1][0].shape) or step(*given))
    run(model, sentences, None, config_of(epochs=2))
    assert [tuple(shape) for shape in traced] == [(None, None)]


def test_many_fits_in_a_process_are_no_reason_to_warn(sentences, caplog):
    for _ in range(7):
        run(model := small_model(), sentences, None, config_of(epochs=1, batch_size=64))
        predict_in_batches(compiled(model), sentences.ids[:1], len(CLASSES))
    assert caplog.messages == []
    logging.getLogger("tensorflow").warning("5 out of the last 5 calls triggered tf.function retracing")
    assert len(caplog.messages) == 1, "others are warned as before"


def test_the_recipe_is_what_is_compiled():
    model = small_model()
    compile_model(model, TrainingConfig(learning_rate=0.5, warmup=0.1), 20)
    rates = [float(model.optimizer._learning_rate(step)) for step in (0, 1, 2, 11, 19)]
    assert rates == pytest.approx([0.25, 0.5, 0.5, 0.25, 0.5 / 18])
    compile_model(model, TrainingConfig.from_recipe("tutorial"), 20)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-5)
    assert model.optimizer.weight_decay == 0


def test_only_kernels_decay(quick_checkpoint):
    import tensorflow as tf

    model = create_model(16, quick_checkpoint, 3)
    compile_model(model, TrainingConfig(learning_rate=0.5, warmup=0, decay=False, weight_decay=0.5), 1)
    before = {weight.path: weight.numpy() for weight in model.trainable_weights}
    zeros = [tf.zeros_like(weight) for weight in model.trainable_weights]
    model.optimizer.apply_gradients(zip(zeros, model.trainable_weights, strict=True))
    moved = {w.path for w in model.trainable_weights if not np.array_equal(w.numpy(), before[w.path])}
    assert moved == {path for path in before if path.endswith("kernel")}
    assert len(moved) == 6 + 2  # six in the one layer, dense and logits
    np.testing.assert_allclose(model.get_layer("logits").kernel, before["logits/kernel"] * 0.75, rtol=1e-6)


def test_macro_f1_of_a_fit_is_scikit_learns():
    rng = np.random.default_rng(0)
    truth, probabilities = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50).astype("float32")
    metric = MacroF1(3)
    for start in range(0, 50, 13):
        metric.update_state(truth[start : start + 13], probabilities[start : start + 13])
    expected = f1_score(truth, probabilities.argmax(axis=1), average="macro")
    assert float(metric.result()) == pytest.approx(expected)
    assert MacroF1.from_config(metric.get_config()).number_of_classes == 3


# --- the real encoder --------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_one_others(sentences, quick_checkpoint):
    def weights(seed: int) -> list[np.ndarray]:
        config = config_of(epochs=1, learning_rate=1e-3, seed=seed, dropout=0.5)
        keras.utils.set_random_seed(seed)
        model = create_model(32, quick_checkpoint, CLASSES, dropout=0.5)
        run(model, sentences, None, config)
        return [np.array(weight) for weight in model.trainable_weights]

    first, again, other = weights(3), weights(3), weights(4)
    assert same(first, again)
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_it_learns(trained):
    assert trained.evaluations["train"].accuracy > 0.95
    assert trained.evaluations["test"].accuracy > 0.9
    assert trained.history["loss"].iloc[-1] < 0.5 * trained.history["loss"].iloc[0]
