"""Held-out rows of label sets: every label gives its share, and no text stands on both sides."""

import numpy as np
import pytest

from intent_bert.data.label_sets import label_matrix
from intent_bert.data.splits import split_off, split_table
from intent_bert.data.tables import read_table


@pytest.fixture
def table():
    """A thousand texts with up to three of six labels, the last of which is rare; some texts stand twice."""
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.01])
    sets = [[label for label, has in zip("abcdef", row, strict=True) if has] for row in rng.random((1000, 6)) < shares]
    texts = [f"text {number}" for number in range(1000)]
    return read_table((texts + texts[:50], sets + sets[:50]), label_separator="|")


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_every_label_and_the_empty_set_give_their_share(table, share):
    rest, held_out = split_off(table, share, 1)
    assert len(rest) + len(held_out) == len(table)
    assert not set(rest["text"]) & set(held_out["text"])
    whole, part = (label_matrix(list(each["intent"]), list("abcdef")).sum(axis=0) for each in (table, held_out))
    np.testing.assert_allclose(part / whole, share, atol=0.05)
    assert abs(sum(not each for each in held_out["intent"]) / sum(not each for each in table["intent"]) - share) < 0.03


def test_the_seed_decides(table):
    first, again, other = (split_off(table, 0.1, seed)[1].index.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_a_label_gives_one_of_two_texts_and_never_its_last():
    table = read_table((["a", "b", "c", "d"], ["x|y", "x|y", "z|x", ""]), label_separator="|")
    rest, held_out = split_off(table, 0.1, 0)
    assert len(held_out) == 1 and held_out["intent"].tolist() == [("x", "y")]
    assert {label for labels in rest["intent"] for label in labels} == {"x", "y", "z"}


def test_a_text_under_two_label_sets_stays():
    table = read_table((["a", "a", "b", "c"], ["x", "x|y", "x", "y"]), label_separator="|")
    assert not set(split_off(table, 0.5, 0)[1]["text"]) & {"a"}


def test_three_parts(table):
    parts = split_table(table, (70, 15, 15), seed=3, label_separator="|")
    assert sum(map(len, parts)) == len(table)
    np.testing.assert_allclose([len(part) / len(table) for part in parts], (0.7, 0.15, 0.15), atol=0.03)
