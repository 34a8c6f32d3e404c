"""Rows with several labels: how cells are read, and what bad ones get."""

import json

import numpy as np
import pandas as pd
import pytest

from intent_bert import BucketedBatches, FullTokenizer, IntentDetectionData
from intent_bert.data.checks import check_tables
from intent_bert.data.label_sets import all_labels, holds_label_sets, joined, label_matrix, label_set, never_joined
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, SettingsError


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("music", ("music",)),
        (" weather | music ", ("music", "weather")),
        ("b|a|b", ("a", "b")),
        ("", ()),
        (None, ()),
        (float("nan"), ()),
        ([], ()),
        (["weather", "music"], ("music", "weather")),
        (np.array(["b", "a"]), ("a", "b")),
        ({"a|b"}, ("a|b",)),  # a list says where a label ends
        ([3, 1, "x"], (1, 3, "x")),
        (np.int64(4), (4,)),
    ],
)
def test_a_cell_is_a_sorted_set_of_plain_labels(cell, expected):
    assert label_set(cell) == expected
    assert all(type(label) in (int, str) for label in label_set(cell))


def test_any_text_may_separate():
    assert label_set("a#b", "#") == ("a", "b")
    assert label_set("a|b", "#") == ("a|b",)
    assert label_set("a and b", " and ") == ("a", "b")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *(
            (
                cell,
                f"t, row 1, column 'intent': a label in {cell!r} is empty: write a label on each side of the separator "
                "'|', or leave the whole cell empty where no intent fits",
            )
            for cell in ("|", "a|", "|a", "a||b", "a| |b")
        ),
        (["a", None], "t, row 1, column 'intent': the label is empty; fill it in or delete the row"),
        ([["a"]], "t, row 1, column 'intent': expected a word or a number, found ['a']"),
        (
            ["1", 1],
            "t, row 1, column 'intent': the labels '1' and 1 differ in type only: use one of them",
        ),
    ],
)
def test_a_cell_that_is_no_label_set_is_told_with_its_row(cell, expected):
    frame = pd.DataFrame({"text": ["x", "y"], "intent": ["a|b", cell]})
    frame.attrs["source"] = "t"
    with pytest.raises(DataError) as caught:
        read_table(frame, label_separator="|")
    assert str(caught.value) == expected


def test_labels_that_could_not_be_told_apart_again_are_refused():
    frame = pd.DataFrame({"text": ["x", "y"], "intent": [["a", "b"], ["a|b", "c"]]})
    frame.attrs["source"] = "t"
    with pytest.raises(DataError) as caught:
        read_table(frame, label_separator="|")
    assert str(caught.value) == (
        "t, row 1, column 'intent': the label 'a|b' holds the separator '|', which joins labels where they are "
        "written: name another with --label-separator, or rename the label"
    )
    assert read_table(frame, label_separator=";")["intent"].tolist() == [("a", "b"), ("a|b", "c")]
    assert read_table((["x"], [[1.5, 2]]), label_separator="|")["intent"].tolist() == [(1.5, 2)]
    with pytest.raises(DataError, match=r"the label '1\.5' holds the separator '\.'"):
        read_table((["x"], [[1.5, 2]]), label_separator=".")
    with pytest.raises(DataError, match=r"'b\|\|\|c' holds the separator"):  # read again, it would be b and |c
        read_table((["x"], [["b|", "c"]]), label_separator="||")


@pytest.mark.parametrize("separator", ["", 3])
def test_an_odd_separator_is_refused(separator):
    with pytest.raises(SettingsError, match=rf"^label_separator must be a text such as '\|', not {separator!r}$"):
        read_table((["x"], ["a"]), label_separator=separator)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_sets(tmp_path, suffix):
    texts, sets = ["one", "two", "three"], [["b", "a"], [], ["c"]]
    path = tmp_path / f"table.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps({"text": t, "intent": s}) + "\n" for t, s in zip(texts, sets, strict=True)))
    elif suffix == "parquet":
        pd.DataFrame({"text": texts, "intent": sets}).to_parquet(path)
    else:
        cells = pd.DataFrame({"text": texts, "intent": ["|".join(each) for each in sets]})
        cells.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    table = read_table(path, label_separator="|")
    assert list(table["intent"]) == [("a", "b"), (), ("c",)]
    assert read_table(table, label_separator="|").equals(table)
    assert read_table((texts, sets), label_separator="|")["intent"].tolist() == table["intent"].tolist()


def test_without_a_separator_a_row_has_one_label():
    with pytest.raises(DataError, match=r"expected a word or a number, found \['a'\]"):
        read_table((["x"], [["a"]]))
    assert read_table((["x", "y"], ["a|b", "c"]))["intent"].tolist() == ["a|b", "c"]


def test_matrix_and_back():
    sets = [("a", "b"), (), ("c", "new")]
    assert label_matrix(sets, ["a", "b", "c"]).tolist() == [[True, True, False], [False] * 3, [False, False, True]]
    assert label_matrix([], ["a", "b"]).shape == (0, 2)
    assert all_labels(sets) == ["a", "b", "c", "new"]
    assert joined(("a", 2), "+") == "a+2"
    assert holds_label_sets(sets) and not holds_label_sets(["a"]) and not holds_label_sets([])


def test_labels_that_were_never_joined_are_asked_about():
    assert never_joined([("a", "b"), ("a",)], "|") is None
    assert never_joined([("a;b",), ("a",)], "|") == (
        "no row has more than one label, joined by '|': if another sign joins them, as in 'a;b', name it with "
        "--label-separator; to learn several intents from sentences with one, add --mix 0.5"
    )
    assert "as in" not in str(never_joined([("a",), ("b",)], "|"))


def test_checks_of_tables_with_label_sets(caplog):
    train = read_table((["x", "y", "x", "z"], ["a|b", "", "a", "b"]), label_separator="|")
    test = read_table((["new", "y"], ["a|c|d", "c"]), label_separator="|")
    assert check_tables(train, test=test, label_separator="|") == [
        "the given texts: 1 text stands under more than one intent, such as 'x' (row 0: a and b, row 2: a)",
        "the given texts: 1 of 2 test texts also stand in train, such as row 1: 'y'",
        "the given texts: test has labels that train never had, counted as mistakes: c (2), d (1)",
    ]
    single = read_table((["x", "y"], ["a", "b"]), label_separator="|")
    with pytest.raises(DataError, match=r"no row has more than one label.*an error because of --strict"):
        check_tables(single, strict=True, label_separator="|")
    with pytest.raises(DataError, match=r"^the given texts has no label in any row: expected at least two intents$"):
        check_tables(read_table((["x"], [[]]), label_separator="|"))


def test_the_preprocessor_gives_targets_for_sigmoids(quick_checkpoint):
    tokenizer = FullTokenizer(quick_checkpoint / "vocab.txt")
    train = (["play a song", "will it rain", "now"], ["music", "weather|music", ""])
    data = IntentDetectionData(train, (["rain"], ["weather|new"]), tokenizer, label_separator="|", seed=None)
    assert data.classes == ["music", "weather"]
    assert data.train_y.dtype == np.float32
    assert data.train_y.tolist() == [[1, 0], [1, 1], [0, 0]]
    assert data.test_y.tolist() == [[0, 1]]
    with pytest.raises(DataError, match=r"^the training label 'weather' is not among the classes \['music'\]$"):
        IntentDetectionData(train, None, tokenizer, ["music"], label_separator="|")
    (_, targets), *_ = BucketedBatches(data.train_x, data.train_y, batch_size=3)
    assert targets.dtype == np.float32 and sorted(targets.tolist()) == [[0, 0], [1, 0], [1, 1]]
