"""The one reader of rows: csv, tsv, JSON lines and Parquet files of any length, in order and in bounded memory.

    reader = RowReader("sentences.csv")
    reader.columns                        ["id", "text"]
    reader.require("text")                raises DataError where there is no such column
    for row in reader.with_text("text"):  Row(number=2, values={"id": "7", "text": "play a song"}) ...

``tables.read_table`` collects its table from these rows and ``predict --input`` streams them, so a file means the same
on both roads. A row is numbered as its owner sees it: as a spreadsheet does in a csv or tsv (row 1 is the header), by
line in JSON lines, from 0 in Parquet (as pandas does). Nothing here knows of labels or needs pandas.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from intent_bert.data.cells import shown, shown_name, text_problem
from intent_bert.data.formats import Broken, Row, row_file
from intent_bert.errors import DataError, SettingsError, reason

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
ON_ERROR = ("stop", "skip")

_NAMED = 20  # columns in a sentence


class RowReader:
    """The rows of a file, to iterate over as often as needed.

    Args:
        path: a .csv, .tsv, .jsonl or .parquet file.
        on_error: at a broken row, "stop" raises, "skip" leaves it out and counts it.
        advice: ends the sentence about a broken row, such as ", or go on with --on-error skip".

    Attributes:
        columns: the names of the file's columns, known before a row is read; a name that stands twice gets a number.
            Of JSON lines: all that stand in the first 64 KB; a row further on may hold others.
        position, size: how many bytes have been read, and how many there are.
        skipped: the numbers of the rows that the last iteration left out.

    Raises:
        DataError: no such file, one of another kind or without a header; while iterating, a broken row (with
            ``on_error="stop"``) or a file without a single row to give.
        DiskError: the file can't be read.
        SettingsError: ``on_error`` is neither stop nor skip.
    """

    def __init__(self, path: str | PathLike, on_error: str = "stop", *, advice: str = "") -> None:
        if on_error not in ON_ERROR:
            raise SettingsError(f"on_error must be stop or skip, not {on_error!r}")
        self.path = checked_path(path)
        self.on_error, self.advice = on_error, advice
        self.skipped: list[int] = []
        self.size, self.position = self.path.stat().st_size, 0
        self._wanted: list[str] | None = None
        self._file = row_file(self.path)
        self._names = [str(name) for name in self._file.names()]
        self.columns = _distinct(self._names)

    def require(self, column: str, flag: str = "text") -> None:
        """Check that there is one column of this name; ``flag`` names the option in the error: ``--text-column``.

        Raises:
            DataError: there is none, or there are several.
        """
        renamed = column in self.columns and column not in self._names
        if not renamed:
            require_column(str(self.path), self._names, column, flag)

    def select(self, *columns: str) -> None:
        """Read these columns alone from now on."""
        self._wanted = list(columns)

    def __iter__(self) -> Iterator[Row]:
        return self._kept(self._file.rows(self.columns, self._wanted))

    def with_text(self, column: str) -> Iterator[Row]:
        """The rows; one whose cell in ``column`` is no text, or one without anything in it, is a broken row.

        Raises:
            DataError: there is no such column, or several; and as while iterating over the rows.
        """
        self.require(column)
        if self._wanted is not None and column not in self._wanted:
            self._wanted.append(column)
        return self._kept(_with_text(self._file.rows(self.columns, self._wanted), column))

    def _kept(self, rows: Iterator[Row | Broken]) -> Iterator[Row]:
        self.skipped = []
        first, kept = None, False
        for row in rows:
            if isinstance(row, Row):
                kept, self.position = True, self._file.position
                yield row
            elif self.on_error == "stop":
                raise DataError(f"{self.path}{row.problem}{self.advice}")
            else:
                first = first or row
                self.skipped.append(row.number)
        self.position = self._file.position
        if first and not kept:
            raise DataError(f"all {len(self.skipped):,} rows are broken, the first: {self.path}{first.problem}")
        if not kept:
            raise DataError(f"{self.path} is empty: expected {self._file.expected}")


def _with_text(rows: Iterator[Row | Broken], column: str) -> Iterator[Row | Broken]:
    for row in rows:
        problem = text_problem(row.values[column]) if isinstance(row, Row) else None
        yield Broken(row.number, f", row {row.number}, column {column!r}: {problem}") if problem else row


# --- what is asked of a file and a column ------------------------------------------------------------------------


def checked_path(path: str | PathLike) -> Path:
    """A path to a file whose format is known.

    Raises:
        DataError: a folder, no file, or a suffix that is not among ``FORMATS``.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise DataError(f"expected a file, but {path} is a folder (a folder of train/valid/test goes to --data)")
        if not path.exists():
            raise DataError(f"no such file: {path}")
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise DataError(f"no such file: {shown(str(path))} ({reason(error)})") from None
    if path.suffix.lower() not in FORMATS:
        raise DataError(f"can't tell how to read {path}: expected one of {', '.join(FORMATS)}")
    return path


def require_column(name: str, columns: Iterable[Any], column: str, flag: str) -> None:
    """Raise DataError unless exactly one of the columns is called so; ``name`` is that of the table."""
    columns = list(columns)
    if column not in columns:
        more = f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else ""
        there = (", ".join(map(shown_name, columns[:_NAMED])) or "none") + more
        raise DataError(f"{name} has no column {column!r}; it has: {there} (name one with --{flag}-column)")
    if columns.count(column) > 1:
        raise DataError(f"{name} has several columns {column!r}: give each a name of its own")


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, a number behind one that has stood before: text, id, id (2)."""
    if len(set(names)) == len(names):
        return list(names)
    taken, distinct = set(names), []
    counts: Counter[str] = Counter()
    for name in names:
        counts[name] += 1
        new = name
        while counts[name] > 1 and (new == name or new in taken):
            new = f"{name} ({counts[name]})"
            counts[name] += new in taken
        taken.add(new)
        distinct.append(new)
    return distinct
