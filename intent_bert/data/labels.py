"""Labels as numbers: the classes of a table, and the number of each label among them.

Nothing here knows of tables or needs pandas.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from intent_bert.data.cells import half_character, is_missing, shown
from intent_bert.errors import DataError, SettingsError

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
    """The distinct labels, sorted, numbers before texts.

    Raises:
        DataError: two labels differ in type only, such as 1 and "1".
    """
    distinct: dict[str, Label] = {}
    for label in labels:
        known = distinct.setdefault(str(label), label)
        if type(known) is not type(label):
            raise DataError(f"the labels {shown(known)} and {shown(label)} differ in type only: use one of them")
    return sorted(distinct.values(), key=lambda label: (isinstance(label, str), label))


def label_ids(labels: Iterable[Label], classes: Sequence[Label]) -> np.ndarray:
    """The number of each label in ``classes`` (int32, -1 where it is not among them).

    Labels are compared as they are written, so that the "1" of a csv finds the 1 of a DataFrame.
    """
    index = {str(label): number for number, label in enumerate(classes)}
    return np.array([index.get(str(label), -1) for label in labels], "int32")


def class_weights(
    labels: Sequence[Label], classes: Sequence[Label], class_weight: str | Mapping[Any, float] | None
) -> np.ndarray | None:
    """How much a sentence of each class counts in the loss, float32 (C,), or None where all count alike.

    "balanced" is scikit-learn's: rows / (classes * rows of the class).

    Raises:
        SettingsError: a weight for a label that isn't there, a label without one, or one that isn't above 0.
    """
    if class_weight is None:
        return None
    if class_weight == "balanced":
        counts = np.bincount(label_ids(labels, classes), minlength=len(classes))
        return (len(labels) / (len(classes) * np.maximum(counts, 1))).astype("float32")
    assert isinstance(class_weight, Mapping)
    given = {str(label): weight for label, weight in class_weight.items()}
    odd = sorted(set(given) ^ set(map(str, classes)))
    if odd:
        raise SettingsError(f"class_weight must have a weight for each label and no other: see {odd[0]!r}")
    wrong = next((label for label, weight in given.items() if not weight > 0), None)
    if wrong is not None:
        raise SettingsError(f"class_weight must be above 0, not {given[wrong]} for {wrong!r}")
    return np.array([given[str(label)] for label in classes], "float32")
