"""The forms in which several intents a text come to an estimator, and go back: lists of labels, or an indicator matrix.

    y = [["music", "weather"], [], ["music"]]       lists of labels
    y = np.array([[1, 1], [0, 0], [1, 0]])          scikit-learn's indicator matrix, a column for each label

The labels of a matrix are the numbers of its columns, or the names of a DataFrame's. A column without a 1 can't be
learnt: it comes back as zeros.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from intent_bert.data.label_sets import label_set
from intent_bert.data.labels import Label, label_ids, plain_label
from intent_bert.errors import DataError


def is_matrix(y: Any) -> bool:
    """Whether labels come as an indicator matrix: an array, a sparse matrix or a DataFrame."""
    return len(getattr(y, "shape", ())) == 2


def has_label_lists(y: Any) -> bool:
    """Whether labels come as lists of labels."""
    return not is_matrix(y) and any(isinstance(each, (list, tuple, set, frozenset, np.ndarray)) for each in y)


def columns_of(y: Any) -> list[Label]:
    """The labels of an indicator matrix."""
    return [plain_label(name) for name in y.columns] if hasattr(y, "columns") else list(range(y.shape[1]))


def label_lists(y: Any) -> list[list[Label]]:
    """The rows of an indicator matrix as lists of labels.

    Raises:
        DataError: something in it is neither 0 nor 1.
    """
    columns = columns_of(y)
    matrix = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    odd = np.argwhere(~np.isin(matrix, (0, 1)))
    if len(odd):
        row, column = odd[0].tolist()
        raise DataError(
            f"expected an indicator matrix of 0 and 1, found {matrix[row, column]} in row {row}, column {column} "
            "(counted from 0)"
        )
    return chosen_lists(matrix, columns)


def in_columns(values: np.ndarray, classes: Sequence[Label], columns: Sequence[Label]) -> np.ndarray:
    """Values of the model's classes, (N, C), at their places among all columns of the matrix; zeros elsewhere."""
    placed = np.zeros((len(values), len(columns)), values.dtype)
    placed[:, label_ids(classes, columns)] = values
    return placed


def chosen_lists(chosen: np.ndarray, classes: Sequence[Label]) -> list[list[Label]]:
    """Which intents each text has, bool (N, C), as lists of labels."""
    return [[classes[number] for number in np.flatnonzero(row).tolist()] for row in chosen]


def right_rows(found: Any, y: Any) -> list[bool]:
    """Which rows have exactly the labels that they should have, in either form."""
    if is_matrix(y):
        found, y = label_lists(found), label_lists(y)
    rows = zip(found, y, strict=True)
    return [label_set(one) == label_set(other) for one, other in rows]
