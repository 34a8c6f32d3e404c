"""Draw the ratios of a results file: python picture.py RESULTS.json PICTURE.png (needs matplotlib)."""

import json
import sys
from pathlib import Path

from figures import COMPARED, SIZE_TITLES, measured, ratio, reached, sizes_of, spread
from jobs import OWN
from matplotlib.figure import Figure

TITLES = {
    "sentences_per_second": "Training",
    "p50_ms": "Answering one sentence",
    "batch_sentences_per_second": "Answering many sentences",
}
PART_TITLES = {
    "start": "From shell prompt to answer",
    "time-to-98": "Training until 98 % are right",
}
OURS, THEIRS = "#1f6fb4", "#9aa5b1"


def panels(results: dict) -> list[tuple[str, list[tuple[str, float, str]]]]:
    """Title and bars (peer, ratio, what is written beside it) of everything that can be compared."""
    found = []
    for metric in COMPARED:
        for size in sizes_of(results, metric.part):
            bars = []
            for job in measured(results, metric.part, size):
                times = ratio(results, metric, size, job.peer)
                value = spread(results, metric.part, size, job.peer, metric.key)
                if times is not None and value is not None:
                    bound = metric.part == "time-to-98" and not reached(results, size, job.peer)
                    unit = "/s" if metric.more_is_better else " ms" if metric.key.endswith("_ms") else " s"
                    figure = f"{'<' if bound else ''}{times:.2g}x   {format(value[0], metric.form)}{unit}"
                    bars.append((job.peer, times, figure))
            if len(bars) > 1:
                title = TITLES.get(metric.key) or PART_TITLES[metric.part]
                found.append((f"{title}\n{SIZE_TITLES[size]}", bars))
    return found


def draw(results: dict) -> Figure:
    shown = panels(results)
    rows = [shown[first : first + 2] for first in range(0, len(shown), 2)]
    heights = [1 + max(len(bars) for _, bars in row) * 0.32 for row in rows]
    figure = Figure(figsize=(14, max(3.0, sum(heights))), dpi=110, layout="constrained")
    grid = figure.add_gridspec(max(1, len(rows)), 2, height_ratios=heights or [1])
    for down, row in enumerate(rows):
        for across, (title, bars) in enumerate(row):
            axes = figure.add_subplot(grid[down, across])
            names, values, texts = zip(*bars, strict=True)
            places = range(len(bars))
            colours = [OURS if name.startswith(OWN) else THEIRS for name in names]
            axes.barh(places, [value - 1 for value in values], left=1, color=colours, height=0.7)
            axes.set_xscale("log")
            low, high = min(values), max(values)
            axes.set_xlim(min(0.5, low / 1.5), max(2.0, high * 1.5) * 4)  # room for the figures
            for place, value, text in zip(places, values, texts, strict=True):
                axes.text(max(1.0, value) * 1.08, place, text, va="center", fontsize=9)
            axes.axvline(1, color="black", linewidth=0.8)
            ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if low / 1.5 <= t <= max(2, high * 1.5)]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            axes.set_yticks(list(places), names, fontsize=9)
            axes.invert_yaxis()
            axes.set_title(title, fontsize=11, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Times as fast as intent_bert in float32; left of 1 is slower ({results['date']})", fontsize=13)
    return figure


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text(encoding="utf-8"))).savefig(target)


if __name__ == "__main__":
    main()
