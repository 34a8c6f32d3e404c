"""intent_bert itself: the fit of ``intent-bert train``, and ``IntentPredictor``."""

from typing import Any

import keras
import pandas as pd
from protocol import Request, clock_of, measure_answers, report, snips, stopping

from intent_bert import IntentPredictor, TrainingConfig
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.training.fit import evaluate, fit
from intent_bert.training.prepare import prepare

PRECISIONS = {"float32": "float32", "bf16": "bfloat16"}


def train(request: Request) -> dict[str, Any]:
    epochs = 1 if request.task == "speed" else None
    config = TrainingConfig(
        checkpoint=request.folder / "stock", precision=PRECISIONS[request.variant], seed=request.seed, epochs=epochs
    )
    prepared = prepare(config, dict(zip(("train", "test"), map(table_of, snips(request)), strict=True)))
    engine, test = KerasEngine(prepared.model), prepared.splits["test"]

    def accuracy() -> float:
        return evaluate(engine.outputs(test.ids), test, prepared.classes).accuracy

    clock = clock_of(request, config.batch_size)
    clock.start()
    fit(prepared, callbacks=[stopping(keras, clock, accuracy)], verbose=0)
    return clock.result(accuracy)


def table_of(sentences: Any) -> pd.DataFrame:
    labels = [sentences.classes[label] for label in sentences.labels]
    return pd.DataFrame({"text": sentences.texts, "intent": labels})


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
