"""Pictures: of a size that a person can read, for 7 and for 150 classes."""

import struct
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from intent_bert.evaluation.plots import (
    confusion_plot,
    cost_plot,
    intent_counts_plot,
    intent_f1_plot,
    learning_curve_plot,
    png_bytes,
    save_plot,
)


def size_of(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


def figure_of(classes: int):
    rng = np.random.default_rng(0)
    confusion = np.diag(rng.integers(10, 100, classes))
    for row in range(classes):
        confusion[row, rng.integers(0, classes)] += 1
    return confusion_plot(confusion, [f"an_intent_called_{number}" for number in range(classes)], "test"), confusion


@pytest.mark.parametrize(("classes", "smallest", "largest"), [(2, 500, 900), (7, 700, 1200), (40, 2500, 3500)])
def test_confusion_matrix_has_a_readable_size_and_its_numbers(classes, smallest, largest):
    figure, confusion = figure_of(classes)
    width, height = size_of(png_bytes(figure))
    assert smallest <= height <= width <= largest
    axes = figure.axes[0]
    names = [f"an_intent_called_{number}" for number in range(classes)]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("prediction", "label", "test")
    numbers = {(int(y), int(x)): int(text.get_text()) for text in axes.texts for x, y in [text.get_position()]}
    assert numbers == {(row, column): confusion[row, column] for row, column in np.argwhere(confusion)}


@pytest.mark.parametrize(("classes", "smallest", "largest"), [(41, 900, 1200), (150, 2400, 2700)])
def test_many_classes_are_shades_and_names(classes, smallest, largest):
    figure, confusion = figure_of(classes)
    width, height = size_of(png_bytes(figure))
    assert smallest <= height <= width <= largest
    axes, bar = figure.axes
    (mesh,) = (each for each in axes.collections if each.get_array() is not None)
    shares = confusion / confusion.sum(axis=1, keepdims=True)
    assert np.allclose(np.asarray(mesh.get_array()) ** 2, shares)
    assert axes.yaxis_inverted(), "the first intent stands at the top"
    rows, columns = ([text for text in axes.texts if text.get_rotation() == angle] for angle in (0, 90))
    names = [f"an_intent_called_{number}" for number in range(classes)]
    assert [text.get_text() for text in rows] == [text.get_text() for text in columns] == names
    assert [text.get_position()[1] for text in rows] == [text.get_position()[0] for text in columns]
    assert (figure.get_supxlabel(), figure.get_supylabel(), axes.get_title()) == ("prediction", "label", "test")
    assert bar.get_yticklabels()[-1].get_text() == "100 %"


def test_150_classes_are_drawn_in_about_a_second():
    """It is drawn after each epoch. The time is this thread's, as others may use the machine."""
    png_bytes(figure_of(7)[0])  # fonts are found
    started = time.thread_time()
    png_bytes(figure_of(150)[0])
    assert time.thread_time() - started < 2, "the bar is 1 s"


@pytest.mark.parametrize("classes", [7, 41, 150])
def test_labels_do_not_overlap(classes):
    figure, _ = figure_of(classes)
    figure.draw_without_rendering()
    renderer = figure._get_renderer()
    axes = figure.axes[0]
    labels = axes.get_yticklabels() or [text for text in axes.texts if text.get_rotation() == 0]
    boxes = [label.get_window_extent(renderer) for label in labels]
    assert len(boxes) == classes
    bottoms = sorted((box.y0, box.y1) for box in boxes)
    assert all(below[1] <= above[0] + 1 for below, above in pairwise(bottoms))
    assert min(box.height for box in boxes) >= 7
    assert min(box.x0 for box in boxes) >= 0


def test_an_empty_row_is_no_division_by_zero():
    figure = confusion_plot(np.array([[2, 0], [0, 0]]), ["a", "b"])
    assert size_of(png_bytes(figure))[0] > 0
    shown = figure.axes[0].images[0].get_array()
    assert np.isfinite(shown).all()


def test_texts_per_intent(tmp_path):
    train = pd.DataFrame({"text": list("abcde"), "intent": [1, 1, 1, 2, 2]})
    test = pd.DataFrame({"text": ["f"], "intent": ["2"]})
    figure = intent_counts_plot({"train": train, "test": test})
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2", "1"]
    assert [bar.get_width() for bar in axes.patches] == [2, 3, 1, 0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]
    save_plot(figure, tmp_path / "counts.png")
    width, height = size_of((tmp_path / "counts.png").read_bytes())
    assert (width, height) == (960, 300)
    many = pd.DataFrame({"text": [str(n) for n in range(150)], "intent": [f"intent {n}" for n in range(150)]})
    assert 3000 < size_of(png_bytes(intent_counts_plot({"train": many})))[1] < 6000


# --- methods -----------------------------------------------------------------------------------------------------


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
