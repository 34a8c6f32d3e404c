"""Labels that people have filled in, brought to a labelled table: from ``suggest``'s file, and from ``discover``'s.

    suggest's file                text, intent                       rows with an intent count, the others wait
    discover's folder             groups.csv: group, intent          groups with an intent count
                                  sentences.csv: group, text         the sentences of theirs that still stand there
    a labelled table + these  ->  a new table: the old rows as they are, then the new ones

Nothing is replaced. A sentence that has a label already is not added again; with another one it is a mistake.
"""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from intent_bert.config import INTENT, TEXT
from intent_bert.data.cells import is_missing, shown
from intent_bert.data.rows import RowReader
from intent_bert.errors import DataError, nearest
from intent_bert.files.tables_out import csv_text
from intent_bert.workbench.outputs import separator_of, write_file

GROUPS_FILE, SENTENCES_FILE, GROUP = "groups.csv", "sentences.csv", "group"
_FORMULA_SIGNS = ("'=", "'+", "'-", "'@")


class Filled(NamedTuple):
    """A row that was filled in, and where it stands."""

    where: str
    text: str
    intent: str


class Merged(NamedTuple):
    """What a merge has done.

    Attributes:
        added: how many rows.
        had: how many stood in the table already, with the same intent.
        new_intents: those that the table had not, each with the one of its own that is spelt most like it.
    """

    added: int
    had: int
    new_intents: dict[str, str]


def filled_rows(path: str | PathLike) -> list[Filled]:
    """The rows of ``suggest``'s file that have an intent.

    Raises:
        DataError: the file can't be read, no row has one, or one has no text.
    """
    rows = [
        Filled(f"{path}, row {number}", _unguarded(str(values[TEXT])), str(values[INTENT]).strip())
        for number, values in _cells(path, TEXT, INTENT)
        if not is_missing(values[INTENT])
    ]
    if not rows:
        raise DataError(f"{path} has no intent filled in: write one into the column {INTENT!r} of each row to add")
    return rows


def named_groups(folder: str | PathLike) -> list[Filled]:
    """The sentences of the groups in ``discover``'s folder that were given an intent.

    Raises:
        DataError: a file is missing or can't be read, or no group has one.
    """
    groups, sentences = Path(folder) / GROUPS_FILE, Path(folder) / SENTENCES_FILE
    names = {
        whole_number(str(values[GROUP]).strip()): str(values[INTENT]).strip()
        for _, values in _cells(groups, GROUP, INTENT)
        if not is_missing(values[INTENT])
    }
    if not names:
        raise DataError(f"{groups} has no group with a name: write one into the column {INTENT!r} of each group to add")
    return [
        Filled(
            f"{sentences}, row {number}", _unguarded(str(values[TEXT])), names[whole_number(str(values[GROUP]).strip())]
        )
        for number, values in _cells(sentences, GROUP, TEXT)
        if whole_number(str(values[GROUP]).strip()) in names
    ]


def merge(
    rows: list[Filled],
    table: str | PathLike,
    output: Path,
    text_column: str = TEXT,
    label_column: str = INTENT,
) -> Merged:
    """Write a table's rows with all its columns, then the rows that were filled in.

    Raises:
        DataError: the table can't be read, or a sentence has one intent here and another there.
        DiskError: the output can't be written.
    """
    reader = RowReader(table)
    for column, flag in ((text_column, "text"), (label_column, "label")):
        reader.require(column, flag)
    columns = list(reader.columns)
    old: list[list[Any]] = []
    known: dict[str, tuple[str, str]] = {}  # text -> intent, where it stands
    for number, values in reader:
        old.append([values.get(name) for name in columns])
        label = values.get(label_column)
        if not is_missing(label):
            known[str(values.get(text_column)).strip()] = str(label).strip(), f"{table}, row {number}"
    intents = {intent for intent, _ in known.values()}
    added: list[list[Any]] = []
    had = 0
    for row in rows:
        former = known.get(row.text.strip())
        if former is None:
            known[row.text.strip()] = row.intent, row.where
            cells = {text_column: row.text, label_column: row.intent}
            added.append([cells.get(name) for name in columns])
        elif former[0] == row.intent:
            had += 1
        else:
            raise DataError(
                f"{row.where}: {shown(row.text)} is {row.intent!r} here, and {former[0]!r} in {former[1]}: choose one"
            )
    write_file(output, csv_text([columns, *old, *added], separator_of(output)))
    new = sorted({row.intent for row in rows} - intents)
    return Merged(len(added), had, {intent: nearest(intent, intents) for intent in new})


def _cells(path: str | PathLike, *columns: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = RowReader(path)
    for column in columns:
        if column not in reader.columns:
            raise DataError(
                f"{path} has no column {column!r}; it has: {', '.join(reader.columns)} (keep the columns as they were "
                "written)"
            )
    reader.select(*columns)
    for number, values in reader:
        if TEXT in columns and is_missing(values[TEXT]) and not is_missing(values.get(INTENT, values.get(GROUP))):
            raise DataError(f"{path}, row {number}: the text is empty; fill it in or delete the row")
        yield number, values


def whole_number(text: str) -> str:
    """A number as it was written, without the ".0" of programs that read a column with empty cells as fractions.

    >>> whole_number("17.0"), whole_number("17"), whole_number("test.csv:3")
    ('17', '17', 'test.csv:3')
    """
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def _unguarded(text: str) -> str:
    """A text without the apostrophe that ``--guard-formulas`` put before it."""
    return text[1:] if text.startswith(_FORMULA_SIGNS) else text
