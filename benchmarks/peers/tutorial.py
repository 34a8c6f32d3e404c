"""The tutorial "Intent Recognition with BERT using Keras and TensorFlow 2" on its own stack, bert-for-tf2 on tf_keras.

Its model, its optimizer and loss, its batches of 16 padded to the longest sentence, its five epochs at 1e-5. The
package imports ``tensorflow.python.keras``, which no longer exists as it knew it; it gets tf_keras under that name.
"""

import os
import sys
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras

sys.modules["tensorflow.python.keras"] = tf_keras
sys.modules["tensorflow.python.keras.backend"] = tf_keras.backend
sys.modules["tensorflow.python"].keras = tf_keras

import bert  # noqa: E402
from bert.loader import StockBertConfig, load_stock_weights, map_stock_config_to_params  # noqa: E402
from bert.tokenization.bert_tokenization import FullTokenizer  # noqa: E402
from protocol import Request, clock_of, report, share_right, snips, stopping  # noqa: E402

BATCH, EPOCHS, LEARNING_RATE = 16, 5, 1e-5


def padded_ids(texts: list[str], tokenizer: FullTokenizer, length: int) -> np.ndarray:
    """[CLS] ids [SEP] of every sentence, 0 up to the length of the longest: int32 (sentences, length)."""
    matrix = np.zeros((len(texts), length), "int32")
    for row, text in enumerate(texts):
        tokens = ["[CLS]", *tokenizer.tokenize(text), "[SEP]"][:length]
        matrix[row, : len(tokens)] = tokenizer.convert_tokens_to_ids(tokens)
    return matrix


def create_model(folder: Any, length: int, classes: int) -> tf_keras.Model:
    config = StockBertConfig.from_json_string((folder / "bert_config.json").read_text(encoding="utf-8"))
    params = map_stock_config_to_params(config)
    params.adapter_size = None
    encoder = bert.BertModelLayer.from_params(params, name="bert")
    input_ids = tf_keras.layers.Input((length,), dtype="int32", name="input_ids")
    x = tf_keras.layers.Lambda(lambda states: states[:, 0, :])(encoder(input_ids))
    x = tf_keras.layers.Dropout(0.5)(x)
    x = tf_keras.layers.Dense(768, activation="tanh")(x)
    x = tf_keras.layers.Dropout(0.5)(x)
    x = tf_keras.layers.Dense(classes, activation="softmax")(x)
    model = tf_keras.Model(input_ids, x)
    model.build((None, length))
    if load_stock_weights(encoder, str(folder / "bert_model.ckpt")):
        raise ValueError("the checkpoint does not fit")
    model.compile(
        optimizer=tf_keras.optimizers.Adam(LEARNING_RATE),
        loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[tf_keras.metrics.SparseCategoricalAccuracy(name="acc")],
    )
    return model


def main() -> None:
    request = Request.read()
    train, test = snips(request)
    folder = request.folder / "stock"
    tokenizer = FullTokenizer(vocab_file=str(folder / "vocab.txt"))
    train_x, test_x = (padded_ids(each.texts, tokenizer, request.longest) for each in (train, test))
    tf.random.set_seed(request.seed)
    model = create_model(folder, request.longest, len(train.classes))
    probabilities = tf.function(lambda ids: model(ids, training=False))

    def accuracy() -> float:
        parts = [
            probabilities(tf.constant(test_x[first : first + 100])).numpy() for first in range(0, len(test_x), 100)
        ]
        return share_right(list(np.concatenate(parts).argmax(-1)), test.labels)

    clock = clock_of(request, BATCH)
    clock.start()
    model.fit(
        train_x,
        np.array(train.labels),
        batch_size=BATCH,
        shuffle=True,
        epochs=1 if request.task == "speed" else EPOCHS,
        callbacks=[stopping(tf_keras, clock, accuracy)],
        verbose=0,
    )
    report(clock.result(accuracy), "tensorflow", "tf_keras", "bert-for-tf2")


if __name__ == "__main__":
    main()
