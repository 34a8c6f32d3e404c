"""intent_bert itself: the fit of ``intent-bert train``, and ``IntentPredictor``."""

from typing import Any

import keras
from protocol import Request, clock_of, measure_answers, report, snips

from intent_bert import FullTokenizer, IntentPredictor, TrainingConfig, create_model
from intent_bert.bert.micro_batches import micro_batched
from intent_bert.data.batches import encode
from intent_bert.machine import divide_the_cores, keep_freed_memory
from intent_bert.model.network import model_arguments, probability_function
from intent_bert.training.fit import Sentences, evaluate, fine_tune

PRECISIONS = {"float32": "float32", "bf16": "bfloat16"}


class StepCallback(keras.callbacks.Callback):
    def __init__(self, clock: Any, accuracy: Any) -> None:
        super().__init__()
        self.clock, self.accuracy = clock, accuracy

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.clock.stop_after_step(self.accuracy):
            self.model.stop_training = True


def train(request: Request) -> dict[str, Any]:
    config = TrainingConfig(precision=PRECISIONS[request.variant], seed=request.seed)
    if request.task == "speed":
        config.epochs = 1
    checkpoint = request.folder / "stock"
    tokenizer = FullTokenizer(checkpoint / "vocab.txt")
    tables = [
        Sentences(each.texts, [each.classes[label] for label in each.labels], encode(each.texts, tokenizer, 192))
        for each in snips(request)
    ]
    classes = snips(request)[0].classes
    keep_freed_memory()
    micro_batches = divide_the_cores()
    keras.utils.set_random_seed(request.seed)
    model = create_model(config.max_seq_len, checkpoint, classes, **model_arguments(config))
    model = micro_batched(model, micro_batches)
    predict = probability_function(model)

    def accuracy() -> float:
        return evaluate(predict, tables[1], classes).accuracy

    clock = clock_of(request, config.batch_size)
    clock.start()
    fine_tune(model, tables[0], None, classes, config, callbacks=[StepCallback(clock, accuracy)], progress=False)
    return clock.result(accuracy)


def answer(request: Request) -> dict[str, Any]:
    predictor = IntentPredictor.load(request.folder / "model", engine=request.variant)
    return measure_answers(
        request,
        lambda text: str(predictor.predict_one(text).intent),
        lambda texts: [str(answer.intent) for answer in predictor.predict(texts)],
    )


def main() -> None:
    request = Request.read()
    if request.task == "answer":
        report(answer(request), "tensorflow" if request.variant == "keras" else "onnxruntime")
    else:
        report(train(request), "tensorflow", "keras")


if __name__ == "__main__":
    main()
