"""Hugging Face's text-classification pipeline, with the very weights of intent_bert's model.

Many sentences go in sorted by length, in batches of the size that is best on 1,000 of them. ``bf16`` loads the model in
bfloat16.
"""

import torch
import transformers
from protocol import Request, best_batch_size, measure_answers, report

SIZES = (8, 16, 32, 64, 128)


def main() -> None:
    request = Request.read()
    transformers.logging.set_verbosity_error()  # it asks for a dataset in place of a loop over sentences
    dtype = torch.bfloat16 if request.variant == "bf16" else torch.float32
    folder = str(request.folder / "classifier")
    classify = transformers.pipeline("text-classification", model=folder, dtype=dtype, device="cpu")

    def many(texts: list[str], batch_size: int) -> list[str]:
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        found = classify([texts[row] for row in order], batch_size=batch_size)
        answers = [""] * len(texts)
        for row, answer in zip(order, found, strict=True):
            answers[row] = answer["label"]
        return answers

    size = best_batch_size(request, many, SIZES)
    result = measure_answers(request, lambda text: classify(text)[0]["label"], lambda texts: many(texts, size))
    report({**result, "batch_size": size}, "torch", "transformers")


if __name__ == "__main__":
    main()
