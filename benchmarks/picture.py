"""Draw the speeds of a results file: python picture.py RESULTS.json PICTURE.png (needs matplotlib).

Sentences a second where there are sentences, seconds for a start and for a whole training. Ratios are in the table.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from figures import COMPARED, SIZE_TITLES, Metric, Results, measured, reached, sizes_of, spread
from jobs import OWN
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TITLES = {  # of a metric: what is done, and the unit of its bars
    ("training", "sentences_per_second"): ("Training", "sentences a second"),
    ("answering", "p50_ms"): ("Answering one sentence after the other", "sentences a second"),
    ("answering", "batch_sentences_per_second"): ("Answering many sentences at once", "sentences a second"),
    ("start", "seconds"): ("From the shell prompt to the answer", "seconds, less is better"),
    ("time-to-98", "seconds"): ("Training until 98 % of snips/test are right", "seconds, less is better"),
}
LABELS = {
    "torch": "PyTorch loop, length buckets",
    "trainer": "HF Trainer",
    "kerashub": "KerasHub",
    "tutorial": "the tutorial",
    "hf-pipeline": "HF pipeline",
    "st-encode": "sentence-transformers",
    "huggingface": "ten lines with transformers",
}
SETTINGS = {
    "bf16": "bfloat16", "32": "batches of 32", "short": "short batches", "guide": "512 tokens", "onnx": "",
    "grouped": "grouped by length", "keras": "Keras",
}  # fmt: skip
OURS, THEIRS = "#1f6fb4", "#9aa5b1"


@dataclass(frozen=True)
class Panel:
    """A title, the unit of the bars, and the bars: peer, length, what is written beside it."""

    title: str
    unit: str
    bars: list[tuple[str, float, str]]


def panels(results: Results) -> list[Panel]:
    """Everything that two or more peers were measured in."""
    found = []
    for metric in COMPARED:
        for size in sizes_of(results, metric.part):
            bars = [
                (job.peer, *_bar(results, metric, size, job.peer))
                for job in measured(results, metric.part, size)
                if spread(results, metric.part, size, job.peer, metric.key)
            ]
            if len(bars) > 1:
                title, unit = TITLES[metric.part, metric.key]
                found.append(Panel(f"{title}\n{SIZE_TITLES[size]}", unit, bars))
    return found


def _bar(results: Results, metric: Metric, size: str, peer: str) -> tuple[float, str]:
    """A bar's length and what is written beside it: a latency becomes the sentences that fit into a second."""
    value = spread(results, metric.part, size, peer, metric.key)
    assert value is not None
    if metric.key.endswith("_ms"):
        return 1000 / value[0], f"{1000 / value[0]:.0f}   ({value[0]:.2f} ms each)"
    unit = "" if metric.more_is_better else " s"
    more = "more than " if metric.part == "time-to-98" and not reached(results, size, peer) else ""
    return value[0], f"{more}{value[0]:.{0 if value[0] >= 10 else 1 if metric.more_is_better else 2}f}{unit}"


def label(peer: str) -> str:
    """A peer's name in words: ``trainer-grouped-bf16`` is HF Trainer, grouped by length, bfloat16."""
    base = max((name for name in (OWN, *LABELS) if peer.startswith(name)), key=len, default=peer)
    settings = [SETTINGS.get(word, word) for word in peer.removeprefix(base).strip("-").split("-")]
    return ", ".join(word for word in (LABELS.get(base, base), *settings) if word)


def draw(results: Results) -> Figure:
    shown = panels(results)
    rows = [shown[first : first + 2] for first in range(0, len(shown), 2)]
    heights = [1.2 + max(len(panel.bars) for panel in row) * 0.32 for row in rows]
    figure = Figure(figsize=(15, max(3.0, sum(heights))), dpi=110, layout="constrained")
    grid = figure.add_gridspec(max(1, len(rows)), 2, height_ratios=heights or [1])
    for down, row in enumerate(rows):
        for across, panel in enumerate(row):
            _draw_panel(figure.add_subplot(grid[down, across]), panel)
    figure.suptitle(f"intent_bert and its peers on two cores without GPU ({results['date']})", fontsize=14)
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    peers, values, texts = zip(*panel.bars, strict=True)
    colours = [OURS if peer.startswith(OWN) else THEIRS for peer in peers]
    bars = axes.barh(range(len(peers)), values, color=colours, height=0.7)
    axes.bar_label(bars, texts, padding=4, fontsize=9)
    axes.set_xlim(0, max(values) * 1.4)  # room for what is written
    axes.set_yticks(range(len(peers)), [label(peer) for peer in peers], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(panel.unit, fontsize=9)
    axes.set_title(panel.title, fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text(encoding="utf-8"))).savefig(target)


if __name__ == "__main__":
    main()
