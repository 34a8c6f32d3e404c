"""Write what Hugging Face transformers and sentence-transformers answer on SNIPS, for tests/test_features.py.

    python scripts/make_feature_reference.py --checkpoint HF_FOLDER --data DATA_FOLDER

It runs in an environment of its own, for PyTorch is too heavy for that of the tests:

    python -m venv reference && reference/bin/pip install torch transformers sentence-transformers

HF_FOLDER is all-MiniLM-L6-v2 as sentence-transformers has it (config.json, model.safetensors, tokenizer.json,
modules.json, 1_Pooling). DATA_FOLDER holds snips/test.csv, columns text and intent. Written to
tests/references/feature_vectors.npz, of each of the 700 sentences some of the numbers, other ones from row to row, so
that together they cover every feature:

    sentence     (S, 24)      sentence_transformers' encode(normalize_embeddings=True)
    hidden       (S, L, 4)    transformers' hidden states of every layer, of the token at ``place``
    pooler       (S, 8)       transformers' pooler_output
    place        (S,)         which token of the sentence, from row to row another one
    versions

Row i keeps the features ``columns(i, how many)``. With ``--time`` it prints instead how long ``encode`` takes on the
700 sentences: two threads, batches of 32, normalised, the median of five.
"""

import argparse
import csv
import json
import statistics
import time
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
import transformers

REFERENCE = Path(__file__).resolve().parent.parent / "tests" / "references" / "feature_vectors.npz"
SENTENCE_FEATURES, HIDDEN_FEATURES, POOLER_FEATURES = 24, 4, 8
VERSIONS = {
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "sentence-transformers": sentence_transformers.__version__,
}


def columns(row: int, number: int, width: int) -> np.ndarray:
    """The features that are kept of this row: evenly spaced, starting one further in every row."""
    return (row + np.arange(number) * (width // number)) % width


def kept(table: np.ndarray, number: int) -> np.ndarray:
    """(S, ..., H) -> (S, ..., number)"""
    return np.stack([values[..., columns(row, number, values.shape[-1])] for row, values in enumerate(table)])


def texts_of(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as rows:
        return [row["text"] for row in csv.DictReader(rows)]


@torch.no_grad()
def hidden_states(folder: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each sentence by itself: the states (L, H) of one token, the pooler's answer (H,), and which token."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    states, pooled, places = [], [], []
    for row, text in enumerate(texts):
        inputs = tokenizer(text, return_tensors="pt")
        answer = model(**inputs, output_hidden_states=True)
        places.append(row % inputs["input_ids"].shape[1])
        states.append(torch.stack(answer.hidden_states[1:])[:, 0, places[-1]].numpy())
        pooled.append(answer.pooler_output[0].numpy())
    return np.stack(states), np.stack(pooled), np.array(places, "int32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="all-MiniLM-L6-v2 of sentence-transformers")
    parser.add_argument("--data", type=Path, required=True, help="the folder with snips")
    parser.add_argument("--time", action="store_true", help="print seconds of encode, write nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    texts = texts_of(arguments.data / "snips" / "test.csv")
    encoder = sentence_transformers.SentenceTransformer(str(arguments.checkpoint), device="cpu")

    def encode() -> np.ndarray:
        return encoder.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)

    if arguments.time:
        encode()
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            encode()
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": statistics.median(seconds), "all": seconds, "versions": VERSIONS}))
        return
    states, pooled, places = hidden_states(arguments.checkpoint, texts)
    np.savez_compressed(
        REFERENCE,
        sentence=kept(encode(), SENTENCE_FEATURES),
        hidden=kept(states, HIDDEN_FEATURES),
        pooler=kept(pooled, POOLER_FEATURES),
        place=places,
        versions=json.dumps(VERSIONS),
    )


if __name__ == "__main__":
    main()
