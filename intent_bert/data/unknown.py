"""Sentences that no intent fits: taken out of a run's tables, and read from a file of their own.

They are never learnt as an intent. Those of train and validation choose what counts as in scope; those of test stay
there and judge it.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from intent_bert.config import INTENT, TEXT
from intent_bert.data.cells import shown
from intent_bert.data.labels import Label
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, SettingsError

if TYPE_CHECKING:
    from intent_bert.config import TrainingConfig

logger = logging.getLogger("intent_bert")

UNKNOWN = "unknown"  # what these sentences are called among the tables of a run


def take_unknown(
    tables: dict[str, pd.DataFrame | None], config: "TrainingConfig"
) -> tuple[dict[str, pd.DataFrame | None], pd.DataFrame | None]:
    """The tables without the rows of ``unknown_label`` in train and validation, and the unknown sentences, if any.

    Args:
        tables: read tables, "train", "validation" and "test".
        config: gives ``unknown_file`` and ``unknown_label``.

    Returns:
        The tables, and a table of the distinct unknown sentences with an empty label.

    Raises:
        SettingsError: no row has the label.
        DataError: the file can't be read, or all rows of train have the label.
    """
    found: list[pd.DataFrame] = []
    kept = dict(tables)
    if config.unknown_label is not None:
        _check_label(tables, config.unknown_label)
        for name in ("train", "validation"):
            known, unknown = divided(tables.get(name), config.unknown_label)
            kept[name] = None if known is None or (known.empty and name != "train") else known
            found += [] if unknown is None else [unknown]
    if config.unknown_file is not None:
        found.append(read_table(config.unknown_file, config.text_column, None))
    texts = [text for table in found for text in table[TEXT]]
    train = kept["train"]
    assert train is not None
    if train.empty:
        raise DataError(f"all rows of {train.attrs.get('source')} have the unknown label {config.unknown_label!r}")
    if not texts:
        return kept, None
    _warn_of_known(texts, train)
    distinct = list(dict.fromkeys(texts))
    return kept, pd.DataFrame({TEXT: distinct, INTENT: [""] * len(distinct)}, dtype=object)


def check_unknown_label(label: str | None, table: pd.DataFrame, classes: Sequence[Label]) -> None:
    """Make sure that rows of a table have this label, and that it is none of a model's intents.

    Raises:
        SettingsError: it is one, or no row has it.
    """
    if label is None:
        return
    if label in map(str, classes):
        raise SettingsError(f"{label!r} is an intent of the model: name the label of sentences that mean none of them")
    if not (table[INTENT].map(str) == label).any():
        raise SettingsError(f"no row of {table.attrs.get('source')} has the label {label!r}")


def divided(table: pd.DataFrame | None, label: str | None) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """The rows of a table without this label, and those with it; labels are compared as they are written."""
    if table is None or label is None:
        return table, None
    unknown = table[INTENT].map(str) == label
    return table[~unknown], table[unknown]


def _check_label(tables: dict[str, pd.DataFrame | None], label: str) -> None:
    read = [table for table in tables.values() if table is not None]
    if not any((table[INTENT].map(str) == label).any() for table in read):
        raise SettingsError(f"no row has the label {label!r} that unknown_label names: see how it is written there")


def _warn_of_known(texts: list[str], train: pd.DataFrame) -> None:
    known = set(train[TEXT])
    both = [text for text in texts if text in known]
    if both:
        logger.warning(
            "%d of the unknown sentences also stand in train under an intent, such as %s", len(both), shown(both[0])
        )
