"""Ask an exported model with Hugging Face's own libraries, and compare with what intent_bert says.

    intent-bert export MODEL_DIR --format huggingface
    intent-bert predict MODEL_DIR --input TABLE --output ours.jsonl --top-k 9999
    python scripts/check_huggingface.py MODEL_DIR/huggingface ours.jsonl

PyTorch and transformers are too heavy for the environment that the package is developed in, so it runs in its own:

    python -m venv huggingface && huggingface/bin/pip install torch transformers sentence-transformers

It prints the largest difference of a probability, and how many rankings are others, and exits with 1 where that is more
than 1e-5 or any. Sentences without a word in them, which get no intent from intent_bert, are left out.

    python scripts/check_huggingface.py MODEL_DIR/sentence-transformers vectors.npz

compares vectors in place of probabilities: those of a file with ``texts`` and ``vectors``, as
``numpy.savez(file, texts=texts, vectors=IntentPredictor.load(MODEL_DIR).outputs(texts).vectors)`` writes it.
"""

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

LARGEST_DIFFERENCE = 1e-5
LARGEST_VECTOR_DIFFERENCE = 1e-4


def check_classifier(folder: Path, expected: Path) -> bool:
    from transformers import pipeline

    rows = [json.loads(line) for line in expected.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["intent_ranking"]]
    classify = pipeline("text-classification", str(folder), device="cpu")
    texts = [row["text"] for row in rows]
    answers = classify(texts, top_k=None, truncation=True, batch_size=32)
    largest, other_rankings = 0.0, 0
    for row, answer in zip(rows, answers, strict=True):
        ours = {str(each["name"]): each["confidence"] for each in row["intent_ranking"]}
        theirs = {each["label"]: each["score"] for each in answer}
        assert set(ours) == set(theirs), "not all intents are named: predict with a --top-k as large as their number"
        largest = max(largest, *(abs(ours[name] - theirs[name]) for name in ours))
        gaps = [earlier["score"] - later["score"] for earlier, later in pairwise(answer)]
        told_apart = all(gap > 2 * LARGEST_DIFFERENCE for gap in gaps)
        other_rankings += told_apart and list(theirs) != list(ours)
    print(f"{len(rows)} sentences: largest difference of a probability {largest:.2g}, {other_rankings} other rankings")
    return largest <= LARGEST_DIFFERENCE and not other_rankings


def check_vectors(folder: Path, expected: Path) -> bool:
    from sentence_transformers import SentenceTransformer

    with np.load(expected) as arrays:
        texts, vectors = arrays["texts"].tolist(), arrays["vectors"]
    found = SentenceTransformer(str(folder), device="cpu").encode(texts)
    largest = float(np.abs(found - vectors).max())
    print(f"{len(texts)} sentences: largest difference in a vector {largest:.2g}")
    return largest <= LARGEST_VECTOR_DIFFERENCE


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("expected", type=Path)
    options = parser.parse_args()
    check = check_vectors if options.expected.suffix == ".npz" else check_classifier
    return 0 if check(options.folder, options.expected) else 1


if __name__ == "__main__":
    sys.exit(main())
