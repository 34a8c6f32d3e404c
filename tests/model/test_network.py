"""The classifier: pooling worked by hand, limits, saving, padding, and a loss that takes the softmax once."""

import keras
import numpy as np
import pytest

from intent_bert.bert.config import params_from_pretrained_ckpt
from intent_bert.config import POOLINGS, Architecture
from intent_bert.data.batches import pad
from intent_bert.errors import CheckpointError, SettingsError
from intent_bert.model.keras_engine import compiled, predict_in_batches
from intent_bert.model.network import build_model, create_model
from intent_bert.model.pooling import TokenPooling

SENTENCES = [[2, 10, 11, 12, 3], [2, 20, 3], [2, 30, 31, 3]]


@pytest.fixture(scope="module")
def model(tiny_checkpoint) -> keras.Model:
    keras.utils.set_random_seed(0)
    return create_model(32, tiny_checkpoint, ["a", "b", "c"])


# --- pooling -----------------------------------------------------------------------------------------------------


def by_hand(pooling: str, layers: list[np.ndarray], ids: np.ndarray) -> np.ndarray:
    """One sentence after the other, its tokens alone."""
    rows = []
    for sentence in range(len(ids)):
        tokens = [place for place in range(ids.shape[1]) if ids[sentence, place] != 0]
        last = [layers[-1][sentence, place] for place in tokens]
        if pooling == "cls":
            rows.append(last[0])
        elif pooling == "mean":
            rows.append(sum(last) / len(last))
        elif pooling == "max":
            rows.append([max(vector[unit] for vector in last) for unit in range(len(last[0]))])
        else:
            four = [[layer[sentence, place] for layer in layers] for place in tokens]
            join = {"sum_last_four": sum, "mean_last_four": lambda each: sum(each) / 4}.get(pooling, np.concatenate)
            joined = [join(each) for each in four]
            rows.append(sum(joined) / len(joined))
    return np.array(rows)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_by_hand_with_padding(pooling):
    rng = np.random.default_rng(0)
    ids = pad(SENTENCES, 7)
    layers = [rng.normal(-3, 1, (3, 7, 6)).astype("float32") for _ in range(4)]  # below 0: padding would be the max
    given = layers if pooling.endswith("last_four") else layers[-1]
    layer = TokenPooling(pooling)
    pooled = layer(given, ids)
    np.testing.assert_allclose(pooled, by_hand(pooling, layers, ids), atol=1e-5)
    shapes = [(None, None, 6)] * 4 if pooling.endswith("last_four") else (None, None, 6)
    assert layer.compute_output_shape(shapes, (None, None)) == (None, pooled.shape[1])
    assert TokenPooling.from_config(layer.get_config()).pooling == pooling


@pytest.mark.parametrize("pooling", ["max", "concat_last_four"])
def test_the_model_pools_the_encoders_layers(tiny_checkpoint, pooling):
    model = create_model(32, tiny_checkpoint, 3, pooling=pooling)
    ids = pad(SENTENCES)
    vector = keras.Model(model.input, model.get_layer("pooling").output)(ids)
    hidden = keras.Model(model.input, model.get_layer("bert").output)(ids)
    layers = [np.array(each) for each in hidden] if isinstance(hidden, list) else [np.array(hidden)]
    assert len(layers) == (4 if pooling.endswith("four") else 1)
    np.testing.assert_allclose(vector, by_hand(pooling, layers, ids), atol=1e-5)


# --- what create_model gives, and refuses ------------------------------------------------------------------------


def test_the_model_is_as_the_card_says(model):
    assert [layer.name for layer in model.layers] == [
        "input_ids", "bert", "pooling", "dropout", "dense", "dropout_2", "logits", "intent",
    ]  # fmt: skip
    assert model.inputs[0].name == "input_ids"
    assert model.inputs[0].dtype == "int32"
    assert model.output_shape == (None, 3)
    assert (model.get_layer("dropout").rate, model.get_layer("dropout_2").rate) == (0.5, 0.5)
    dense = model.get_layer("dense")
    assert (dense.units, dense.activation) == (32, keras.activations.tanh)
    np.testing.assert_allclose(np.sum(model(pad(SENTENCES)), axis=1), 1, atol=1e-6)


def test_the_weights_are_the_checkpoints(model, tiny_checkpoint):
    from conftest import tiny_weights

    expected = tiny_weights()["bert/encoder/layer_2/intermediate/dense/kernel"]
    np.testing.assert_array_equal(model.get_layer("bert").encoder_layers[2].intermediate.kernel, expected)
    by_prefix = create_model(8, tiny_checkpoint / "bert_model.ckpt", 2)
    np.testing.assert_array_equal(by_prefix.get_layer("bert").encoder_layers[2].intermediate.kernel, expected)
    assert by_prefix.output_shape == (None, 2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"pooling": "first"}, "unknown pooling 'first': expected one of cls, mean, max, sum_last_four, mean_last_f"),
        ({"max_seq_len": 49}, "max_seq_len must be 3 to 48 tokens for this checkpoint, not 49"),
        ({"max_seq_len": 2}, "max_seq_len must be at least 3, for [CLS], a token and [SEP], not 2"),
        ({"head": "lstm"}, "unknown head 'lstm': expected one of dense, linear, cosine, rnn"),
        ({"head": "rnn", "pooling": "mean"}, "head 'rnn' reads the vectors of all tokens: leave out pooling 'mean'"),
        ({"train_layers": 5}, "train_layers must be 0 to 4 for this encoder, not 5"),
        ({"classes": "ab"}, "classes must be the intents or their number, not 'ab'"),
        ({"classes": None}, "classes must be the intents or their number, not None"),
        ({"classes": ["a"]}, "a classifier needs at least two intents, not 1"),
        ({"bert_ckpt_file": "all-MiniLM-L6-v3"}, "'all-MiniLM-L6-v3' is"),
    ],
)
def test_wrong_arguments_are_refused(tiny_checkpoint, arguments, expected):
    with pytest.raises(SettingsError) as caught:
        create_model(**{"max_seq_len": 32, "bert_ckpt_file": tiny_checkpoint, "classes": 3, **arguments})
    assert expected in str(caught.value)


def test_four_layers_are_needed_for_the_last_four(quick_checkpoint):
    with pytest.raises(SettingsError, match=r"^pooling 'sum_last_four' needs four layers, the checkpoint has 1$"):
        create_model(32, quick_checkpoint, 3, pooling="sum_last_four")
    with pytest.raises(SettingsError, match="49 tokens are too many: this checkpoint has 48 positions"):
        create_model(32, quick_checkpoint, 3)(np.ones((1, 49), "int32"))
    with pytest.raises(CheckpointError, match="is no checkpoint folder"):
        create_model(32, quick_checkpoint.parent, 3)


def test_mixed_precision_computes_in_bfloat16_and_answers_in_float32(quick_checkpoint):
    keras.utils.set_random_seed(0)
    exact = create_model(32, quick_checkpoint, 3)
    mixed = create_model(32, quick_checkpoint, 3, dtype="mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    assert {weight.dtype for weight in mixed.weights if "seed" not in weight.path} == {"float32"}
    assert mixed.get_layer("bert").compute_dtype == "bfloat16"
    answers = mixed(pad(SENTENCES))
    assert answers.dtype == "float32"
    difference = np.abs(np.array(answers) - np.array(exact(pad(SENTENCES)))).max()
    assert 0 < difference < 0.05


def test_adapters_leave_only_themselves_the_norms_and_the_head_to_train(quick_checkpoint):
    model = create_model(32, quick_checkpoint, 3, adapter_size=4)
    trained = {weight.path.split("/", 1)[1] for weight in model.trainable_weights}
    assert not [path for path in trained if "embeddings" in path.split("/")[-1] or "query" in path]
    assert [path for path in trained if "adapter-down" in path]
    assert [path for path in trained if "LayerNorm" in path]
    assert len([path for path in trained if path in ("kernel", "bias")]) == 2  # dense and logits
    before = model.get_layer("bert").embeddings.word_embeddings.numpy()
    model.compile(keras.optimizers.Adam(0.1), keras.losses.SparseCategoricalCrossentropy())
    model.fit(pad(SENTENCES), np.array([0, 1, 2]), verbose=0)
    np.testing.assert_array_equal(model.get_layer("bert").embeddings.word_embeddings.numpy(), before)


def test_the_last_layer_computes_cls_alone_and_answers_the_same(tiny_checkpoint):
    keras.utils.set_random_seed(0)
    short = create_model(32, tiny_checkpoint, 3)
    bert = short.get_layer("bert")
    assert bert.first_only and bert.output.shape == (None, 1, 32)
    bert.first_only = False  # traced anew below
    ids = pad(SENTENCES)
    whole = keras.Model(short.input, short.get_layer("intent").output)
    hidden = bert(ids)
    assert hidden.shape == (3, 5, 32)
    expected = short.get_layer("intent")(short.get_layer("logits")(short.get_layer("dense")(hidden[:, 0])))
    bert.first_only = True
    assert bert(ids).shape == (3, 1, 32)
    np.testing.assert_allclose(bert(ids)[:, 0], hidden[:, 0], atol=1e-6)
    np.testing.assert_allclose(whole(ids), expected, atol=1e-6)
    assert not create_model(32, tiny_checkpoint, 3, pooling="mean").get_layer("bert").first_only
    assert not create_model(32, tiny_checkpoint, 3, head="rnn").get_layer("bert").first_only


@pytest.mark.parametrize("head", ["linear", "rnn"])
def test_the_other_heads_ignore_padding_and_stand_where_they_should(quick_checkpoint, head):
    keras.utils.set_random_seed(0)
    model = create_model(32, quick_checkpoint, 3, head=head)
    between = {"linear": ["pooling", "dropout"], "rnn": ["rnn", "dropout"]}[head]
    names = [layer.name for layer in model.layers if layer.name not in ("input_ids", "not_equal")]
    assert names == ["bert", *between, "logits", "intent"]
    np.testing.assert_allclose(model(pad(SENTENCES)), model(pad(SENTENCES, 30)), atol=1e-6)
    for row, sentence in enumerate(SENTENCES):
        np.testing.assert_allclose(model(pad([sentence]))[0], model(pad(SENTENCES))[row], atol=1e-6)


@pytest.mark.parametrize(
    ("train_layers", "layers"), [("all", [0, 1, 2, 3]), (2, [2, 3]), ("head", []), (4, [0, 1, 2, 3])]
)
def test_only_the_last_layers_and_the_head_learn(tiny_checkpoint, train_layers, layers):
    model = create_model(32, tiny_checkpoint, 3, train_layers=train_layers)
    bert = model.get_layer("bert")
    assert [number for number, layer in enumerate(bert.encoder_layers) if layer.trainable_weights] == layers
    assert bool(bert.embeddings.trainable_weights) == (train_layers == "all")
    assert len(model.trainable_weights) == len(bert.trainable_weights) + 4  # dense and logits


@pytest.mark.parametrize("pooling", ["cls", "concat_last_four"])
def test_the_whole_model_saves_and_loads_in_safe_mode(tiny_checkpoint, tmp_path, pooling):
    model = create_model(32, tiny_checkpoint, 3, pooling=pooling, adapter_size=2, dropout=0.25)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(pad(SENTENCES)), model(pad(SENTENCES)), atol=1e-6)
    assert loaded.get_layer("dropout").rate == 0.25


def test_build_model_leaves_the_parameters_it_was_given_alone(tiny_checkpoint):
    params = params_from_pretrained_ckpt(tiny_checkpoint)
    build_model(params, 3, Architecture(pooling="concat_last_four"))
    assert params.out_layer_ndxs is None


# --- answers -----------------------------------------------------------------------------------------------------


def test_more_padding_changes_no_probability(tiny_checkpoint):
    for pooling in ("cls", "mean", "max", "sum_last_four"):
        model = create_model(48, tiny_checkpoint, 3, pooling=pooling)
        short, long = model(pad(SENTENCES)), model(pad(SENTENCES, 48))
        np.testing.assert_allclose(short, long, atol=1e-5)
        assert np.ptp(np.array(short), axis=0).max() > 1e-3


def test_batches_of_any_size_give_the_same_in_order(model):
    rng = np.random.default_rng(0)
    ids = [[2, *rng.integers(5, 100, size=length).tolist(), 3] for length in rng.integers(1, 20, size=30)]
    predict = compiled(model)
    expected = np.array(model(pad(ids)))
    for batch_size in (1, 7, 64):
        np.testing.assert_allclose(predict_in_batches(predict, ids, 3, batch_size), expected, atol=1e-5)
    assert predict_in_batches(predict, [], 3).shape == (0, 3)


def test_the_loss_takes_the_softmax_once_and_gradients_flow(quick_checkpoint):
    model = create_model(32, quick_checkpoint, 3, dropout=0.0)
    truth = np.array([2, 0, 1])
    model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy())
    x = pad(SENTENCES)
    logits = np.array(keras.Model(model.input, model.get_layer("logits").output)(x), "float64")
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = shifted / shifted.sum(axis=1, keepdims=True)
    by_hand = -np.log(chances[range(3), truth]).mean()
    assert model.train_on_batch(x, truth) == pytest.approx(by_hand, abs=1e-5)
    twice = np.exp(chances) / np.exp(chances).sum(axis=1, keepdims=True)
    assert abs(-np.log(twice[range(3), truth]).mean() - by_hand) > 1e-3

    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, truth, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    kernel = next(g for g, w in zip(gradients, model.trainable_variables, strict=True) if w.path == "logits/kernel")
    dense = np.array(keras.Model(model.input, model.get_layer("dense").output)(x), "float64")
    np.testing.assert_allclose(kernel, dense.T @ (chances - np.eye(3)[truth]) / 3, atol=1e-5)


def test_a_confident_mistake_still_has_a_gradient(quick_checkpoint):
    """With probabilities alone, softmax rounds to 0 and the gradient dies; the loss must see the logits."""
    model = create_model(32, quick_checkpoint, 2, dropout=0.0)
    logits = model.get_layer("logits")
    logits.bias.assign([200.0, 0.0])
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(), jit_compile=False)
    history = model.fit(pad(SENTENCES), np.array([1, 1, 1]), verbose=0)
    assert history.history["loss"][0] > 150
    assert logits.bias.numpy()[1] > 0.9
