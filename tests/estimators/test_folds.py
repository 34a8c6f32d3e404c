"""Folds and samples of a comparison: nothing on both sides, nothing lost, and what can't be divided."""

import pandas as pd
import pytest

from intent_bert.config import CompareConfig
from intent_bert.errors import DataError, SettingsError
from intent_bert.estimators.folds import Folds


def test_each_row_is_tested_once_and_its_text_is_not_learnt_beside(small_table):
    doubled = pd.concat([small_table, small_table.iloc[:20]], ignore_index=True)
    folds = Folds.of({"train": doubled}, CompareConfig(folds=5))
    for train, test in folds.pairs:
        assert not set(train["text"]) & set(test["text"])
    assert sorted(folds.texts) == sorted(doubled["text"])
    assert len(folds.labels) == len(folds.numbers) == len(doubled)
    assert set(folds.numbers) == {1, 2, 3, 4, 5}


def test_held_out_and_sampled(small_table):
    folds = Folds.of({"train": small_table}, CompareConfig(test_split=0.25, seed=3))
    assert folds.pairs[0][1]["intent"].value_counts().nunique() == 1
    small, large = (folds.sampled(size, 3)[0][0] for size in ("2", "5"))
    assert set(small["text"]) < set(large["text"])
    assert list(large["intent"].value_counts()) == [5, 5, 5]
    assert not large.equals(folds.sampled("5", 4)[0][0])
    assert folds.sampled("1000", 3)[0][0].equals(folds.pairs[0][0])


def table(**counts: int) -> pd.DataFrame:
    rows = [(f"{intent} {number}", intent) for intent, count in counts.items() for number in range(count)]
    return pd.DataFrame(rows, columns=["text", "intent"])


def test_more_folds_than_sentences_of_any_intent():
    with pytest.raises(SettingsError) as caught:
        Folds.of({"train": table(few=3, many=6)}, CompareConfig(folds=7))
    assert str(caught.value) == "folds must be at most 6, the sentences of the commonest intent (many), not 7"
    repeated = pd.DataFrame({"text": ["a", "b"] * 4, "intent": ["x", "y"] * 4})
    with pytest.raises(SettingsError, match="at most 2, the texts, not 3"):
        Folds.of({"train": repeated}, CompareConfig(folds=3))
    assert len(Folds.of({"train": table(few=6, many=6)}, CompareConfig(folds=6)).pairs) == 6


def test_a_rare_intent_is_missing_from_some_folds_and_said(caplog):
    folds = Folds.of({"train": table(few=3, many=9)}, CompareConfig(folds=5))
    assert caplog.messages == ["intents with fewer sentences than folds, which not every fold tests: few (3)"]
    assert len(folds.texts) == 12


def test_nothing_to_hold_out():
    with pytest.raises(DataError) as caught:
        Folds.of({"train": table(one=1, other=1)}, CompareConfig())
    assert str(caught.value) == "there are too few sentences to hold out a test table: give one with --test-file"
    with pytest.raises(DataError) as caught:
        Folds.of({"train": table(one=1, other=2)}, CompareConfig(folds=2))
    assert str(caught.value) == "with 2 folds one of them has a single intent to learn: take fewer"
