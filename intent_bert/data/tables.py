"""Sentences and intents as they come in: a csv, tsv, jsonl or Parquet file, a DataFrame, (texts, labels), or a list.

The index of a table that ``read_table`` gives is the row's number as its owner sees it: row 2 is the first under the
header of a csv, line 1 the first of a jsonl, and a DataFrame keeps its own index. How files are read is ``rows``'s
work, what only shows across rows and tables is ``checks``'s.
"""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from intent_bert.config import INTENT, TEXT
from intent_bert.data.cells import text_problem
from intent_bert.data.label_sets import LabelSet, check_separator, label_set, rejoinable
from intent_bert.data.labels import Label, label_problem, plain_label
from intent_bert.data.rows import RowReader, require_column
from intent_bert.errors import DataError, SettingsError

Source: TypeAlias = str | PathLike | pd.DataFrame | tuple[Sequence[str], Sequence[Any]]


def read_table(
    source: Source,
    text_column: str = TEXT,
    label_column: str | None = INTENT,
    label_separator: str | None = None,
) -> pd.DataFrame:
    """Read sentences and their intents, and check each row.

    Args:
        source: a path (.csv, .tsv, .jsonl, .parquet), a DataFrame, or a pair (texts, labels).
        text_column: the name of the column with the sentences.
        label_column: the name of the column with the intents; ``None`` reads the sentences alone.
        label_separator: a row may have several labels, or none: a list of them, or a text in which this joins them.
            None, the default, asks for exactly one label in each row.

    Returns:
        A DataFrame with the columns ``text`` (str) and, unless left out, ``intent`` (str; int, float or bool where
        the source is typed and has those; a sorted tuple of them with ``label_separator``), the rows in order,
        ``attrs["source"]`` saying where from.

    Raises:
        DataError: no such file, an unreadable one, a missing column, an empty table, an empty text or label, or labels
            of a list that ``label_separator`` can't join.
        SettingsError: one column for both, or an empty separator.
    """
    check_separator(label_separator)
    if text_column == label_column:
        raise SettingsError(f"the sentences and the intents can't both be in the column {text_column!r}: name two")
    flags = {text_column: "text"} | ({label_column: "label"} if label_column else {})
    if isinstance(source, tuple):
        frame, name = _frame_of_pair(source, text_column, label_column), "the given texts"
    elif isinstance(source, pd.DataFrame):
        frame, name = source, source.attrs.get("source", "the DataFrame")
    elif isinstance(source, (str, PathLike)):
        frame, name = _read_file(Path(source), flags), str(source)
    else:
        raise DataError(f"expected a path, a DataFrame or (texts, labels), got {type(source).__name__}")
    for column, flag in flags.items():
        require_column(name, frame.columns, column, flag)
    columns = {text_column: TEXT} | ({label_column: INTENT} if label_column else {})
    table = pd.DataFrame({new: frame[old] for old, new in columns.items()}, index=frame.index).astype(object)
    if table.empty:
        raise DataError(f"{name} is empty: expected at least one row under the header")
    table[TEXT] = _check_sentences(table[TEXT], name, text_column)
    if label_column:
        labels = _check_labels(table[INTENT], name, label_column, label_separator)
        several_types = len(set(map(type, labels))) > 1  # where pandas would make 1 beside 2.5 into 1.0
        as_objects = several_types or label_separator is not None
        table[INTENT] = pd.Series(labels, table.index, dtype=object) if as_objects else labels
    table.attrs["source"] = name
    return table


def _frame_of_pair(pair: tuple, text_column: str, label_column: str | None) -> pd.DataFrame:
    if len(pair) != 2:
        raise DataError(f"expected a pair (texts, labels), got {len(pair)} things")
    texts, labels = pair
    if len(texts) != len(labels):
        raise DataError(f"expected as many labels as texts, got {len(texts)} texts and {len(labels)} labels")
    columns = {text_column: list(texts)} | ({label_column: list(labels)} if label_column else {})
    return pd.DataFrame(columns, dtype=object)


def _read_file(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    """The columns asked for, ``{column: flag}``, of a file; the index is the rows' numbers."""
    reader = RowReader(path)
    for column, flag in columns.items():
        reader.require(column, flag)
    reader.select(*columns)
    numbers: list[int] = []
    cells: dict[str, list[Any]] = {column: [] for column in columns}
    for number, values in reader:
        numbers.append(number)
        for column, value in values.items():
            cells[column].append(value)
    return pd.DataFrame(cells, index=pd.Index(numbers, name="row"), dtype=object)


def _check_sentences(texts: pd.Series, name: str, column: str) -> list[str]:
    for row, text in texts.items():
        problem = text_problem(text)
        if problem:
            raise DataError(f"{name}, row {row}, column {column!r}: {problem}")
    return [str(text) for text in texts]  # numpy's texts, too


def _check_labels(labels: pd.Series, name: str, column: str, separator: str | None) -> list[Label] | list[LabelSet]:
    if separator is not None:
        return _check_label_sets(labels, name, column, separator)
    checked: list[Label] = []
    for row, value in labels.items():
        label = plain_label(value)
        problem = label_problem(label)
        if problem:
            raise DataError(f"{name}, row {row}, column {column!r}: {problem}")
        checked.append(label)
    return checked


def _check_label_sets(labels: pd.Series, name: str, column: str, separator: str) -> list[LabelSet]:
    checked: list[LabelSet] = []
    for row, value in labels.items():
        try:
            checked.append(rejoinable(label_set(value, separator), separator))
        except DataError as error:
            raise DataError(f"{name}, row {row}, column {column!r}: {error}") from None
    return checked


def check_texts(X: Any) -> list[str]:
    """The texts as a list, each of them known to be a string.

    Raises:
        DataError: a bare string, a table, or something that is no text, with its row.
    """
    if isinstance(X, (str, bytes)):
        raise DataError("expected a list of texts, got a single string: put it in a list")
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise DataError(f"expected one column of texts, got {type(X).__name__} of shape {shape}: choose a column")
    if not isinstance(X, Iterable):
        raise DataError(f"expected a list of texts, got {type(X).__name__}")
    texts = list(X)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"expected texts, found {text!r} in row {row} (counted from 0): fill it in or drop the row")
    return texts
