#!/usr/bin/env python
"""How the time of a training run grows with rows, tokens, layers and classes, and its memory with rows.

    python benchmarks/growth.py                    # some ten minutes; writes results/growth.json and GROWTH.png
    python benchmarks/growth.py --only layers

Each point is a process of its own. Rows: the whole way of ``intent-bert train`` on a generated table with a tiny
encoder (1 layer of 32), so that what is seen is reading, checking, encoding, batching and writing; resident memory
beside it. Tokens, layers, classes: a step of 32 sentences with an encoder of MiniLM's width, 6 layers, 12 tokens and 7
intents but for what is varied; the median of some. ``slope`` is that of the logarithms between the largest two sizes:
1 is linear.
"""

import argparse
import csv
import json
import math
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SIZES = {
    "rows": (10_000, 100_000, 300_000, 1_000_000),
    "tokens": (16, 32, 64, 128),
    "layers": (1, 3, 6, 12),
    "classes": (7, 77, 1_000, 10_000),
}
USUAL = {"tokens": 12, "layers": 6, "classes": 7}
STEPS, WARMUP, BATCH = 12, 4, 32


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SIZES, help="one of them")
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)  # what and size: measure it in this process
    options = parser.parse_args(arguments)
    if options.point:
        what, size = options.point[0], int(options.point[1])
        print(json.dumps(rows_point(size) if what == "rows" else step_point({**USUAL, what: size})))
        return
    file = HERE / "results" / "growth.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for what in [options.only] if options.only else SIZES:
        found[what] = [{"size": size, **measured(what, size)} for size in SIZES[what]]
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{what}: slope {slope(found[what]):.2f}", flush=True)
    draw(found, HERE / "GROWTH.png")


def measured(what: str, size: int) -> dict[str, float]:
    command = [sys.executable, str(HERE / "growth.py"), "--point", what, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{what} {size} failed:\n{done.stderr}")
    point = json.loads(done.stdout.splitlines()[-1])
    print(f"{what} {size:,}: {', '.join(f'{name} {value:.4g}' for name, value in point.items())}", flush=True)
    return point


def slope(points: list[dict[str, float]]) -> float:
    first, second = points[-2:]
    return math.log(second["seconds"] / first["seconds"]) / math.log(second["size"] / first["size"])


# --- one point, in a process of its own --------------------------------------------------------------------------


def rows_point(rows: int) -> dict[str, float]:
    """Seconds and the largest resident memory (MiB) of ``train`` on so many rows, TensorFlow's own taken off."""
    from intent_bert import TrainingConfig, train

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoint(folder / "checkpoint", layers=1, width=32, heads=2)
        write_table(folder / "table.csv", rows)
        settings: dict[str, Any] = {
            "train_file": str(folder / "table.csv"), "checkpoint": str(folder / "checkpoint"), "epochs": 1,
            "batch_size": 256, "precision": "float32", "export": False, "output_dir": str(folder / "model"),
        }  # fmt: skip
        before = resident()
        started = time.perf_counter()
        train(TrainingConfig.from_recipe("default", **settings), verbose=0)
        return {"seconds": time.perf_counter() - started, "mebibytes": resident() - before}


def step_point(sizes: dict[str, int]) -> dict[str, float]:
    """Seconds of a training step as ``train`` takes it."""
    import numpy as np

    from intent_bert import TrainingConfig, create_model
    from intent_bert.bert.config import params_from_pretrained_ckpt
    from intent_bert.bert.micro_batches import micro_batched
    from intent_bert.machine import divide_the_cores, keep_freed_memory
    from intent_bert.model.network import logits_model
    from intent_bert.training.fit import compile_model

    keep_freed_memory()
    micro_batches = divide_the_cores()
    with tempfile.TemporaryDirectory() as name:
        checkpoint = Path(name) / "checkpoint"
        write_checkpoint(checkpoint, layers=sizes["layers"], width=384, heads=12)
        encoder = params_from_pretrained_ckpt(checkpoint)
        config = TrainingConfig(precision="float32").resolved(encoder, 10_000, sizes["classes"])
        model = create_model(192, checkpoint, sizes["classes"])
    model = micro_batched(logits_model(model), micro_batches)
    compile_model(model, config, 1_000)
    rng = np.random.default_rng(0)
    ids = rng.integers(1_000, 30_000, (BATCH, sizes["tokens"])).astype("int32")
    labels = rng.integers(0, sizes["classes"], BATCH).astype("int32")
    times = []
    for _ in range(WARMUP + STEPS):
        started = time.perf_counter()
        model.train_on_batch(ids, labels)
        times.append(time.perf_counter() - started)
    return {"seconds": statistics.median(times[WARMUP:])}


def resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_checkpoint(folder: Path, layers: int, width: int, heads: int) -> None:
    """A stock checkpoint with random weights and the vocabulary of all-MiniLM-L6-v2."""
    import numpy as np

    from intent_bert.bert import StockBertConfig, fetch, map_stock_config_to_params
    from intent_bert.bert.checkpoint import CHECKPOINT_PREFIX, stock_shapes, write_stock_weights
    from intent_bert.bert.tokenization import VOCAB_FILE

    vocabulary = (fetch("all-MiniLM-L6-v2") / VOCAB_FILE).read_bytes()
    config = StockBertConfig(
        vocab_size=30522,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
    )
    rng = np.random.default_rng(0)
    shapes = stock_shapes(map_stock_config_to_params(config))
    arrays = {
        name: np.asarray(rng.standard_normal(shape, "float32") * 0.02) + name.endswith("gamma")
        for name, shape in shapes.items()
    }
    folder.mkdir()
    (folder / VOCAB_FILE).write_bytes(vocabulary)
    (folder / "bert_config.json").write_text(config.to_json_string(), encoding="utf-8")
    write_stock_weights(arrays, folder / CHECKPOINT_PREFIX)


def write_table(file: Path, rows: int) -> None:
    """Sentences of the embedded sample with a number and a word behind them, nearly all of them distinct."""
    from intent_bert.data import datasets

    table = datasets.load("sample").train
    pairs = list(zip(table.text, table.intent, strict=True))
    words = sorted({word for text, _ in pairs for word in text.split()})
    rng = random.Random(0)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "intent"))
        for number in range(rows):
            text, intent = pairs[number % len(pairs)]
            writer.writerow((f"{text} {rng.choice(words)} {number // len(pairs)}", intent))


# --- the picture -------------------------------------------------------------------------------------------------


def draw(found: dict[str, list[dict[str, float]]], file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 3.6), dpi=110, layout="constrained")
    for axes, what in zip(figure.subplots(1, len(SIZES)), SIZES, strict=True):
        points = found.get(what, [])
        if not points:
            axes.set_visible(False)
            continue
        sizes, seconds = [point["size"] for point in points], [point["seconds"] for point in points]
        axes.loglog(sizes, seconds, "o-", color="#1f6fb4")
        last = seconds[-1]
        axes.loglog(sizes, [last * size / sizes[-1] for size in sizes], "--", color="#9aa5b1", label="linear")
        for size, second in zip(sizes, seconds, strict=True):
            axes.annotate(
                f"{second:.3g} s", (size, second), (0, 7), textcoords="offset points", ha="center", fontsize=8
            )
        axes.set_xticks(sizes, [short(size) for size in sizes])
        axes.set_xticks([], minor=True)
        axes.margins(0.15)
        axes.set_ylim(min(seconds) / 2, max(seconds) * 3)
        axes.set_title("seconds of a run by rows" if what == "rows" else f"seconds of a step by {what}", fontsize=10)
        axes.legend(loc="upper left", fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)


def short(size: float) -> str:
    """1,000,000 as 1M, 10,000 as 10k."""
    return f"{size / 1e6:g}M" if size >= 1e6 else f"{size / 1e3:g}k" if size >= 1e4 else f"{size:,}"


if __name__ == "__main__":
    main()
