"""Texts per intent as a plot, and all plots under one name."""

import struct

import pandas as pd
import pytest

import intent_bert
from intent_bert.errors import SettingsError
from intent_bert.evaluation.plots import intent_counts_plot, png_bytes, save_plot


def size_of(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


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


def test_of_very_many_intents_those_with_the_fewest_texts_are_drawn():
    intents = [f"intent {number:04}" for number in range(1000)]
    rows = [intent for number, intent in enumerate(intents) for _ in range(2 if number < 800 else 1)]
    figure = intent_counts_plot({name: pd.DataFrame({"intent": rows}) for name in ("train", "test", "validation")})
    assert max(size_of(png_bytes(figure))) < 2**16
    assert figure.axes[0].get_title() == "Texts per intent, the 200 of 1,000 with the fewest"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == intents[:799:-1]


def test_labels_are_text_and_never_mathematics(tmp_path):
    figure = intent_counts_plot({"train $x_{$": pd.DataFrame({"intent": ["$x_{$", "b"]})})
    save_plot(figure, tmp_path / "counts.svg")
    assert "$x_{$" in (tmp_path / "counts.svg").read_text().replace("<!-- ", "").replace(" -->", "")


def test_users_find_every_plot_in_one_module():
    names = ["confusion_plot", "cost_plot", "intent_counts_plot", "intent_f1_plot", "learning_curve_plot"]
    assert sorted(name for name in intent_bert.plots.__all__ if name.endswith("_plot")) == [*names, "save_plot"]
    for name in intent_bert.plots.__all__:
        assert callable(getattr(intent_bert.plots, name))


def test_a_plot_needs_an_ending(tmp_path):
    with pytest.raises(SettingsError) as caught:
        save_plot(intent_counts_plot({"train": pd.DataFrame({"intent": ["a", "b"]})}), tmp_path / "counts")
    assert str(caught.value) == "expected a name that ends in .png, .pdf or .svg, not 'counts'"
    assert list(tmp_path.iterdir()) == []
