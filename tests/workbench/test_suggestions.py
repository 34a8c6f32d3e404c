"""Which sentences are chosen: unsure ones, unlike each other; none that is labelled, wordless or there twice."""

import numpy as np
import pytest

from intent_bert import suggest
from intent_bert.errors import DataError, SettingsError
from intent_bert.workbench.suggestions import COLUMNS, choose, margins


def test_margins_by_hand():
    np.testing.assert_allclose(margins(np.array([[0.7, 0.2, 0.1], [0.4, 0.1, 0.5]])), [0.5, 0.9])


def test_one_of_each_heap_of_unsure_sentences_is_chosen():
    rng = np.random.default_rng(0)
    heaps = np.repeat(np.arange(4), 30)
    vectors = np.eye(4, 16)[heaps] + 0.02 * rng.normal(size=(120, 16))
    unsure = np.where(heaps == 3, 0.001, 0.5) + 0.01 * rng.random(120)
    chosen = choose(unsure, vectors, 3)
    assert sorted(heaps[chosen]) == [0, 1, 2]  # the model is sure of the fourth heap
    center = vectors[heaps == heaps[chosen[0]]].mean(axis=0)
    distances = np.linalg.norm(vectors - center, axis=1)
    assert distances[chosen[0]] <= np.sort(distances)[9]  # a typical one
    assert (np.diff(unsure[chosen]) <= 0).all()


def test_fewer_than_asked_for_and_equal_ones():
    unsure = np.array([0.1, 0.9, 0.5])
    assert choose(unsure, np.eye(3), 5).tolist() == [1, 2, 0]
    assert choose(unsure, np.empty((3, 0)), 2).tolist() == [1, 2]
    same = choose(np.full(40, 0.5), np.ones((40, 4)), 7)
    assert len(set(same.tolist())) == 7


def test_a_table_is_looked_through(trained, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("q\nplay music\nbook a rain\nBook a rain!\nsunny table\nweather song\n")
    found = suggest(trained.folder, path, 10, text_column="q")
    assert list(found.columns) == list(COLUMNS)
    assert sorted(found["row"]) == [2, 3, 5, 6]  # row 4 is row 3 in other clothes
    assert set(found["guess"]) <= {"music", "weather", "table"}
    assert (found["guess"] != found["runner_up"]).all()
    assert set(found["intent"]) == {""}
    assert found["row"].iloc[-1] == 2  # the one that it has learnt
    again = suggest(trained.folder, ["play music", "sunny table", "\u200b"], 10, labelled=["PLAY music."])
    assert again["text"].tolist() == ["sunny table"]
    assert len(suggest(trained.folder, path, 2, text_column="q")) == 2


def test_several_intents(several):
    found = suggest(several.folder, ["play music and will it rain", "zz"], 2)
    both = found.set_index("text").loc["play music and will it rain"]
    assert sorted(both["guess"].split("|")) == ["music", "weather"]
    assert both["runner_up"] == "table"


def test_mistakes_get_a_sentence(trained):
    with pytest.raises(DataError, match="the table has nothing left to label"):
        suggest(trained.folder, ["play music"], 1, labelled=["play music"])
    with pytest.raises(SettingsError, match="number must be"):
        suggest(trained.folder, ["play music"], 0)
