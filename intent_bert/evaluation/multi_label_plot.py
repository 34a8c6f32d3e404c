"""What a multi-label model confuses, as a plot of two matrices: labels taken for others, labels that come together.

left     a label that was missed down, what was predicted in its place across; right ones on the diagonal
right    rows that have both labels; the shade is the share of them in which both were predicted
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.evaluation.confusion_plot import most_confused
from intent_bert.evaluation.drawing import LONGEST_TITLE, label_text
from intent_bert.evaluation.metrics import NO_INTENT_NAME

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS_UP_TO = 30  # with more, the most confused ones stand for all


def multi_label_plot(
    confusion: np.ndarray, together: np.ndarray, together_right: np.ndarray, labels: Sequence[str], title: str = ""
) -> "Figure":
    """Draw which labels are confused, and which occur together.

    Of more than 30 labels those that are confused most are drawn, and the title says so.

    Args:
        confusion: int (L + 1, L + 1), missed down, wrongly predicted across, the last for "none".
        together: int (L, L), rows that have both labels.
        together_right: int (L, L), those where both were predicted.
        labels: a name for each of the L.
        title: a line above the plot.
    """
    from matplotlib.figure import Figure

    title = label_text(title, LONGEST_TITLE)
    shown = list(range(len(labels)))
    if len(labels) > LABELS_UP_TO:
        shown = most_confused(confusion[:-1, :-1], LABELS_UP_TO)
        part = f"the {len(shown)} most confused of {len(labels):,} labels"
        title = f"{title}\n{part}" if title else part
    names = [label_text(labels[place]) for place in shown]
    with_none = [*shown, len(labels)]
    side = max(4.5, 1.5 + 0.5 * len(names))
    figure = Figure(figsize=(2 * side + 2, side + 1.3), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    drawn = confusion[np.ix_(with_none, with_none)]
    shares = drawn / np.maximum(confusion[with_none].sum(axis=1), 1)[:, None]
    texts = np.where(drawn > 0, drawn.astype(str), "")
    _draw(left, texts, np.sqrt(shares), [*names, NO_INTENT_NAME], "Blues")  # the root lets a single mistake be seen
    left.set(title="confused", ylabel="label that was missed", xlabel="predicted in its place")
    both, found = together[np.ix_(shown, shown)], together_right[np.ix_(shown, shown)]
    pairs = np.where(np.eye(len(shown), dtype=bool), 0, both)
    of_both = [[_of(*counts) for counts in zip(*rows, strict=True)] for rows in zip(found, both, strict=True)]
    _draw(right, np.array(of_both), pairs / max(pairs.max(initial=0), 1), names, "Greens")
    right.set(title="occur together", xlabel="both predicted / both in the labels")
    figure.suptitle(title)
    return figure


def _of(found: int, both: int) -> str:
    """What a cell says of two labels: 10 where all ten were found, 9/10 where one was not."""
    return (str(both) if found == both else f"{found}/{both}") if both else ""


def _draw(axes: Any, texts: np.ndarray, shades: np.ndarray, names: Sequence[str], colors: str) -> None:
    number = len(names)
    axes.imshow(shades, cmap=colors, vmin=0, vmax=1.2)
    many = number > 12
    axes.set_xticks(range(number), names, rotation=90 if many else 45, fontsize=9)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("center" if many else "right")
        label.set_rotation_mode("default" if many else "anchor")
    axes.set_yticks(range(number), names, fontsize=9)
    for row, column in np.argwhere(texts != ""):
        color = "white" if shades[row, column] > 0.6 else "black"
        axes.text(column, row, texts[row, column], ha="center", va="center", color=color, fontsize=8)
