"""The confusion matrix as a plot: of a size that a person can read, for two labels and for thousands."""

import struct
from itertools import pairwise

import numpy as np
import pytest

from intent_bert.evaluation.confusion_plot import confusion_plot, most_confused
from intent_bert.evaluation.drawing import png_bytes


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


@pytest.mark.parametrize("classes", [201, 5000])
def test_of_very_many_labels_the_most_confused_are_drawn(classes):
    confusion = np.zeros((classes, classes), "int64")
    np.fill_diagonal(confusion, 10)
    for place in range(0, 60, 2):  # thirty pairs, the later the worse
        confusion[place, place + 1] = place + 1
    figure = confusion_plot(confusion, [f"intent {number}" for number in range(classes)], "test")
    width, height = size_of(png_bytes(figure))
    assert max(width, height) < 4000
    (axes,) = figure.axes
    assert axes.get_title() == f"test\nthe 40 most confused of {classes:,} labels"
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"intent {number}" for number in range(20, 60)]
    share = np.asarray(axes.images[0].get_array())[-2, -1] ** 2
    assert share == pytest.approx(59 / 69), "shares are of the whole row"


def test_the_most_confused_without_a_mistake_are_the_commonest():
    assert most_confused(np.diag([1, 3, 2]), 2) == [1, 2]
    assert most_confused(np.diag([1, 3, 2]), 5) == [0, 1, 2]


@pytest.mark.parametrize("classes", [3, 50])
def test_labels_are_text_and_never_mathematics(classes):
    odd = ["costs $5 or $x_{$", "$\\badmacro{$", "line\nfeed", "x" * 1000, "ü 漢 🎵", "_under", ""]
    labels = [odd[number % len(odd)] for number in range(classes)]
    figure = confusion_plot(np.eye(classes, dtype="int64"), labels, "the $title{ of $ it")
    png_bytes(figure)
    assert figure.axes[0].get_title() == r"the \$title{ of \$ it"
