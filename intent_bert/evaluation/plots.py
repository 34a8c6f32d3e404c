"""All plots under one name (``intent_bert.plots``), and the plot of a table's own: how many texts each intent has."""

from typing import TYPE_CHECKING

import numpy as np

from intent_bert.config import INTENT
from intent_bert.evaluation.comparison_plots import cost_plot, intent_f1_plot, learning_curve_plot
from intent_bert.evaluation.confusion_plot import confusion_plot
from intent_bert.evaluation.drawing import label_text, png_bytes, save_plot

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "confusion_plot",
    "cost_plot",
    "intent_counts_plot",
    "intent_f1_plot",
    "learning_curve_plot",
    "png_bytes",
    "save_plot",
]

INTENTS_COUNTED = 200  # in the plot of texts per intent: those with the fewest


def intent_counts_plot(tables: "dict[str, pd.DataFrame]") -> "Figure":
    """Draw how many texts each intent has, a bar for each table; of more than 200 intents, those with the fewest.

    Args:
        tables: a DataFrame with the column ``intent`` under each name ("train", "test", ...).
    """
    import pandas as pd
    from matplotlib.figure import Figure

    counts = pd.DataFrame({name: table[INTENT].astype(str).value_counts() for name, table in tables.items()})
    counts = counts.fillna(0).astype(int).sort_index(ascending=False)
    title = "Texts per intent"
    if len(counts) > INTENTS_COUNTED:
        fewest = counts.sum(axis=1).sort_values(kind="stable").index[:INTENTS_COUNTED]
        title = f"{title}, the {INTENTS_COUNTED} of {len(counts):,} with the fewest"
        counts = counts.loc[counts.index.isin(fewest)]
    height = max(2.5, 1 + 0.22 * len(counts) * len(tables))
    figure = Figure(figsize=(8, height), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(tables)
    for place, name in enumerate(counts.columns):
        positions = np.arange(len(counts)) + (len(tables) - 1) * width / 2 - place * width
        bars = axes.barh(positions, counts[name], height=width, label=label_text(name))
        axes.bar_label(bars, padding=2, fontsize=7)
    axes.set_yticks(range(len(counts)), [label_text(label) for label in counts.index], fontsize=8)
    axes.set(xlabel="texts", title=title)
    axes.margins(x=0.1, y=0.01)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure
