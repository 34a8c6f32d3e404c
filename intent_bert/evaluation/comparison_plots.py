"""How methods compare, as plots: accuracy against cost and against the size of the table, and F1 by intent."""

from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.evaluation.drawing import label_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FAMILIES = {  # of methods, as plots and tables name them
    "floor": "baseline: majority",
    "words": "baseline: words without BERT",
    "frozen": "baseline: frozen BERT",
    "tuned": "fine-tuned BERT",
}
_COLOURS = {"floor": "0.6", "words": "tab:orange", "frozen": "tab:blue", "tuned": "tab:green"}
INTENTS_SHOWN = 40  # in the plot of F1 by intent: the hardest ones


def cost_plot(table: "pd.DataFrame") -> "Figure":
    """Draw accuracy with its interval against seconds of training and against milliseconds a sentence.

    Args:
        table: a row for each method: method, family, accuracy, low, high, train_seconds, ms_per_sentence.
    """
    from matplotlib.figure import Figure

    table = table[table["family"] != "floor"] if (table["family"] != "floor").any() else table
    figure = Figure(figsize=(12, 5), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    costs = {"train_seconds": "seconds of training", "ms_per_sentence": "milliseconds for a prediction"}
    for axes, (column, label) in zip(panels, costs.items(), strict=True):
        for family, part in table.groupby("family", sort=False):
            accuracy = 100 * part["accuracy"]
            interval = [accuracy - 100 * part["low"], 100 * part["high"] - accuracy]
            colour = _COLOURS[str(family)]
            axes.errorbar(part[column], accuracy, interval, fmt="o", color=colour, capsize=2, lw=0.8, ms=6,
                          label=FAMILIES[str(family)])  # fmt: skip
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


def learning_curve_plot(table: "pd.DataFrame") -> "Figure":
    """Draw accuracy against the number of training sentences, a line for each method.

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
        colour = _COLOURS[family]
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


def intent_f1_plot(per_intent: "pd.DataFrame") -> "Figure":
    """Draw F1 of each intent by method; the hardest intents when there are many.

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
    axes.set_yticks(range(len(shown)), [label_text(intent) for intent in shown.index], fontsize=8)
    for (row, column), f1 in np.ndenumerate(shown.to_numpy()):
        color = "white" if abs(f1 - 0.5) > 0.42 else "black"
        axes.text(column, row, f"{f1:.2f}", ha="center", va="center", fontsize=7, color=color)
    hardest = f", the hardest {len(shown)} of {len(per_intent)}" if len(shown) < len(per_intent) else ""
    axes.set_title(f"F1 by intent{hardest}", fontsize=10)
    return figure
