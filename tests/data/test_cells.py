"""Single cells: what is missing, and what an error shows of a value."""

import numpy as np
import pandas as pd

from intent_bert.data.cells import is_missing, shown, shown_name


def test_what_counts_as_missing():
    assert all(map(is_missing, [None, float("nan"), np.nan, pd.NA, pd.NaT, "", " \t", "\0", " \0 "]))
    assert not any(map(is_missing, [0, False, "a", "nan", [], float("inf")]))


def test_values_are_shown_short():
    assert shown("a" * 500) == "'" + "a" * 79 + "..."
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert (shown(deep), shown(10**5000)) == ("a huge list", "a huge int")
    names = ("a b", "a\0", "x" * 90, 3)
    assert [shown_name(name) for name in names] == ["a b", "'a\\x00'", "'" + "x" * 79 + "...", "3"]
