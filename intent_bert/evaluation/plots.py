"""The pictures: a confusion matrix, texts per intent, and how methods compare.

Written with matplotlib, no screen needed.
"""

from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intent_bert.config import INTENT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERS_UP_TO = 40  # classes; with more, a cell is too small for a number
LINES_EVERY = 10  # classes, in a picture without numbers


def confusion_figure(confusion: np.ndarray, labels: Sequence[str], title: str = "") -> "Figure":
    """A confusion matrix as a picture: truth down, answer across; cells shaded by share of their row.

    Up to 40 labels, each cell that is not 0 has its number; with more, the shades alone tell.

    Args:
        confusion: int (labels, labels), truth down.
        labels: a name for each row and column.
    """
    from matplotlib.figure import Figure

    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    if len(labels) > NUMBERS_UP_TO:
        return _shaded_figure(shares, labels, title)
    number = len(labels)
    side = max(5.0, 2.5 + 0.55 * number)
    figure = Figure(figsize=(side + 1, side), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # the root lets a single mistake be seen
    axes.set_xticks(range(number), labels, rotation=90 if number > 12 else 45, fontsize=9)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("center" if number > 12 else "right")
        label.set_rotation_mode("default" if number > 12 else "anchor")
    axes.set_yticks(range(number), labels, fontsize=9)
    axes.set(xlabel="answer", ylabel="truth", title=title)
    for row, column in np.argwhere(confusion):
        color = "white" if shares[row, column] > 0.3 else "black"
        axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=color, fontsize=9)
    return figure


def _shaded_figure(shares: np.ndarray, labels: Sequence[str], title: str) -> "Figure":
    """The picture for many labels; 150 take under a second.

    A mesh, and labels that are plain texts: an image of this size and ticks cost several times as much.
    """
    from matplotlib.figure import Figure

    number = len(labels)
    side = 4 + 0.14 * number
    figure = Figure(figsize=(side + 1, side), dpi=100, layout="constrained")
    axes = figure.add_subplot(xticks=[], yticks=[], title=title)
    mesh = axes.pcolormesh(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    axes.invert_yaxis()
    for place in range(LINES_EVERY, number, LINES_EVERY):
        axes.axhline(place, color="0.85", linewidth=0.6)
        axes.axvline(place, color="0.85", linewidth=0.6)
    for place, label in enumerate(labels):
        axes.text(-0.5, place + 0.5, label, ha="right", va="center", fontsize=7)
        axes.text(place + 0.5, number + 0.5, label, ha="center", va="top", rotation=90, fontsize=7)
    figure.supxlabel("answer", fontsize=12)
    figure.supylabel("truth", fontsize=12)
    bar = figure.colorbar(mesh, shrink=0.3, aspect=30, pad=0.01, ticks=np.sqrt([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "1 %", "5 %", "10 %", "25 %", "50 %", "100 %"])
    bar.set_label("share of the row")
    return figure


def intent_counts_figure(tables: dict[str, pd.DataFrame]) -> "Figure":
    """How many texts each intent has, a bar for each table ("train", "test", ...)."""
    from matplotlib.figure import Figure

    counts = pd.DataFrame({name: table[INTENT].astype(str).value_counts() for name, table in tables.items()})
    counts = counts.fillna(0).astype(int).sort_index(ascending=False)
    height = max(2.5, 1 + 0.22 * len(counts) * len(tables))
    figure = Figure(figsize=(8, height), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(tables)
    for place, name in enumerate(counts.columns):
        positions = np.arange(len(counts)) + (len(tables) - 1) * width / 2 - place * width
        bars = axes.barh(positions, counts[name], height=width, label=name)
        axes.bar_label(bars, padding=2, fontsize=7)
    axes.set_yticks(range(len(counts)), counts.index, fontsize=8)
    axes.set(xlabel="texts", title="Texts per intent")
    axes.margins(x=0.1, y=0.01)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure


FAMILY_COLOURS = {"floor": "0.6", "words": "tab:orange", "frozen": "tab:blue", "tuned": "tab:green"}
FAMILY_NAMES = {"floor": "no learning", "words": "words alone", "frozen": "frozen BERT", "tuned": "fine-tuned BERT"}
INTENTS_SHOWN = 40  # in the picture of F1 by intent: the hardest ones


def cost_figure(table: pd.DataFrame) -> "Figure":
    """Accuracy with its interval against seconds of training and against milliseconds a sentence.

    Args:
        table: a row for each method: method, family, accuracy, low, high, train_seconds, ms_per_sentence.
    """
    from matplotlib.figure import Figure

    table = table[table["family"] != "floor"] if (table["family"] != "floor").any() else table
    figure = Figure(figsize=(12, 5), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    costs = {"train_seconds": "seconds of training", "ms_per_sentence": "milliseconds for an answer"}
    for axes, (column, label) in zip(panels, costs.items(), strict=True):
        for family, part in table.groupby("family", sort=False):
            accuracy = 100 * part["accuracy"]
            interval = [accuracy - 100 * part["low"], 100 * part["high"] - accuracy]
            colour = FAMILY_COLOURS[str(family)]
            axes.errorbar(part[column], accuracy, interval, fmt="o", color=colour, capsize=2, lw=0.8, ms=6,
                          label=FAMILY_NAMES[str(family)])  # fmt: skip
        _name_points(axes, table[column].to_numpy(), 100 * table["accuracy"].to_numpy(), list(table["method"]))
        axes.set_xscale("log")
        axes.set(xlabel=f"{label} (logarithmic)")
        axes.grid(color="0.92")
        axes.margins(x=0.1)
    panels[0].set_ylabel("accuracy, % (bootstrap 95 % interval)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8)
    return figure


def _name_points(axes: Any, x: np.ndarray, y: np.ndarray, names: list[str]) -> None:
    """Names beside points on the side of the middle, pushed apart from top to bottom where they would touch."""
    from matplotlib.patheffects import withStroke

    halo = withStroke(linewidth=2, foreground="white")  # an interval that runs behind a name leaves it readable
    height = axes.dataLim.height * 1.1 or 1.0
    middle = np.sqrt(x.min() * x.max())
    for right_half in (False, True):
        below = np.inf
        for place in [each for each in np.argsort(-y, kind="stable") if (x[each] > middle) == right_half]:
            at = min(y[place], below - 0.034 * height)
            beside = x[place] * (0.85 if right_half else 1.18)
            side = "right" if right_half else "left"
            axes.text(beside, at, names[place], fontsize=7, va="center_baseline", ha=side, path_effects=[halo])
            if at < y[place]:
                axes.plot([beside, x[place]], [at, y[place]], color="0.6", lw=0.5, zorder=0)
            below = at


def learning_curve_figure(table: pd.DataFrame) -> "Figure":
    """Accuracy against the number of training sentences, a line for each method.

    Args:
        table: a row for each method and size: method, family, accuracy, low, high, train_rows.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    styles = ("o-", "s--", "^:", "D-.")
    table = table[table["family"] != "floor"] if (table["family"] != "floor").any() else table
    drawn: dict[str, int] = {}
    for method, part in table.groupby("method", sort=False):
        family = part["family"].iloc[0]
        style = styles[drawn.get(family, 0) % len(styles)]
        drawn[family] = drawn.get(family, 0) + 1
        colour = FAMILY_COLOURS[family]
        axes.plot(part["train_rows"], 100 * part["accuracy"], style, color=colour, ms=5, label=method)
        axes.fill_between(part["train_rows"], 100 * part["low"], 100 * part["high"], color=colour, alpha=0.08, lw=0)
    sizes = table.drop_duplicates("size")
    shown = ["(all)" if size == "all" else f"({size} per intent)" for size in sizes["size"].tolist()]
    names = [f"{int(rows):,}\n{size}" for rows, size in zip(sizes["train_rows"], shown, strict=True)]
    axes.set_xscale("log")
    axes.set_xticks(sizes["train_rows"], names, fontsize=8)
    axes.minorticks_off()
    axes.set(xlabel="training sentences (logarithmic)", ylabel="accuracy, %")
    axes.grid(color="0.92")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure


def intent_f1_figure(per_intent: pd.DataFrame) -> "Figure":
    """F1 of each intent by method; the hardest intents when there are many.

    Args:
        per_intent: F1, a row for each intent, a column for each method.
    """
    from matplotlib.figure import Figure

    order = per_intent.mean(axis=1).sort_values(kind="stable").index
    shown = per_intent.loc[order[:INTENTS_SHOWN]]
    columns = len(shown.columns)
    size = (4 + 0.6 * columns, 2.4 + 0.24 * len(shown))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shown, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(columns), shown.columns, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(shown)), shown.index, fontsize=8)
    for (row, column), f1 in np.ndenumerate(shown.to_numpy()):
        color = "white" if abs(f1 - 0.5) > 0.42 else "black"
        axes.text(column, row, f"{f1:.2f}", ha="center", va="center", fontsize=7, color=color)
    hardest = f", the hardest {len(shown)} of {len(per_intent)}" if len(shown) < len(per_intent) else ""
    axes.set_title(f"F1 by intent{hardest}", fontsize=10)
    return figure


def save_figure(figure: "Figure", path: str | PathLike) -> None:
    figure.savefig(path)


def png_bytes(figure: "Figure") -> bytes:
    """The picture as the bytes of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # Figure.savefig draws twice
    return buffer.getvalue()
