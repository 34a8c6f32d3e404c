"""Rows with several labels: label sets as tuples, read from cells and written as matrices.

    "weather|music"      a text, its labels joined by a separator      -> ("music", "weather")
    ["weather", "music"] a list, as JSON and Parquet have them         -> ("music", "weather")
    "" or []             no label, which is legal: no intent fits      -> ()

A label set is sorted and holds each label once, so that equal sets are equal tuples. Of a table's sets the separator
joins each and takes it apart again, for that is how csv files hold them. A table's column ``intent`` holds either plain
labels or label sets. Nothing here needs pandas.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from intent_bert.config import LABEL_SEPARATOR
from intent_bert.data.cells import is_missing, shown
from intent_bert.data.labels import Label, classes_of, label_ids, label_problem, plain_label
from intent_bert.errors import DataError, SettingsError

LabelSet: TypeAlias = tuple[Label, ...]

_OTHER_SEPARATORS = ",;|+&/#"


def label_set(value: Any, separator: str = LABEL_SEPARATOR) -> LabelSet:
    """The labels of a cell: a list, a text whose labels are joined, a single label, or an empty cell.

    >>> label_set("weather | music"), label_set(["b", "a", "b"]), label_set(None)
    (('music', 'weather'), ('a', 'b'), ())

    Raises:
        DataError: a text with an empty label between separators, or something that is no label.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = list(value)
    elif is_missing(value):
        parts = []
    elif isinstance(value, str):
        parts = value.split(separator)
        if any(is_missing(part) for part in parts):
            raise DataError(
                f"a label in {shown(value)} is empty: write a label on each side of the separator {separator!r}, or "
                "leave the whole cell empty where no intent fits"
            )
    else:
        parts = [value]
    labels = [plain_label(part) for part in parts]
    problem = next((problem for problem in map(label_problem, labels) if problem), None)
    if problem:
        raise DataError(problem)
    return tuple(classes_of(labels))


def rejoinable(labels: LabelSet, separator: str) -> LabelSet:
    """The label set, which is known to be the same when it is read where the separator has joined it.

    Raises:
        DataError: a label of a list holds the separator.
    """
    written = [str(label) for label in labels]
    if written and separator.join(written).split(separator) != written:
        whose = next((label for label in written if separator in label), separator.join(written))
        raise DataError(
            f"the label {shown(whose)} holds the separator {separator!r}, which joins labels where they are written: "
            "name another with --label-separator, or rename the label"
        )
    return labels


def check_separator(separator: str | None) -> None:
    """Raise SettingsError for a separator that separates nothing; None is none, and right."""
    if separator is not None and not (isinstance(separator, str) and separator):
        raise SettingsError(f"label_separator must be a text such as '|', not {separator!r}")


def holds_label_sets(labels: Iterable[Any]) -> bool:
    """Whether these are label sets and not plain labels."""
    return isinstance(next(iter(labels), None), tuple)


def all_labels(labels: Iterable[Any]) -> list[Label]:
    """Every label of label sets, one after the other; plain labels as they are.

    >>> all_labels([("a", "b"), (), ("a",)]), all_labels(["a", "b"])
    (['a', 'b', 'a'], ['a', 'b'])
    """
    return list(chain.from_iterable(each if isinstance(each, tuple) else (each,) for each in labels))


def joined(labels: Iterable[Label], separator: str = LABEL_SEPARATOR) -> str:
    """A label set as a text."""
    return separator.join(map(str, labels))


def label_matrix(label_sets: Sequence[Any], classes: Sequence[Label]) -> np.ndarray:
    """Which label each row has, bool (N, C); a label that is not among ``classes`` is left out."""
    matrix = np.zeros((len(label_sets), len(classes)), bool)
    rows = np.repeat(np.arange(len(label_sets)), [len(each) for each in label_sets])
    numbers = label_ids(all_labels(label_sets), classes)
    matrix[rows[numbers >= 0], numbers[numbers >= 0]] = True
    return matrix


def never_joined(label_sets: Sequence[LabelSet], separator: str) -> str | None:
    """What to ask where no row has two labels: the separator may be another one."""
    if any(len(each) > 1 for each in label_sets):
        return None
    others = [sign for sign in _OTHER_SEPARATORS if sign not in separator]
    suspect = next((label for label in all_labels(label_sets) if any(sign in str(label) for sign in others)), None)
    example = "" if suspect is None else f", as in {shown(suspect)}"
    return (
        f"no row has more than one label, joined by {separator!r}: if another sign joins them{example}, name it with "
        "--label-separator; to learn several intents from sentences with one, add --mix 0.5"
    )
