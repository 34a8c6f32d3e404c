"""What only shows across rows and tables, told before anything slow starts. Rows are tables.py's business."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from intent_bert.config import INTENT, TEXT
from intent_bert.data.cells import shown, shown_name
from intent_bert.data.label_sets import all_labels, joined, never_joined
from intent_bert.data.labels import Label, classes_of, label_ids
from intent_bert.data.rows import RowReader
from intent_bert.errors import DataError, IntentBertError

logger = logging.getLogger("intent_bert")

NAMED = 10  # labels or columns in a sentence; the others are counted
MANY_LABELS = 1000
FEWEST_ROWS = 20  # below, a label for each row may be meant


def check_tables(
    train: pd.DataFrame,
    validation: pd.DataFrame | None = None,
    test: pd.DataFrame | None = None,
    strict: bool = False,
    label_separator: str | None = None,
) -> list[str]:
    """Check what only shows across rows and tables; log each warning once.

    With ``label_separator`` rows with several labels are expected.

    Returns:
        The warnings: nearly as many intents as rows, one text under two intents, no row with several labels where they
        are expected, texts of the other tables that also stand in train, labels that train never had.

    Raises:
        DataError: train has one intent only, or another one in each row though a likelier column is there or the
            intents are very many; or ``strict`` and there is a warning.
    """
    classes = classes_of(all_labels(train[INTENT]))
    if not classes:
        raise DataError(f"{train.attrs.get('source')} has no label in any row: expected at least two intents")
    if len(classes) < 2:
        raise DataError(f"{train.attrs.get('source')} has one intent only, {shown(classes[0])}: expected at least two")
    warnings = _too_many_labels(train, len(classes)) + _contradictions(train)
    if label_separator is not None and (unjoined := never_joined(list(train[INTENT]), label_separator)):
        warnings.append(f"{train.attrs.get('source')}: {unjoined}")
    for name, table in (("validation", validation), ("test", test)):
        if table is not None:
            warnings += _overlap(name, table, train) + _unknown_labels(name, table, classes)
    if strict and warnings:
        raise DataError(f"{warnings[0]} (an error because of --strict)")
    for warning in warnings:
        logger.warning(warning)
    return warnings


def check_label_types(train: pd.DataFrame) -> None:
    """Refuse a file whose labels are texts here and numbers or booleans there: that is hardly ever meant.

    Raises:
        DataError: labels of several types, with the first row of each.
    """
    first: dict[type, str] = {}
    for row, labels in train[INTENT].items():
        for label in all_labels([labels]):
            kind = float if type(label) is int else type(label)
            if kind not in first:
                first[kind] = f"{shown(label)} in row {row}"
    if len(first) > 1:
        raise DataError(
            f"{train.attrs.get('source')} has labels of several types, {' and '.join(first.values())}: "
            "write all labels as text, or all as numbers"
        )


def _too_many_labels(train: pd.DataFrame, labels: int) -> list[str]:
    """A question, where the labels look as if they came from another column than was meant."""
    each_its_own = labels == len(train) >= FEWEST_ROWS
    if not each_its_own and not (labels > MANY_LABELS and 2 * labels > len(train)):
        return []
    likelier = _likelier_columns(train)
    meant = " or ".join(f"--label-column {shown_name(column)}" for column in likelier) or "another --label-column"
    found = f"{train.attrs.get('source')} has {labels:,} intents in {len(train):,} rows; did you mean {meant}?"
    if each_its_own and (likelier or labels > MANY_LABELS):
        raise DataError(f"{found} Nothing can be learnt where each row has an intent of its own")
    return [found]


def _likelier_columns(train: pd.DataFrame) -> list[str]:
    """The columns of train's file that could be the labels: few values, and each in several rows; at most three."""
    source = Path(str(train.attrs.get("source")))
    try:
        reader = RowReader(source, on_error="skip")
        distinct: dict[str, set[str]] = {column: set() for column in reader.columns}
        for row in reader:
            for column, values in distinct.items():
                if len(values) <= MANY_LABELS:
                    values.add(shown(row.values[column]))
    except IntentBertError:  # no file: a DataFrame, or texts and labels
        return []
    most = min(MANY_LABELS, len(train) // 2)
    counts = {column: len(values) for column, values in distinct.items() if 2 <= len(values) <= most}
    return sorted(counts, key=lambda column: counts[column])[:3]


def _contradictions(train: pd.DataFrame) -> list[str]:
    distinct = train.groupby(TEXT, sort=False)[INTENT].nunique()
    texts = distinct[distinct > 1].index
    if texts.empty:
        return []
    rows = train[train[TEXT] == texts[0]][INTENT]
    where = _listed([f"row {row}: {_written(labels)}" for row, labels in rows.items()])
    many = "1 text stands" if len(texts) == 1 else f"{len(texts)} texts stand"
    return [f"{train.attrs.get('source')}: {many} under more than one intent, such as {shown(texts[0])} ({where})"]


def _written(labels: Any) -> str:
    """A row's label or label set in a warning."""
    return shown_name(joined(all_labels([labels]), " and ")) or "none"


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _overlap(name: str, table: pd.DataFrame, train: pd.DataFrame) -> list[str]:
    also = table[TEXT].isin(set(train[TEXT]))
    if not also.any():
        return []
    row, text = next(iter(table[TEXT][also].items()))
    return [
        f"{table.attrs.get('source')}: {int(also.sum())} of {len(table)} {name} texts also stand in train, such as "
        f"row {row}: {shown(text)}"
    ]


def _unknown_labels(name: str, table: pd.DataFrame, classes: list[Label]) -> list[str]:
    labels = pd.Series(all_labels(table[INTENT]), dtype=object)
    unknown = labels[label_ids(labels, classes) < 0]
    if unknown.empty:
        return []
    counts = _listed([f"{shown_name(label)} ({count})" for label, count in Counter(unknown).most_common()])
    return [f"{table.attrs.get('source')}: {name} has labels that train never had, counted as mistakes: {counts}"]
