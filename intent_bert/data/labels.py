"""Labels as numbers: the classes of a table, and the number of each label among them.

Nothing here knows of tables or needs pandas.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from intent_bert.data.rows import half_character, is_missing, shown
from intent_bert.errors import DataError

Label: TypeAlias = str | int | float | bool

_LARGEST = 1 << 63  # more than any number that a table's column holds


def plain_label(value: Any) -> Any:
    """A label as Python has it: numpy's numbers and booleans become Python's, a text loses the space around it."""
    if isinstance(value, np.generic):
        value = value.item()
    return str(value).strip() if isinstance(value, str) else value


def label_problem(label: Any) -> str | None:
    """What is wrong with a label, and what to do; None where nothing is."""
    if is_missing(label):
        return "the label is empty; fill it in or delete the row"
    if isinstance(label, str):
        return half_character(label)
    usable = isinstance(label, (int, float)) and abs(label) < _LARGEST
    return None if usable else f"expected a word or a number, found {shown(label)}"


def classes_of(labels: Iterable[Label]) -> list[Label]:
    """The distinct labels, sorted.

    Raises:
        DataError: two labels differ in type only, such as 1 and "1", or texts, numbers and booleans are mixed.
    """
    distinct: dict[str, Label] = {}
    for label in labels:
        known = distinct.setdefault(str(label), label)
        if type(known) is not type(label):
            raise DataError(f"the labels {shown(known)} and {shown(label)} differ in type only: use one of them")
    kinds: dict[type, Label] = {}
    for label in distinct.values():
        kinds.setdefault(float if type(label) is int else type(label), label)
    if len(kinds) > 1:
        mixed = " and ".join(shown(label) for label in kinds.values())
        raise DataError(f"the labels {mixed} are of several types: write all labels as text, or all as numbers")
    return sorted(distinct.values())


def label_ids(labels: Iterable[Label], classes: Sequence[Label]) -> np.ndarray:
    """The number of each label in ``classes`` (int32, -1 where it is not among them).

    Labels are compared as they are written, so that the "1" of a csv finds the 1 of a DataFrame.
    """
    index = {str(label): number for number, label in enumerate(classes)}
    return np.array([index.get(str(label), -1) for label in labels], "int32")
