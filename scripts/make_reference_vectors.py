"""Write what Hugging Face's BERT answers, for tests/bert to compare with: token ids and hidden states.

    python scripts/make_reference_vectors.py --checkpoint HF_FOLDER --tiny TINY_HF_FOLDER --data DATA_FOLDER

It runs in an environment of its own, for PyTorch and transformers are too heavy for that of the tests:

    python -m venv reference && reference/bin/pip install torch transformers

HF_FOLDER is all-MiniLM-L6-v2 as Hugging Face has it (config.json, vocab.txt, model.safetensors). TINY_HF_FOLDER is the
generated checkpoint of the tests in the same layout, made in the environment of the tests:

    PYTHONPATH=tests python -c "from pathlib import Path; from conftest import write_tiny_checkpoint as write; \\
        from intent_bert.bert import convert_checkpoint; \\
        convert_checkpoint(write(Path('stock/uncased_tiny')), 'TINY_HF_FOLDER', to='huggingface')"

DATA_FOLDER holds snips/{train,test}.csv and banking77/{train,test}.csv, columns text and intent. Written to
tests/references:

    huggingface_tokens.json     ids of the nasty texts, a sha256 per data file over the ids of all its texts, versions
    huggingface_vectors.npz     inputs and hidden states of both checkpoints, versions
"""

import argparse
import csv
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers

REFERENCES = Path(__file__).resolve().parent.parent / "tests" / "references"
sys.path.insert(0, str(REFERENCES))

from nasty_texts import NASTY  # noqa: E402

DATA_FILES = ("snips/train.csv", "snips/test.csv", "banking77/train.csv", "banking77/test.csv")
SENTENCES = (
    "Play some jazz.",
    "What's the weather like in Łódź tomorrow?",
    "add this song to my Flow Español playlist",
    "Book a table for four at a rooftop restaurant in Lisbon next Friday at half past eight.",
    "I'd give the last novel of the trilogy three out of six stars",
    "hello",
    "Find me the screening times of every animated film that runs in the cinemas near the central station tonight",
    "why was my card payment reverted?",
    "播放音乐 please",
    "my playlist's not-so-new songs #1 & #2 are GONE!",
)
EXTRA_PADDING = 5  # tokens beyond the longest sentence, so that each row of the padded batch has padding
VERSIONS = {
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "tokenizers": tokenizers.__version__,
}


def digest(sentences: list[list[int]]) -> str:
    """One sha256 over the ids of all sentences, as int32 (little-endian), -1 at the end of each."""
    flat = [number for ids in sentences for number in (*ids, -1)]
    return hashlib.sha256(np.array(flat, "<i4").tobytes()).hexdigest()


def texts_of(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as rows:
        return [row["text"] for row in csv.DictReader(rows)]


def tokens(checkpoint: Path, data: Path) -> dict:
    """Ids without [CLS] and [SEP], uncased and, of the nasty texts, cased (with the same vocabulary)."""
    vocab = str(checkpoint / "vocab.txt")
    uncased = transformers.BertTokenizer(vocab=vocab, do_lower_case=True)
    cased = transformers.BertTokenizer(vocab=vocab, do_lower_case=False)

    def ids_of(tokenizer: transformers.BertTokenizer, texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, add_special_tokens=False)["input_ids"]

    names, texts = list(NASTY), list(NASTY.values())
    return {
        "versions": VERSIONS,
        "sha256": {name: digest(ids_of(uncased, texts_of(data / name))) for name in DATA_FILES},
        "uncased": dict(zip(names, ids_of(uncased, texts), strict=True)),
        "cased": dict(zip(names, ids_of(cased, texts), strict=True)),
    }


def load(folder: Path) -> transformers.BertModel:
    return transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()


@torch.no_grad()
def states(model: transformers.BertModel, ids: np.ndarray, types: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The output of every encoder layer, (L, B, T, H)."""
    inputs = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    answer = model(
        **{name: torch.tensor(value, dtype=torch.long) for name, value in inputs.items()}, output_hidden_states=True
    )
    return torch.stack(answer.hidden_states[1:]).numpy()


def tiny_vectors(folder: Path) -> dict[str, np.ndarray]:
    """Everything, for one batch without padding and one with padding, a second segment and a hole in the mask."""
    model, rng = load(folder), np.random.default_rng(7)
    full = rng.integers(5, model.config.vocab_size, (3, 8)).astype("int32")
    padded = rng.integers(5, model.config.vocab_size, (3, 11)).astype("int32")
    padded[1, 6:] = padded[2, 3:] = 0
    types = np.zeros_like(padded)
    types[:, 2:5] = 1
    mask = (padded != 0).astype("int32")
    mask[0, 4] = 0  # a token that is there, and that no other may look at
    return {
        "tiny_full_ids": full,
        "tiny_full_states": states(model, full, np.zeros_like(full), np.ones_like(full)),
        "tiny_padded_ids": padded,
        "tiny_padded_types": types,
        "tiny_padded_mask": mask,
        "tiny_padded_states": states(model, padded, types, mask),
    }


def real_vectors(folder: Path) -> dict[str, np.ndarray]:
    """[CLS] and mean vectors of sentences alone and padded together; of the batch also a slice of every layer."""
    model, tokenizer = load(folder), transformers.BertTokenizer(vocab=str(folder / "vocab.txt"))
    rows = [
        [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
        for ids in tokenizer(list(SENTENCES), add_special_tokens=False)["input_ids"]
    ]
    ids = np.zeros((len(rows), max(map(len, rows)) + EXTRA_PADDING), "int32")
    for row, sentence in zip(ids, rows, strict=True):
        row[: len(sentence)] = sentence
    mask = (ids != 0).astype("int32")
    alone = [
        states(model, row[None, : m.sum()], row[None, : m.sum()] * 0, m[None, : m.sum()])[-1, 0]
        for row, m in zip(ids, mask, strict=True)
    ]
    together = states(model, ids, np.zeros_like(ids), mask)
    weights = mask[:, :, None] / mask.sum(1)[:, None, None]
    return {
        "real_texts": np.array(SENTENCES),
        "real_ids": ids,
        "real_alone_cls": np.stack([hidden[0] for hidden in alone]),
        "real_cls": together[-1][:, 0],
        "real_mean": (together[-1] * weights).sum(1).astype("float32"),
        "real_slice": together[:, :, :4, ::16],  # (L, B, 4, H / 16)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="all-MiniLM-L6-v2 in Hugging Face's layout")
    parser.add_argument("--tiny", type=Path, required=True, help="the tests' tiny checkpoint in the same layout")
    parser.add_argument("--data", type=Path, required=True, help="the folder with snips and banking77")
    arguments = parser.parse_args()
    text = json.dumps(tokens(arguments.checkpoint, arguments.data), indent=1)
    compact = text.replace(",\n   ", ", ").replace("[\n   ", "[").replace("\n  ]", "]")
    (REFERENCES / "huggingface_tokens.json").write_text(compact + "\n", encoding="utf-8")
    vectors = tiny_vectors(arguments.tiny) | real_vectors(arguments.checkpoint)
    np.savez_compressed(REFERENCES / "huggingface_vectors.npz", versions=json.dumps(VERSIONS), **vectors)


if __name__ == "__main__":
    main()
