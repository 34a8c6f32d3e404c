"""Can the model be trusted? A reliability diagram, the scores of known and unknown sentences, accuracy by coverage."""

from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.evaluation.calibration import BINS, Reliability
from intent_bert.evaluation.drawing import LONGEST_TITLE, label_text
from intent_bert.evaluation.out_of_scope import ScopeScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KNOWN, UNKNOWN, BEFORE = "#2166ac", "#d6604d", "#999999"  # told apart by those who see no red and green


def reliability_plot(after: Reliability, before: Reliability, title: str = "") -> "Figure":
    """Draw accuracy by confidence, before and after calibration, and how many sentences have which confidence.

    On the diagonal a confidence of 80 % means that 80 of 100 predictions are right.
    """
    figure = _figure((6, 6.5))
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="as it should be")
    changed = before is not after
    if changed:
        _draw_bins(axes, before.confidence, before.right, BEFORE, "before calibration", "s")
    name = "after calibration" if changed else "the model"
    _draw_bins(axes, after.confidence, after.right, KNOWN, name, "o")
    axes.set(ylabel="share that is right", ylim=(0, 1.02), title=label_text(title, LONGEST_TITLE))
    axes.legend(loc="upper left", fontsize=9)
    counts.hist(after.confidence, bins=BINS, range=(0, 1), color=KNOWN)
    counts.set(xlabel="confidence", ylabel="sentences", xlim=(0, 1), yscale="log")
    return figure


def scope_plot(scope: ScopeScores, title: str = "") -> "Figure":
    """Draw how the scores of sentences in scope, and of unknown ones if there are any, are spread."""
    figure = _figure((7, 4))
    axes = figure.add_subplot()
    known = scope.scores[scope.known]
    low, high = np.quantile(scope.scores, 0.002), scope.scores.max()
    if high - low < 1e-6:  # a single sentence
        low, high = low - 1, high + 1
    bins = np.linspace(low, high, 50).tolist()
    for chosen, color, name in ((scope.known, KNOWN, "in scope"), (~scope.known, UNKNOWN, "unknown")):
        if chosen.any():
            values = np.clip(scope.scores[chosen], low, high)
            axes.hist(values, bins=bins, color=color, alpha=0.6, density=True, label=f"{name} ({chosen.sum():,})")
    if scope.threshold is not None:
        accepted = f"threshold: accepts {np.mean(known >= scope.threshold):.1%} of those in scope" if len(known) else ""
        axes.axvline(scope.threshold, color="black", linewidth=1.2, linestyle="--", label=accepted or "threshold")
    axes.set(xlabel="score (higher: more in scope)", ylabel="density", title=label_text(title, LONGEST_TITLE))
    axes.legend(fontsize=9)
    return figure


def coverage_plot(scope: ScopeScores, title: str = "") -> "Figure":
    """Draw the accuracy of the sentences that are answered, by the share that is: the surest are answered first.

    An answer to an unknown sentence is a wrong one.
    """
    figure = _figure((7, 4))
    axes = figure.add_subplot()
    orders: dict[str, Any] = {"by confidence": (scope.confidence, BEFORE)}
    if not np.isnan(scope.scores).any():
        orders["by the score of scope"] = (scope.scores, KNOWN)
    for name, (values, color) in orders.items():
        right = scope.right[np.argsort(-values, kind="stable")]
        answered = np.arange(1, len(right) + 1)
        axes.plot(answered / len(right), np.cumsum(right) / answered, color=color, label=name)
    if scope.threshold is not None and len(orders) > 1:
        share = float(np.mean(scope.scores >= scope.threshold))
        axes.axvline(share, color="black", linewidth=1.2, linestyle="--", label=f"threshold: answers {share:.1%}")
    axes.set(xlabel="share of sentences answered", ylabel="accuracy of the answers", xlim=(0, 1))
    axes.set_title(label_text(title, LONGEST_TITLE))
    axes.legend(loc="lower left", fontsize=9)
    return figure


def _draw_bins(axes: "Axes", confidence: np.ndarray, right: np.ndarray, color: str, name: str, marker: str) -> None:
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    filled = counts > 0
    x, y = (np.bincount(places, each, BINS)[filled] / counts[filled] for each in (confidence, right))
    axes.plot(x, y, color=color, linewidth=1, alpha=0.7)
    axes.scatter(x, y, s=15 + 120 * np.sqrt(counts[filled] / counts.sum()), color=color, marker=marker, label=name)


def _figure(size: tuple[float, float]) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=120, layout="constrained")
