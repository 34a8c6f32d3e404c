"""A training loop written by hand in PyTorch, as somebody does who knows what it costs.

Hugging Face's BertForSequenceClassification, batches of sentences of about the same length (sorted within shuffled
pools of 50 batches), PyTorch's fused AdamW, learning rate 1e-4 with warm-up and linear decay, three epochs: the recipe
of intent_bert. ``bf16`` runs the encoder under bfloat16 autocast.
"""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import torch
from protocol import Request, clock_of, report, share_right, snips
from transformers import AutoTokenizer, BertForSequenceClassification

BATCH, EPOCHS, LEARNING_RATE, WARMUP, POOL = 32, 3, 1e-4, 0.1, 50
EVALUATION_BATCH = 64


def padded(ids: list[list[int]]) -> dict[str, torch.Tensor]:
    """ids and mask, each (sentences, tokens of the longest)."""
    length = max(map(len, ids))
    rows = torch.tensor([row + [0] * (length - len(row)) for row in ids])
    return {"input_ids": rows, "attention_mask": (rows != 0).long()}


def batches(ids: list[list[int]], rng: random.Random) -> Iterator[list[int]]:
    order = rng.sample(range(len(ids)), len(ids))
    found = []
    for start in range(0, len(order), POOL * BATCH):
        pool = sorted(order[start : start + POOL * BATCH], key=lambda row: len(ids[row]))
        found += [pool[first : first + BATCH] for first in range(0, len(pool), BATCH)]
    rng.shuffle(found)
    yield from found


def optimizer_of(model: torch.nn.Module, steps: int) -> tuple[Any, Any]:
    plain = ("bias", "LayerNorm", "embeddings")
    groups = [
        {"params": [p for n, p in model.named_parameters() if not any(part in n for part in plain)]},
        {"params": [p for n, p in model.named_parameters() if any(part in n for part in plain)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=0.01, fused=True)
    warmup = max(1, round(WARMUP * steps))

    def rate(step: int) -> float:
        return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def main() -> None:
    request = Request.read()
    train, test = snips(request)
    folder = str(request.folder / "huggingface")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    train_ids, test_ids = (tokenizer(each.texts)["input_ids"] for each in (train, test))
    torch.manual_seed(request.seed)
    model = BertForSequenceClassification.from_pretrained(folder, num_labels=len(train.classes))
    autocast = torch.autocast("cpu", torch.bfloat16) if request.variant == "bf16" else contextlib.nullcontext()
    epochs = 1 if request.task == "speed" else EPOCHS
    optimizer, schedule = optimizer_of(model, epochs * -(-len(train_ids) // BATCH))
    by_length = sorted(range(len(test_ids)), key=lambda row: len(test_ids[row]))

    def accuracy() -> float:
        model.eval()
        answers: list[int] = []
        with torch.inference_mode(), autocast:
            for first in range(0, len(by_length), EVALUATION_BATCH):
                inputs = padded([test_ids[row] for row in by_length[first : first + EVALUATION_BATCH]])
                answers += model(**inputs).logits.argmax(-1).tolist()
        model.train()
        return share_right(answers, [test.labels[row] for row in by_length])

    def run(clock: Any) -> None:
        rng = random.Random(request.seed)
        for _ in range(epochs):
            for rows in batches(train_ids, rng):
                with autocast:
                    logits = model(**padded([train_ids[row] for row in rows])).logits
                loss = torch.nn.functional.cross_entropy(logits.float(), torch.tensor([train.labels[r] for r in rows]))
                loss.backward()
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                if clock.stop_after_step(accuracy):
                    return

    model.train()
    clock = clock_of(request, BATCH)
    clock.start()
    run(clock)
    report(clock.result(accuracy), "torch", "transformers")


if __name__ == "__main__":
    main()
