"""intent_bert itself: the fit of ``intent-bert train``, and ``IntentPredictor``."""

from typing import Any

import keras
from protocol import Request, clock_of, measure_answers, report, snips

from intent_bert import FullTokenizer, IntentPredictor, TrainingConfig, create_model
from intent_bert.batches import encode
from intent_bert.fitting import Sentences, evaluate, fine_tune
from intent_bert.model import probability_function

PRECISIONS = {"float32": "float32", "bf16": "mixed_bfloat16"}
FOLDERS = {"tensorflow": "model", "tensorflow-bf16": "model-bf16"}  # engine -> model folder, if it has one of its own
PACKAGES = ("tensorflow", "keras")


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
    keras.utils.set_random_seed(request.seed)
    model = create_model(config.max_seq_len, checkpoint, classes, dtype=config.precision)
    predict = probability_function(model)

    def accuracy() -> float:
        return evaluate(predict, tables[1], classes).accuracy

    clock = clock_of(request, config.batch_size)
    clock.start()
    fine_tune(model, tables[0], None, classes, config, callbacks=[StepCallback(clock, accuracy)], progress=False)
    return clock.result(accuracy)


def answer(request: Request) -> dict[str, Any]:
    engine = request.variant
    if engine in FOLDERS:
        predictor = IntentPredictor.load(request.folder / FOLDERS[engine])
    else:
        predictor = IntentPredictor.load(request.folder / "model", engine=engine)
    return measure_answers(
        request,
        lambda text: str(predictor.predict_one(text).intent),
        lambda texts: [str(answer.intent) for answer in predictor.predict(texts)],
    )


def main() -> None:
    request = Request.read()
    report(answer(request) if request.task == "answer" else train(request), *PACKAGES)


if __name__ == "__main__":
    main()
