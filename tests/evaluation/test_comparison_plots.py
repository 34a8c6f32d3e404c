"""How methods compare, as plots: every method has its point, line or column, and a legend covers none."""

import numpy as np
import pandas as pd
import pytest

from intent_bert.evaluation.comparison_plots import cost_plot, intent_f1_plot, learning_curve_plot
from intent_bert.evaluation.drawing import png_bytes


@pytest.fixture
def compared() -> pd.DataFrame:
    rows = [
        ("majority", "floor", "10", 0.1), ("tfidf-svm", "words", "10", 0.6), ("fine-tuning", "tuned", "10", 0.8),
        ("majority", "floor", "all", 0.1), ("tfidf-svm", "words", "all", 0.85), ("fine-tuning", "tuned", "all", 0.95),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["method", "family", "size", "accuracy"])
    costs = {"train_seconds": [0.01, 1.0, 100.0] * 2, "ms_per_sentence": [0.001, 0.02, 3.0] * 2}
    rows_in_train = {"train_rows": [70] * 3 + [7000] * 3}
    return table.assign(low=table["accuracy"] - 0.05, high=table["accuracy"] + 0.05, **costs, **rows_in_train)


def test_cost_names_every_method_but_the_floor(compared):
    figure = cost_plot(compared[compared["size"] == "all"])
    for axes in figure.axes:
        assert sorted(text.get_text() for text in axes.texts) == ["fine-tuning", "tfidf-svm"]
        assert axes.get_xscale() == "log"
    only_floor = cost_plot(compared[compared["family"] == "floor"].iloc[:1])
    assert [text.get_text() for text in only_floor.axes[0].texts] == ["majority"]
    png_bytes(figure)


@pytest.mark.parametrize("draw", [cost_plot, learning_curve_plot])
def test_a_legend_covers_no_point(compared, draw):
    figure = draw(compared)
    figure.draw_without_rendering()
    (legend,) = figure.legends or [axes.get_legend() for axes in figure.axes]
    box = legend.get_window_extent()
    assert len(legend.get_texts()) == 2
    assert figure.bbox.padded(1).containsx(box.x1) and figure.bbox.padded(1).containsy(box.y1)
    assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_learning_curves_have_a_line_for_each_method(compared):
    (axes,) = learning_curve_plot(compared).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == {"tfidf-svm", "fine-tuning"}
    np.testing.assert_allclose(lines["tfidf-svm"].get_xydata(), [(70, 60), (7000, 85)])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["70\n(10 per intent)", "7,000\n(all)"]


@pytest.mark.parametrize("intents", [3, 150])
def test_f1_by_intent_shows_the_hardest(intents):
    per_intent = pd.DataFrame(
        {"one": np.linspace(1, 0, intents), "other": np.linspace(1, 0, intents)},
        index=[f"intent {number}" for number in range(intents)],
    )
    (axes,) = intent_f1_plot(per_intent).axes
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == [f"intent {number}" for number in reversed(range(intents))][:40]
    assert axes.texts[0].get_text() == "0.00"
    assert ("the hardest 40 of 150" in axes.get_title()) == (intents == 150)


def test_families_say_what_is_a_baseline(compared):
    (legend,) = cost_plot(compared).legends
    assert [text.get_text() for text in legend.get_texts()] == ["baseline: words without BERT", "fine-tuned BERT"]


def test_intents_are_text_and_never_mathematics():
    figure = intent_f1_plot(pd.DataFrame({"one": [0.5, 1.0]}, index=["costs $5 or $x_{$", "x" * 500]))
    png_bytes(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [r"costs \$5 or \$x_{\$", f"{'x' * 39}…"]
