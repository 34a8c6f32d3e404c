"""Sentences that no intent fits are taken out of the tables, or read from a file; the test table keeps its own."""

import pandas as pd
import pytest

from intent_bert import TrainingConfig
from intent_bert.data.tables import read_table
from intent_bert.data.unknown import divided, take_unknown
from intent_bert.errors import DataError, SettingsError


def tables() -> dict:
    train = read_table((["a one", "b one", "moo", "a two"], ["a", "b", "none", "a"]))
    test = read_table((["a three", "moo moo"], ["a", "none"]))
    return {"train": train, "validation": read_table((["what", "b two"], ["none", "b"])), "test": test}


def config(**settings) -> TrainingConfig:
    return TrainingConfig(train_file="train.csv", **settings)


def test_rows_with_the_label_leave_train_and_validation():
    kept, unknown = take_unknown(tables(), config(unknown_label="none"))
    assert [list(kept[name].text) for name in kept] == [["a one", "b one", "a two"], ["b two"], ["a three", "moo moo"]]
    assert unknown.text.tolist() == ["moo", "what"]


def test_a_file_adds_its_own_and_repeats_count_once(tmp_path, caplog):
    pd.DataFrame({"text": ["moo", "baa", "a one"]}).to_csv(tmp_path / "u.csv", index=False)
    kept, unknown = take_unknown(tables(), config(unknown_file=tmp_path / "u.csv", unknown_label="none"))
    assert unknown.text.tolist() == ["moo", "what", "baa", "a one"]
    assert "1 of the unknown sentences also stand in train" in caplog.text
    kept, unknown = take_unknown(tables(), config(unknown_file=tmp_path / "u.csv"))
    assert len(kept["train"]) == 4 and unknown.text.tolist() == ["moo", "baa", "a one"]


def test_without_either_nothing_changes():
    given = tables()
    kept, unknown = take_unknown(given, config())
    assert unknown is None and all(kept[name] is given[name] for name in given)


def test_a_label_that_no_row_has_or_that_all_have_is_refused():
    with pytest.raises(SettingsError, match="no row has the label 'oos' that unknown_label names"):
        take_unknown(tables(), config(unknown_label="oos"))
    only = {"train": read_table((["x", "y"], ["none", "none"])), "validation": None, "test": None}
    with pytest.raises(DataError, match="all rows of the given texts have the unknown label 'none'"):
        take_unknown(only, config(unknown_label="none"))


def test_labels_are_compared_as_they_are_written():
    known, unknown = divided(read_table((["x", "y"], [0, 1])), "1")
    assert (known.text.tolist(), unknown.text.tolist()) == (["x"], ["y"])
