"""Labels as numbers: the classes of a table, and the number of each label among them.

Nothing here knows of tables or needs pandas.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from intent_bert.errors import DataError

Label: TypeAlias = str | int | float | bool


def classes_of(labels: Iterable[Label]) -> list[Label]:
    """The distinct labels, sorted.

    Raises:
        DataError: two labels differ in type only, such as 1 and "1".
    """
    distinct: dict[str, Label] = {}
    for label in labels:
        known = distinct.setdefault(str(label), label)
        if type(known) is not type(label):
            raise DataError(f"the labels {known!r} and {label!r} differ in type only: use one of them")
    return sorted(distinct.values(), key=lambda label: (isinstance(label, str), label))


def label_ids(labels: Iterable[Label], classes: Sequence[Label]) -> np.ndarray:
    """The number of each label in ``classes`` (int32, -1 where it is not among them).

    Labels are compared as they are written, so that the "1" of a csv finds the 1 of a DataFrame.
    """
    index = {str(label): number for number, label in enumerate(classes)}
    return np.array([index.get(str(label), -1) for label in labels], "int32")
