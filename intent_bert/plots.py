"""The pictures: a confusion matrix, and how many texts each intent has. Written with matplotlib, no screen needed."""

from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intent_bert.settings import INTENT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTS_SHOWN_UP_TO = 40  # classes; with more, a cell is too small for a number that isn't 0


def confusion_figure(confusion: np.ndarray, labels: Sequence[str], title: str = "") -> "Figure":
    """A confusion matrix as a picture: truth down, answer across; cells shaded by share of their row.

    Args:
        confusion: int (labels, labels), truth down.
        labels: a name for each row and column.
    """
    from matplotlib.figure import Figure

    number = len(labels)
    side = max(5.0, 2.5 + 0.55 * number) if number <= COUNTS_SHOWN_UP_TO else 4 + 0.17 * number
    figure = Figure(figsize=(side + 1, side), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # the root lets a single mistake be seen
    size = 9 if number <= COUNTS_SHOWN_UP_TO else 7
    axes.set_xticks(range(number), labels, rotation=90 if number > 12 else 45, fontsize=size)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("center" if number > 12 else "right")
        label.set_rotation_mode("default" if number > 12 else "anchor")
    axes.set_yticks(range(number), labels, fontsize=size)
    axes.set(xlabel="answer", ylabel="truth", title=title)
    if number > COUNTS_SHOWN_UP_TO:
        axes.set_xticks(np.arange(-0.5, number), minor=True)
        axes.set_yticks(np.arange(-0.5, number), minor=True)
        axes.grid(which="minor", color="0.93", linewidth=0.4)
        axes.tick_params(which="minor", length=0)
    for row, column in np.argwhere(confusion):
        color = "white" if shares[row, column] > 0.3 else "black"
        text_size = size if number <= COUNTS_SHOWN_UP_TO else 5
        axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=color, fontsize=text_size)
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


def save_figure(figure: "Figure", path: str | PathLike) -> None:
    figure.savefig(path)


def png_bytes(figure: "Figure") -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
