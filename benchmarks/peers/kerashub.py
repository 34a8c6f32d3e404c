"""KerasHub's BertTextClassifier, from the same checkpoint in Hugging Face's layout.

``guide``: as KerasHub's guide "Getting Started" has it: strings into ``fit``, the preprocessor's own 512 tokens, the
compilation defaults, batches of 16. ``short``: what its user can do best: the preprocessor set to the longest sentence
of the data, run once before the fit, batches of 32, and no XLA, which was slower when it was tried on a CPU.
"""

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from protocol import Request, clock_of, report, share_right, snips, stopping

EPOCHS = 3
EVALUATION_BATCH = 50


def main() -> None:
    request = Request.read()
    train, test = snips(request)
    preset = str(request.folder / "huggingface")
    keras.utils.set_random_seed(request.seed)
    labels = np.array(train.labels)
    if request.variant == "guide":
        batch, x = 16, train.texts
        preprocessor = keras_hub.models.BertTextClassifierPreprocessor.from_preset(preset)
        model = keras_hub.models.BertTextClassifier.from_preset(preset, num_classes=len(train.classes))
    else:
        batch = 32
        preprocessor = keras_hub.models.BertTextClassifierPreprocessor.from_preset(
            preset, sequence_length=request.longest
        )
        x = preprocessor(train.texts)
        model = keras_hub.models.BertTextClassifier.from_preset(
            preset, num_classes=len(train.classes), preprocessor=None
        )
        model.compile(jit_compile=False)
    data = tf.data.Dataset.from_tensor_slices((x, labels)).shuffle(len(labels), seed=request.seed).batch(batch)
    test_x = preprocessor(test.texts)
    logits = tf.function(lambda inputs: model(inputs, training=False))

    def accuracy() -> float:
        answers: list[int] = []
        for inputs in tf.data.Dataset.from_tensor_slices(test_x).batch(EVALUATION_BATCH):
            answers += list(logits(inputs).numpy().argmax(-1))
        return share_right(answers, test.labels)

    clock = clock_of(request, batch)
    clock.start()
    epochs = 1 if request.task == "speed" else EPOCHS
    model.fit(data, epochs=epochs, callbacks=[stopping(keras, clock, accuracy)], verbose=0)
    report(clock.result(accuracy), "tensorflow", "keras", "keras-hub")


if __name__ == "__main__":
    main()
