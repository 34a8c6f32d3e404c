"""The confusion matrix as a plot: with numbers for few labels, in shades for many, in part for very many."""

from collections.abc import Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from intent_bert.evaluation.drawing import LONGEST_TITLE, label_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERS_UP_TO = 40  # labels; with more, a cell is too small for a number
WHOLE_UP_TO = 200  # labels; with more, the most confused ones stand for all
LINES_EVERY = 10  # labels, in a plot without numbers
DOWN, ACROSS = "label", "prediction"


def confusion_plot(confusion: np.ndarray, labels: Sequence[str], title: str = "") -> "Figure":
    """Draw a confusion matrix: label down, prediction across; cells shaded by share of their row.

    Up to 40 labels, each cell that is not 0 has its number; up to 200, the shades alone tell. Of more labels the 40
    that are confused most are drawn, and the title says so.

    Args:
        confusion: int (labels, labels), label down.
        labels: a name for each row and column.
        title: a line above the plot.
    """
    rows, title = confusion.sum(axis=1), label_text(title, LONGEST_TITLE)
    if len(labels) > WHOLE_UP_TO:
        shown = most_confused(confusion, NUMBERS_UP_TO)
        part = f"the {len(shown)} most confused of {len(labels):,} labels"
        title = f"{title}\n{part}" if title else part
        confusion, labels, rows = confusion[np.ix_(shown, shown)], [labels[place] for place in shown], rows[shown]
    shares = confusion / np.maximum(rows, 1)[:, None]
    names = [label_text(label) for label in labels]
    return _numbered(confusion, shares, names, title) if len(names) <= NUMBERS_UP_TO else _shaded(shares, names, title)


def most_confused(confusion: np.ndarray, number: int) -> list[int]:
    """The places of this many labels, rising: those of the largest cells off the diagonal, then the commonest.

    >>> most_confused(np.array([[9, 0, 0], [0, 1, 5], [0, 0, 2]]), 2)
    [1, 2]
    """
    down, across = np.nonzero(confusion)
    mistakes = np.flatnonzero(down != across)
    largest = mistakes[np.argsort(-confusion[down[mistakes], across[mistakes]], kind="stable")]
    pairs = chain.from_iterable((int(down[cell]), int(across[cell])) for cell in largest)
    common = np.argsort(-confusion.sum(axis=1), kind="stable").tolist()
    return sorted(islice(dict.fromkeys(chain(pairs, common)), number))


def _numbered(confusion: np.ndarray, shares: np.ndarray, names: Sequence[str], title: str) -> "Figure":
    from matplotlib.figure import Figure

    number = len(names)
    side = max(5.0, 2.5 + 0.55 * number)
    figure = Figure(figsize=(side + 1, side), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # the root lets a single mistake be seen
    axes.set_xticks(range(number), names, rotation=90 if number > 12 else 45, fontsize=9)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("center" if number > 12 else "right")
        label.set_rotation_mode("default" if number > 12 else "anchor")
    axes.set_yticks(range(number), names, fontsize=9)
    axes.set(xlabel=ACROSS, ylabel=DOWN, title=title)
    for row, column in np.argwhere(confusion):
        color = "white" if shares[row, column] > 0.3 else "black"
        axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=color, fontsize=9)
    return figure


def _shaded(shares: np.ndarray, names: Sequence[str], title: str) -> "Figure":
    """For many labels: a mesh and plain texts, as an image of this size and ticks cost several times as much."""
    from matplotlib.figure import Figure

    number = len(names)
    side = 4 + 0.14 * number
    figure = Figure(figsize=(side + 1, side), dpi=100, layout="constrained")
    axes = figure.add_subplot(xticks=[], yticks=[], title=title)
    mesh = axes.pcolormesh(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    axes.invert_yaxis()
    for place in range(LINES_EVERY, number, LINES_EVERY):
        axes.axhline(place, color="0.85", linewidth=0.6)
        axes.axvline(place, color="0.85", linewidth=0.6)
    for place, name in enumerate(names):
        axes.text(-0.5, place + 0.5, name, ha="right", va="center", fontsize=7)
        axes.text(place + 0.5, number + 0.5, name, ha="center", va="top", rotation=90, fontsize=7)
    figure.supxlabel(ACROSS, fontsize=12)
    figure.supylabel(DOWN, fontsize=12)
    bar = figure.colorbar(mesh, shrink=0.3, aspect=30, pad=0.01, ticks=np.sqrt([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "1 %", "5 %", "10 %", "25 %", "50 %", "100 %"])
    bar.set_label("share of the row")
    return figure
