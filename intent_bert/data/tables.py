"""Sentences and intents as they come in: a csv, tsv, jsonl or Parquet file, a DataFrame, (texts, labels), or a list.

The index of a table that ``read_table`` gives is the row's number as its owner sees it: line 2 is the first row
under the header of a csv, line 1 the first of a jsonl, and a DataFrame keeps its own index. What only shows across
rows and tables is ``data``'s work.
"""

import json
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from intent_bert.config import INTENT, TEXT
from intent_bert.data.labels import Label
from intent_bert.errors import DataError, SettingsError

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")

Source: TypeAlias = str | PathLike | pd.DataFrame | tuple[Sequence[str], Sequence[Label]]


def read_table(source: Source, text_column: str = TEXT, label_column: str | None = INTENT) -> pd.DataFrame:
    """Read sentences and their intents, and check each row.

    Args:
        source: a path (.csv, .tsv, .jsonl, .parquet), a DataFrame, or a pair (texts, labels).
        text_column: the name of the column with the sentences.
        label_column: the name of the column with the intents; ``None`` reads the sentences alone.

    Returns:
        A DataFrame with the columns ``text`` (str) and, unless left out, ``intent`` (str; int, float or bool where
        the source is typed and has those), the rows in order, ``attrs["source"]`` saying where from.

    Raises:
        DataError: no such file, an unreadable one, a missing column, an empty table, an empty text or label.
    """
    if isinstance(source, tuple):
        frame, name = _frame_of_pair(source, text_column, label_column), "the given texts"
    elif isinstance(source, pd.DataFrame):
        frame, name = source, source.attrs.get("source", "the DataFrame")
    elif isinstance(source, (str, PathLike)):
        frame, name = _read_file(Path(source)), str(source)
    else:
        raise DataError(f"expected a path, a DataFrame or (texts, labels), got {type(source).__name__}")
    if text_column == label_column:
        raise SettingsError(f"the sentences and the intents can't both be in the column {text_column!r}: name two")
    columns = {text_column: TEXT} | ({label_column: INTENT} if label_column else {})
    for column in columns:
        if column not in frame.columns:
            there = ", ".join(map(str, frame.columns)) or "none"
            flag = "text" if column == text_column else "label"
            raise DataError(f"{name} has no column {column!r}; it has: {there} (name one with --{flag}-column)")
        if list(frame.columns).count(column) > 1:
            raise DataError(f"{name} has several columns {column!r}: give each a name of its own")
    table = pd.DataFrame({new: frame[old] for old, new in columns.items()}, index=frame.index).astype(object)
    if table.empty:
        raise DataError(f"{name} is empty: expected at least one row under the header")
    table[TEXT] = _check_sentences(table[TEXT], name, text_column)
    if label_column:
        table[INTENT] = _check_labels(table[INTENT], name, label_column)
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


def _read_file(path: Path) -> pd.DataFrame:
    if path.is_dir():
        raise DataError(f"expected a file, but {path} is a folder (a folder of train/valid/test goes to --data)")
    if not path.exists():
        raise DataError(f"no such file: {path}")
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise DataError(f"can't tell how to read {path}: expected one of {', '.join(FORMATS)}")
    return readers[path.suffix.lower()](path)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}") from None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path} is UTF-16; save the file as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02X} is not UTF-8; save the file as UTF-8"
        ) from None


def _read_csv(path: Path) -> pd.DataFrame:
    text = _read_text(path)
    body = text.lstrip("\r\n")
    skipped = len(text[: len(text) - len(body)].splitlines())
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    header = body.split("\n", 1)[0]
    found = next((sign for sign in ";\t," if sign in header), separator)
    if separator not in header and found != separator:
        raise DataError(f"{path}: the columns are separated by {found!r}, expected {separator!r}; save it so")
    try:  # the header is read as a row, so that pandas counts the fields of every row under it
        frame = pd.read_csv(
            StringIO(body),
            sep=separator,
            header=None,
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
        )
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty: expected a header and rows") from None
    except pd.errors.ParserError as error:
        raise DataError(f"{path} is not a table: {_parser_reason(str(error), skipped)}") from None
    frame = frame.fillna("")
    frame.columns = pd.Index([str(name).strip() for name in frame.iloc[0]])
    frame = frame.iloc[1:]
    frame.index = pd.RangeIndex(skipped + 2, skipped + 2 + len(frame), name="row")  # as a spreadsheet numbers them
    return frame[(frame != "").any(axis=1)]  # blank lines are no rows


def _parser_reason(message: str, skipped: int) -> str:
    """What pandas' parser says, with the row as the owner of the file numbers it."""
    fields = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if fields:
        expected, row, found = map(int, fields.groups())
        return (
            f"row {row + skipped} has {found} fields, the header has {expected}; "
            "quote the fields that hold a separator or a quote"
        )
    quote = re.search(r"EOF inside string starting at row (\d+)", message)
    if quote:
        return f"the quote that opens in row {int(quote[1]) + 1 + skipped} is never closed; close it, or double it"
    return message.removeprefix("Error tokenizing data. C error: ").strip()


def _read_jsonl(path: Path) -> pd.DataFrame:
    rows: dict[int, dict] = {}
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not valid JSON ({error})") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, found {type(row).__name__}")
        rows[number] = row
    if not rows:
        raise DataError(f"{path} is empty: expected one JSON object a line")
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    values = [[row.get(column) for column in columns] for row in rows.values()]
    return pd.DataFrame(values, index=pd.Index(rows, name="row"), columns=columns, dtype=object)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise DataError(f"reading {path} needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # pyarrow has many kinds; all mean that this is no parquet file
        raise DataError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None
    return frame.reset_index(drop=True)


def _check_sentences(texts: pd.Series, name: str, column: str) -> list[str]:
    for row, text in texts.items():
        if _is_missing(text):
            raise DataError(f"{name}, row {row}, column {column!r}: the text is empty; fill it in or delete the row")
        if not isinstance(text, str):
            raise DataError(f"{name}, row {row}, column {column!r}: expected text, found {text!r}")
        _check_whole_characters(text, f"{name}, row {row}, column {column!r}")
    return list(texts)


def _check_whole_characters(text: str, place: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f"{place}: {text!r} holds half a character (a lone surrogate); mend it or delete the row")


def _check_labels(labels: pd.Series, name: str, column: str) -> list[Label]:
    checked: list[Label] = []
    for row, value in labels.items():
        label = value.item() if isinstance(value, np.generic) else value
        if _is_missing(label):
            raise DataError(f"{name}, row {row}, column {column!r}: the label is empty; fill it in or delete the row")
        if not isinstance(label, (str, int, float, bool)):
            raise DataError(f"{name}, row {row}, column {column!r}: expected a word or a number, found {label!r}")
        _check_whole_characters(str(label), f"{name}, row {row}, column {column!r}")
        checked.append(label.strip() if isinstance(label, str) else label)
    return checked


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value))


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
