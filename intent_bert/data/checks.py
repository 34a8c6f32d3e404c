"""What only shows across rows and tables, told before anything slow starts. Rows are tables.py's business."""

import logging

import pandas as pd

from intent_bert.config import INTENT, TEXT
from intent_bert.data.labels import Label, classes_of, label_ids
from intent_bert.errors import DataError

logger = logging.getLogger("intent_bert")


def check_tables(
    train: pd.DataFrame,
    validation: pd.DataFrame | None = None,
    test: pd.DataFrame | None = None,
    strict: bool = False,
) -> list[str]:
    """Check what only shows across rows and tables; log each warning once.

    Returns:
        The warnings: one text under two intents, texts of the other tables that also stand in train, labels that
        train never had.

    Raises:
        DataError: train has one intent only, or ``strict`` and there is a warning.
    """
    classes = classes_of(train[INTENT])
    if len(classes) < 2:
        raise DataError(f"{train.attrs.get('source')} has one intent only, {classes[0]!r}: expected at least two")
    warnings = _contradictions(train)
    for name, table in (("validation", validation), ("test", test)):
        if table is not None:
            warnings += _overlap(name, table, train) + _unknown_labels(name, table, classes)
    if strict and warnings:
        raise DataError(f"{warnings[0]} (an error because of --strict)")
    for warning in warnings:
        logger.warning(warning)
    return warnings


def _contradictions(train: pd.DataFrame) -> list[str]:
    distinct = train.groupby(TEXT, sort=False)[INTENT].nunique()
    texts = distinct[distinct > 1].index
    if texts.empty:
        return []
    rows = train[train[TEXT] == texts[0]]
    where = ", ".join(f"row {row}: {label}" for row, label in rows[INTENT].items())
    many = "1 text stands" if len(texts) == 1 else f"{len(texts)} texts stand"
    return [f"{train.attrs.get('source')}: {many} under more than one intent, such as {texts[0]!r} ({where})"]


def _overlap(name: str, table: pd.DataFrame, train: pd.DataFrame) -> list[str]:
    also = table[TEXT].isin(set(train[TEXT]))
    if not also.any():
        return []
    row, text = next(iter(table[TEXT][also].items()))
    return [
        f"{table.attrs.get('source')}: {int(also.sum())} of {len(table)} {name} texts also stand in train, such as "
        f"row {row}: {text!r}"
    ]


def _unknown_labels(name: str, table: pd.DataFrame, classes: list[Label]) -> list[str]:
    unknown = table[INTENT][label_ids(table[INTENT], classes) < 0]
    if unknown.empty:
        return []
    counts = ", ".join(f"{label} ({count})" for label, count in unknown.value_counts().items())
    return [f"{table.attrs.get('source')}: {name} has labels that train never had, counted as mistakes: {counts}"]
