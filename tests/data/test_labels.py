"""Labels: read as Python's own values, sorted, numbered."""

import numpy as np
import pandas as pd
import pytest

from intent_bert.data.labels import label_problem, plain_label
from intent_bert.data.tables import read_table


@pytest.mark.parametrize(
    "labels",
    [np.array([3, 1]), np.array([3, 1], "uint8"), np.array([2.5, 1.0], "float32"), np.array([True, False]),
     np.array(["b", "a"]), pd.Series([3, 1], dtype="Int64"), pd.Series(["b", "a"], dtype="category")],
)  # fmt: skip
def test_labels_of_numpy_and_pandas_become_pythons(labels):
    for table in (read_table((["x", "y"], labels)), read_table(pd.DataFrame({"text": ["x", "y"], "intent": labels}))):
        assert [type(label) for label in table["intent"]] == [type(label) for label in labels.tolist()]
        assert table["intent"].tolist() == labels.tolist()


def test_numbers_of_several_types_stay_as_they_are():
    table = read_table((["x", "y"], [1, 2.5]))
    assert [str(label) for label in table["intent"]] == ["1", "2.5"]


def test_a_label_that_can_not_be_one():
    assert plain_label(np.str_(" a ")) == "a" and type(plain_label(np.str_("a"))) is str
    assert label_problem(float("inf")) == "expected a word or a number, found inf"
    assert label_problem(10**5000) == "expected a word or a number, found a huge int"
    assert label_problem([1]) == "expected a word or a number, found [1]"
    assert label_problem(np.float32("nan").item()) == "the label is empty; fill it in or delete the row"
    assert label_problem(1) is label_problem(True) is label_problem("a") is None
