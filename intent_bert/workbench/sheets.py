"""The tables that the doctor looks at: a file, a DataFrame, a pair of lists, or a folder with splits.

    sheets_of("questions.csv")         one sheet
    sheets_of("data/snips")            train, and the other splits for leaks
    sheets_of("a.csv", against="b.csv")

A row without a text or an intent stops no doctor: it becomes a finding, and the others go on. Rows are counted as in
``data/rows.py``. What is wrong with what is written there is other modules' business.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from intent_bert.config import INTENT, TEXT
from intent_bert.data.cells import is_missing, text_problem
from intent_bert.data.datasets import NAMED, load, split_files
from intent_bert.data.label_sets import joined, label_set
from intent_bert.data.labels import label_problem, plain_label
from intent_bert.data.rows import RowReader, require_column
from intent_bert.data.tables import Source
from intent_bert.errors import DataError, SettingsError
from intent_bert.workbench.findings import DELETE, Finding, advice
from intent_bert.workbench.masks import masked

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Sheet:
    """The usable rows of a table.

    Attributes:
        name: of the table, in the places of its rows; "" for the one that is examined.
        source: where it was read.
        rows: the rows' numbers as their owner sees them.
        texts: the sentences.
        labels: the intents, each a label or with several a sorted tuple of them.
        separator: what joins the labels of a row, or None where each has one.
        broken: findings about rows that can't be used.
    """

    name: str
    source: str
    rows: list[Any] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    separator: str | None = None
    broken: list[Finding] = field(default_factory=list)

    def place(self, number: int) -> Any:
        """The row of the sentence of this number; of another table ``NAME:ROW``."""
        return f"{self.name}:{self.rows[number]}" if self.name else self.rows[number]

    def intent(self, number: int) -> str:
        """Its intent as text."""
        label = self.labels[number]
        return joined(label, self.separator or "") if isinstance(label, tuple) else str(label)

    def finding(self, kind: str, severity: str, why: str, number: int, **more: Any) -> Finding:
        """A finding about the sentence of this number; what looks like a secret is masked in its text."""
        text = masked(self.texts[number])
        return Finding(kind, severity, why, self.place(number), text, self.intent(number), **more)

    @cached_property
    def evened(self) -> list[str]:
        """The texts without case, punctuation and spacing."""
        return [evened(text) for text in self.texts]


def evened(text: str) -> str:
    """A text without case, punctuation and spacing; one that has nothing else stays as it is.

    >>> evened("What's  the WEATHER?"), evened("whats the weather"), evened("?!")
    ('whats the weather', 'whats the weather', '?!')
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("\u2019", "")
    return " ".join(_WORD.findall(plain)) or text.strip()


# --- reading -----------------------------------------------------------------------------------------------------


def sheets_of(
    table: Source,
    against: Source | None = None,
    text_column: str = TEXT,
    label_column: str = INTENT,
    separator: str | None = None,
) -> list[Sheet]:
    """The table that is examined, then those that it is compared with.

    Args:
        table: a file, a DataFrame, a pair (texts, labels); a folder with a train file, or the name of a data set: its
            train table, compared with the other splits.
        against: one more table to compare with.
        text_column, label_column, separator: as ``read_table`` has them.

    Raises:
        DataError: no such file or column, a table without a usable row.
    """
    columns = (text_column, label_column, separator)
    if text_column == label_column:
        raise SettingsError(f"the sentences and the intents can't both be in the column {text_column!r}: name two")
    folder = _folder_of(table)
    if folder is None:
        sheets = [_sheet("", table, *columns)]
    else:
        files = split_files(folder)
        sheets = [_sheet("" if split == "train" else file.name, file, *columns) for split, file in files.items()]
    if against is not None:
        if _folder_of(against) is not None:
            raise SettingsError(f"--against takes a table, but {against} is a folder or a data set: name one file")
        sheets.append(_sheet(_name_of(against), against, *columns))
    return sheets


def _folder_of(table: Source) -> Path | None:
    if not isinstance(table, (str, PathLike)):
        return None
    if Path(table).is_dir():
        return Path(table)
    if isinstance(table, str) and table in NAMED and not Path(table).exists():
        return load(table).source
    return None


def _name_of(table: Source) -> str:
    if isinstance(table, (str, PathLike)):
        return Path(table).name
    source = table.attrs.get("source") if isinstance(table, pd.DataFrame) else None
    return Path(str(source)).name if source else "against"


def _sheet(name: str, table: Source, text_column: str, label_column: str, separator: str | None) -> Sheet:
    source, rows = _raw_rows(table, text_column, label_column)
    sheet = Sheet(name, source, separator=separator)
    for row, text, label in rows:
        _add(sheet, row, text, label)
    if not sheet.texts:
        found = f"; the first row: {sheet.broken[0].why}" if sheet.broken else ""
        raise DataError(f"{source} has no row with a text and an intent{found}")
    return sheet


def _raw_rows(table: Source, text_column: str, label_column: str) -> tuple[str, Iterable[tuple[Any, Any, Any]]]:
    """Where from, and (row, text, label) as they stand there."""
    if isinstance(table, tuple) and len(table) == 2 and len(table[0]) == len(table[1]):
        return "the given texts", zip(range(len(table[0])), *table, strict=True)
    if isinstance(table, pd.DataFrame):
        source = str(table.attrs.get("source", "the DataFrame"))
        for column, flag in ((text_column, "text"), (label_column, "label")):
            require_column(source, table.columns, column, flag)
        return source, zip(table.index, table[text_column], table[label_column], strict=True)
    if not isinstance(table, (str, PathLike)):
        raise DataError(f"expected a path, a DataFrame or (texts, labels) of one length, got {type(table).__name__}")
    reader = RowReader(table)
    reader.require(text_column)
    reader.require(label_column, "label")
    reader.select(text_column, label_column)
    return str(table), _of_file(reader, text_column, label_column)


def _of_file(reader: RowReader, text_column: str, label_column: str) -> Iterator[tuple[Any, Any, Any]]:
    for number, values in reader:
        yield number, values[text_column], values[label_column]


def _add(sheet: Sheet, row: Any, text: Any, label: Any) -> None:
    """Take a row into the sheet, or what is wrong with it into its findings."""
    problem = text_problem(text)
    try:
        label = label_set(label, sheet.separator) if sheet.separator is not None else plain_label(label)
        label_trouble = None if sheet.separator is not None else label_problem(label)
    except DataError as error:
        label_trouble = str(error)
    if problem is None and label_trouble is None:
        sheet.rows.append(row)
        sheet.texts.append(str(text))
        sheet.labels.append(label)
        return
    place = f"{sheet.name}:{row}" if sheet.name else row
    shown = "" if is_missing(text) else masked(str(text))
    todo = DELETE if problem else advice("fill in the intent, or delete the row")
    sheet.broken.append(Finding("odd-text", "error", str(problem or label_trouble), place, shown, suggestion=todo))
