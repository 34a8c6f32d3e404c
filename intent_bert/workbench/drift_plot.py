"""A picture of what ``detect_drift`` has found: each histogram, usual and new, and each effect week by week."""

from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.evaluation.drawing import LONGEST_TITLE, label_text
from intent_bert.workbench.drift import ALL, Drift, most_changed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

USUAL, NEW, DRIFTED = "#999999", "#2166ac", "#d6604d"  # told apart by those who see no red and green
_MOST_CELLS = 10
_LONGEST_CELL = 18
_MARKERS = "osD^vPX"
_SHOWN = ("times", "drifted")


def drift_plot(drift: Drift, title: str = "") -> "Figure":
    """Draw the histograms over all rows, red where they have drifted, and below them the effects of each week."""
    from matplotlib.figure import Figure

    things = list(dict.fromkeys(drift.histograms["what"]))
    weeks = [period for period in dict.fromkeys(drift.tests["period"]) if period != ALL]
    rows = -(-len(things) // 3)
    figure = Figure(figsize=(11, 2.9 * rows + (3.2 if weeks else 0) + 0.4), dpi=110, layout="constrained")
    grid = figure.add_gridspec(rows + bool(weeks), 3, height_ratios=[1.0] * rows + [1.1] * bool(weeks))
    for place, what in enumerate(things):
        _draw_histogram(figure.add_subplot(grid[place // 3, place % 3]), drift, what)
    if weeks:
        _draw_weeks(figure.add_subplot(grid[rows, :]), drift, weeks)
    figure.suptitle(label_text(title, LONGEST_TITLE), fontsize=12)
    return figure


def _draw_histogram(axes: "Axes", drift: Drift, what: str) -> None:
    cells: list[dict[str, Any]] = drift.histograms[drift.histograms["what"] == what].to_dict("records")  # type: ignore[assignment]
    cells = [cell for cell in cells if what != "intents" or cell["usual"] or cell["new"]]
    if len(cells) > _MOST_CELLS and what == "intents":
        cells = most_changed(cells, _MOST_CELLS)
    found = drift.tests[(drift.tests["period"] == ALL) & (drift.tests["what"] == what)].iloc[0]
    places = np.arange(len(cells))
    color = DRIFTED if found["drifted"] else NEW
    axes.barh(places - 0.2, [cell["usual"] for cell in cells], 0.4, color=USUAL, label="usual")
    axes.barh(places + 0.2, [cell["new"] for cell in cells], 0.4, color=color, label="new")
    axes.set_yticks(places, [label_text(cell["cell"], _LONGEST_CELL) for cell in cells], fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.locator_params(axis="x", nbins=5)
    effect = "too few rows to tell" if np.isnan(found["effect"]) else f"PSI {found['effect']:.2f}"
    axes.set_title(f"{what}: {effect}{', drifted' if found['drifted'] else ''}", fontsize=10)
    axes.legend(fontsize=7, loc="best")


def _draw_weeks(axes: "Axes", drift: Drift, weeks: list[str]) -> None:
    """Each effect as a multiple of the least that counts: on one scale, however it is measured."""
    places = np.arange(len(weeks))
    tests = drift.tests.assign(times=drift.tests["effect"] / drift.tests["least_effect"])
    every, drifted = (tests.pivot(index="period", columns="what", values=each).reindex(weeks) for each in _SHOWN)
    for marker, what in zip(_MARKERS, dict.fromkeys(tests["what"]), strict=False):
        values, alarms = every[what].to_numpy(dtype="float64"), drifted[what].to_numpy(dtype=bool)
        line = axes.plot(places, values, marker=marker, markersize=4, linewidth=1, label=what)
        axes.scatter(places[alarms], values[alarms], s=110, facecolors="none", edgecolors=line[0].get_color())
    axes.axhline(1, color="0.5", linewidth=1, linestyle="--")
    axes.set_xticks(places, weeks, rotation=30 if len(weeks) > 6 else 0, fontsize=8)
    axes.set_yscale("symlog", linthresh=1)
    most = max(2.0, 1.3 * float(np.nanmax(every.to_numpy(dtype="float64"), initial=0)))
    ticks = [tick for tick in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= most]
    axes.set_yticks(ticks, [str(tick) for tick in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set(ylabel="effect, in multiples of\nthe least that counts", ylim=(0, most))
    axes.set_title("by week (ringed: drifted; a gap: too few rows to tell)", fontsize=10)
    axes.legend(fontsize=8, ncols=4, loc="upper left")
