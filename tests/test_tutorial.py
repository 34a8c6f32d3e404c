"""The cells of "Intent Recognition with BERT using Keras and TensorFlow 2", with the import lines changed."""

import os

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import intent_bert
from intent_bert import IntentDetectionData
from intent_bert.bert import (
    BertModelLayer,
    FullTokenizer,
    StockBertConfig,
    load_stock_weights,
    map_stock_config_to_params,
)


@pytest.fixture
def places(quick_checkpoint) -> tuple[str, str]:
    """The tutorial's ``bert_ckpt_file`` and ``bert_config_file``."""
    folder = str(quick_checkpoint)
    return os.path.join(folder, "bert_model.ckpt"), os.path.join(folder, "bert_config.json")  # noqa: PTH118


def tutorials_own(max_seq_len: int, bert_ckpt_file: str, bert_config_file: str, classes: list[str]) -> keras.Model:
    """The ``create_model`` that the tutorial writes by hand."""
    with tf.io.gfile.GFile(bert_config_file, "r") as reader:
        bc = StockBertConfig.from_json_string(reader.read())
        bert_params = map_stock_config_to_params(bc)
        bert_params.adapter_size = None
        bert = BertModelLayer.from_params(bert_params, name="bert")

    input_ids = keras.layers.Input(shape=(max_seq_len,), dtype="int32", name="input_ids")
    bert_output = bert(input_ids)
    cls_out = keras.layers.Lambda(lambda seq: seq[:, 0, :])(bert_output)
    cls_out = keras.layers.Dropout(0.5)(cls_out)
    logits = keras.layers.Dense(units=768, activation="tanh")(cls_out)
    logits = keras.layers.Dropout(0.5)(logits)
    logits = keras.layers.Dense(units=len(classes), activation="softmax")(logits)
    model = keras.Model(inputs=input_ids, outputs=logits)
    model.build(input_shape=(None, max_seq_len))
    load_stock_weights(bert, bert_ckpt_file)
    return model


def ours(max_seq_len: int, bert_ckpt_file: str, bert_config_file: str, classes: list[str]) -> keras.Model:
    return intent_bert.create_model(max_seq_len, bert_ckpt_file, classes=classes)


@pytest.mark.parametrize("create_model", [tutorials_own, ours])
def test_the_tutorial_from_top_to_bottom(create_model, places, small_table, tmp_path):
    bert_ckpt_file, bert_config_file = places
    shuffled = small_table.sample(frac=1, random_state=0)
    train, test = shuffled.iloc[:36].reset_index(), shuffled.iloc[36:72].reset_index()

    tokenizer = FullTokenizer(vocab_file=os.path.join(os.path.dirname(bert_ckpt_file), "vocab.txt"))  # noqa: PTH118, PTH120
    tokens = tokenizer.tokenize("Play my song!")
    assert tokens == ["play", "my", "song", "!"]
    assert tokenizer.convert_ids_to_tokens(tokenizer.convert_tokens_to_ids(tokens)) == tokens

    classes = train.intent.unique().tolist()
    data = IntentDetectionData(train, test, tokenizer, classes, max_seq_len=128)
    assert data.train_x.shape == (36, data.max_seq_len)
    assert data.train_x[0][0] == tokenizer.vocab["[CLS]"]
    assert data.train_y.shape == (36,)

    model = create_model(data.max_seq_len, bert_ckpt_file, bert_config_file, classes)
    before = model.get_layer("bert").embeddings.word_embeddings.numpy()
    reader = tf.train.load_checkpoint(bert_ckpt_file)
    np.testing.assert_array_equal(before, reader.get_tensor("bert/embeddings/word_embeddings"))
    model.summary(print_fn=lambda _: None)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-5),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
    )
    log_dir = tmp_path / "log" / "intent_detection"
    tensorboard_callback = keras.callbacks.TensorBoard(log_dir=str(log_dir))
    model.fit(
        x=data.train_x, y=data.train_y, validation_split=0.1, batch_size=16, shuffle=True, epochs=1,
        callbacks=[tensorboard_callback], verbose=0,
    )  # fmt: skip
    history = model.history.history
    assert set(history) == {"loss", "acc", "val_loss", "val_acc"}
    assert list(log_dir.glob("train/events*"))
    assert list(log_dir.glob("validation/events*"))
    assert np.abs(model.get_layer("bert").embeddings.word_embeddings.numpy() - before).max() > 0

    _, train_acc = model.evaluate(data.train_x, data.train_y, verbose=0)
    _, test_acc = model.evaluate(data.test_x, data.test_y, verbose=0)
    y_pred = model.predict(data.test_x, verbose=0).argmax(axis=-1)
    assert np.mean(y_pred == data.test_y) == pytest.approx(test_acc)
    assert 0 <= train_acc <= 1

    sentences = ["Play our song now", "Rate this book as awful"]
    pred_tokens = map(tokenizer.tokenize, sentences)
    pred_tokens = (["[CLS]", *tokens, "[SEP]"] for tokens in pred_tokens)
    pred_token_ids = list(map(tokenizer.convert_tokens_to_ids, pred_tokens))
    pred_token_ids = (
        ids + [0] * (data.max_seq_len - len(ids)) for ids in pred_token_ids if len(ids) <= data.max_seq_len
    )
    pred_token_ids = np.array(list(pred_token_ids))
    predictions = model.predict(pred_token_ids, verbose=0).argmax(axis=-1)
    assert [classes[label] in classes for label in predictions] == [True] * len(pred_token_ids)
    assert len(pred_token_ids) > 0


def test_the_tutorials_validation_split_sees_every_intent(places, small_table):
    """``validation_split`` takes the last rows, which in a sorted table are of one intent."""
    tokenizer = FullTokenizer(vocab_file=os.path.join(os.path.dirname(places[0]), "vocab.txt"))  # noqa: PTH118, PTH120
    table = pd.DataFrame(small_table).sort_values("intent", ignore_index=True)
    data = IntentDetectionData(table, None, tokenizer, sorted(set(table.intent)), max_seq_len=128)
    assert set(data.train_y[-9:]) == {0, 1, 2}
