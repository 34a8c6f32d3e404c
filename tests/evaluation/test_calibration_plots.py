"""The plots of trust are drawn from what they are given, with one kind of sentences and with two."""

from dataclasses import replace

import numpy as np
import pytest

from intent_bert.evaluation.calibration import Reliability
from intent_bert.evaluation.calibration_plots import coverage_plot, reliability_plot, scope_plot
from intent_bert.evaluation.drawing import png_bytes
from intent_bert.evaluation.out_of_scope import ScopeScores


def scope_scores(known: int, unknown: int, threshold: float | None = 0.5) -> ScopeScores:
    rng, is_known = np.random.default_rng(0), np.arange(known + unknown) < known
    scores = (rng.normal(size=known + unknown) + 2 * is_known).astype("float32")
    return ScopeScores(scores, rng.random(known + unknown), is_known, is_known, threshold)


def names_in(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize("changed", [False, True])
def test_reliability_before_and_after(changed):
    rng = np.random.default_rng(0)
    confidence = rng.random(200)
    after = Reliability(confidence, rng.random(200) < confidence, confidence, confidence)
    before = replace(after, confidence=confidence**0.5) if changed else after
    figure = reliability_plot(after, before, "costs $5 or $6")
    assert ("before calibration" in names_in(figure)) == changed
    points = figure.axes[0].collections[-1].get_offsets()
    assert np.abs(points[:, 0] - points[:, 1]).mean() < 0.15  # near the diagonal, as these are calibrated
    assert png_bytes(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("known, unknown, threshold", [(200, 80, 0.5), (200, 0, 0.5), (200, 80, None)])
def test_scores_and_coverage(known, unknown, threshold):
    scores = scope_scores(known, unknown, threshold)
    names = names_in(scope_plot(scores, "test"))
    assert any(name.startswith("in scope (200)") for name in names)
    assert any(name.startswith("unknown") for name in names) == bool(unknown)
    assert any("threshold" in name for name in names) == (threshold is not None)
    figure = coverage_plot(scores, "test")
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert lines["by the score of scope"].get_ydata()[-1] == pytest.approx(known / (known + unknown))
    assert png_bytes(figure).startswith(b"\x89PNG")
