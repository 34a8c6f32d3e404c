"""Which matrix products of the encoder does int8 cost predictions? And what does it cost to leave them in float32?

    .venv/bin/python benchmarks/int8_layers.py runs/model            # each product alone in int8, then groups of them
    .venv/bin/python benchmarks/int8_layers.py runs/model --sentences 3000 --only nothing,first,first+qk

It asks sentences of training tables alone (snips, banking77 and clinc150 in the data folder), so that nothing is chosen
on a test set. ``margin`` is what counts: by how much, on average, int8 moves the distance between the two likeliest
logits; a prediction changes where that distance was smaller. Rows that are there already are not measured again:
MODEL_DIR's name in results/int8_layers.json.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from intent_bert.data.rows import RowReader
from intent_bert.export.onnx_graph import PARTS, onnx_model
from intent_bert.files.cache import data_folder
from intent_bert.inference.engines import batches_by_length
from intent_bert.model.saved import load_artifact

HERE = Path(__file__).parent
SOURCES = ("snips", "banking77", "clinc150")

Keep = Callable[[str, bool], bool]  # a product's place, and whether it is of [CLS] alone -> float32?


def groups(layers: int) -> dict[str, Keep]:
    """What stays float32, by name: nothing, [CLS] alone, kinds of products, all but one product."""

    def parts(*kept: str) -> Keep:
        return lambda place, first: first or place.split("/")[1] in kept

    found: dict[str, Keep] = {
        "nothing": lambda place, first: False,
        "first": lambda place, first: first,
        "first+value": parts("value"),
        "first+value+output": parts("value", "output"),
        "first+value+intermediate+output": parts("value", "intermediate", "output"),
        "first+qk": parts("query", "key"),
        "first+qkv": parts("query", "key", "value"),
        "first+output": parts("output"),
        "first+qk+output": parts("query", "key", "output"),
        "first+intermediate": parts("intermediate"),
        "first+attention": parts(*PARTS[:4]),
    }
    for layer in range(layers):
        for part in PARTS:
            alone = f"layer_{layer}/{part}"
            found[f"all but {alone}"] = lambda place, first, alone=alone: place != alone
    return found


def training_sentences(number: int, seed: int = 1) -> list[str]:
    """Of the three training tables in equal parts."""
    rng, texts = random.Random(seed), []
    for name in SOURCES:
        rows = RowReader(data_folder() / name / "train.csv").with_text("text")
        texts += rng.sample([row.values["text"] for row in rows], number // len(SOURCES))
    return texts


class Asked:
    """Sentences in batches, and a graph that is asked for their logits on one core."""

    def __init__(self, ids: list[list[int]]) -> None:
        self.number, self.batches = len(ids), list(batches_by_length(ids))

    def logits(self, graph: bytes) -> tuple[np.ndarray, float]:
        """Logits (N, C), and the processor's seconds."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        session.run(["logits"], {"input_ids": self.batches[0][1]})
        started, parts = time.process_time(), []
        for _, padded in self.batches:
            parts.append(session.run(["logits"], {"input_ids": padded})[0])
        seconds = time.process_time() - started
        logits = np.empty((self.number, parts[0].shape[1]), "float32")
        for (rows, _), part in zip(self.batches, parts, strict=True):
            logits[rows] = part
        return logits, seconds


def difference(expected: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """How far the distance between the two likeliest logits moves, and how many predictions change."""
    rows, best = np.arange(len(expected)), np.argsort(-expected, axis=1)[:, :2]
    margins = [each[rows, best[:, 0]] - each[rows, best[:, 1]] for each in (expected, found)]
    return {
        "margin": float(np.abs(margins[1] - margins[0]).mean()),
        "changed": int((expected.argmax(axis=1) != found.argmax(axis=1)).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model_dir")
    parser.add_argument("--sentences", type=int, default=600)
    parser.add_argument("--only", help="names of groups, separated by commas")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "int8_layers.json")
    options = parser.parse_args()
    artifact = load_artifact(options.model_dir)
    every = groups(len(artifact.model.get_layer("bert").encoder_layers))
    names = options.only.split(",") if options.only else [*every]
    unknown = [name for name in names if name not in every]
    if unknown:
        sys.exit(f"no group is called {unknown[0]}: there are {', '.join(every)}")
    results: dict[str, Any] = json.loads(options.output.read_text()) if options.output.is_file() else {}
    rows = results.setdefault(f"{Path(options.model_dir).name}, {options.sentences} sentences", {})
    ids, _ = artifact.tokenizer.encode(training_sentences(options.sentences), artifact.max_seq_len)
    asked = Asked(ids)
    expected, exact_seconds = asked.logits(onnx_model(artifact.model).SerializeToString())
    for name in names:
        if name not in rows:
            graph = onnx_model(artifact.model, "int8", every[name]).SerializeToString()
            found, seconds = asked.logits(graph)
            again = min(seconds, asked.logits(graph)[1])
            rows[name] = {
                **difference(expected, found), "of_float32_time": again / exact_seconds, "megabytes": len(graph) / 1e6,
            }  # fmt: skip
            options.output.write_text(json.dumps(results, indent=1) + "\n")
        row = rows[name]
        print(
            f"{name:32} margin {row['margin']:.4f}  changed {row['changed']:4}  time {row['of_float32_time']:.2f} of "
            f"float32's  {row['megabytes']:.1f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
