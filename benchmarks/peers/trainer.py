"""Hugging Face's Trainer on BertForSequenceClassification, each batch padded to its longest sentence.

``default``: TrainingArguments as they are (batches of 8 at random). ``batch32``: the same with batches of 32.
``grouped``: batches of 32, grouped by length. ``grouped-bf16``: the same with ``bf16=True``. Saving, reporting and the
progress bar are off.
"""

import tempfile
from typing import Any

import torch
from protocol import Request, clock_of, report, share_right, snips
from transformers import (
    AutoTokenizer,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

DEFAULT_BATCH = 8
GROUPED = {"per_device_train_batch_size": 32, "train_sampling_strategy": "group_by_length"}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "batch32": {"per_device_train_batch_size": 32},
    "grouped": GROUPED,
    "grouped-bf16": {**GROUPED, "bf16": True},
}
EVALUATION_BATCH = 64


class StepCallback(TrainerCallback):
    def __init__(self, clock: Any, accuracy: Any) -> None:
        self.clock, self.accuracy = clock, accuracy

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.clock.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = self.clock.stop_after_step(self.accuracy)


def main() -> None:
    request = Request.read()
    train, test = snips(request)
    folder = str(request.folder / "huggingface")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    train_ids, test_ids = (tokenizer(each.texts)["input_ids"] for each in (train, test))
    rows = [{"input_ids": ids, "labels": label} for ids, label in zip(train_ids, train.labels, strict=True)]
    collate = DataCollatorWithPadding(tokenizer)
    model = BertForSequenceClassification.from_pretrained(folder, num_labels=len(train.classes))
    by_length = sorted(range(len(test_ids)), key=lambda row: len(test_ids[row]))

    @torch.inference_mode()
    def accuracy() -> float:
        model.eval()
        answers: list[int] = []
        for first in range(0, len(by_length), EVALUATION_BATCH):
            part = [{"input_ids": test_ids[row]} for row in by_length[first : first + EVALUATION_BATCH]]
            answers += model(**collate(part)).logits.argmax(-1).tolist()
        model.train()
        return share_right(answers, [test.labels[row] for row in by_length])

    settings = VARIANTS[request.variant]
    clock = clock_of(request, settings.get("per_device_train_batch_size", DEFAULT_BATCH))
    with tempfile.TemporaryDirectory() as output:
        arguments = TrainingArguments(
            output,
            use_cpu=True,
            seed=request.seed,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            num_train_epochs=1 if request.task == "speed" else 3,
            **settings,
        )
        callbacks = [StepCallback(clock, accuracy)]
        Trainer(model, arguments, data_collator=collate, train_dataset=rows, callbacks=callbacks).train()
    report(clock.result(accuracy), "torch", "transformers", "accelerate")


if __name__ == "__main__":
    main()
