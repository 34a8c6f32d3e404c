"""The one reader of rows: csv, tsv, JSON lines and Parquet files of any length, in order and in bounded memory.

    reader = RowReader("sentences.csv")
    reader.columns                        ["id", "text"]
    reader.require("text")                raises DataError where there is no such column
    for row in reader.with_text("text"):  Row(number=2, values={"id": "7", "text": "play a song"}) ...

``tables.read_table`` collects its table from these rows and ``predict --input`` streams them, so a file means the same
on both roads. A row is numbered as its owner sees it: as a spreadsheet does in a csv or tsv (row 1 is the header), by
line in JSON lines, from 0 in Parquet (as pandas does). Nothing here knows of labels or needs pandas.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from intent_bert.data.lines import TextFile, bad_byte
from intent_bert.errors import DataError, SettingsError, reason

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
ON_ERROR = ("stop", "skip")
LONGEST_CELL = 1 << 24  # characters of a cell in a csv or tsv; the csv module's own limit is 128 KB

_NAMED = 20  # columns in a sentence
_PARQUET_ROWS = 4096  # that are converted at a time
_PARQUET_INDEX = re.compile(r"__index_level_\d+__")  # the unnamed index of a DataFrame, no column of its owner's


class Row(NamedTuple):
    """A row of a file: its number as the file's owner sees it, and column -> cell (text in a csv or tsv)."""

    number: int
    values: dict[str, Any]


class _Broken(NamedTuple):
    """A row that can't be used, and why."""

    number: int
    problem: str


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
        self._file = _file_of(self.path)
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
        return self._kept(None)

    def with_text(self, column: str) -> Iterator[Row]:
        """The rows; one whose cell in ``column`` is no text, or one without anything in it, is a broken row.

        Raises:
            DataError: there is no such column, or several; and as while iterating over the rows.
        """
        self.require(column)
        if self._wanted is not None and column not in self._wanted:
            self._wanted.append(column)

        def problem(values: dict[str, Any]) -> str | None:
            wrong = text_problem(values[column])
            return f", column {column!r}: {wrong}" if wrong else None

        return self._kept(problem)

    def _kept(self, problem_of: Callable[[dict[str, Any]], str | None] | None) -> Iterator[Row]:
        self.skipped = []
        first: _Broken | None = None
        kept = False
        for row in self._file.rows(self.columns, self._wanted):
            if isinstance(row, Row):
                problem = problem_of(row.values) if problem_of else None
                if problem is None:
                    kept = True
                    self.position = self._file.position
                    yield row
                    continue
                broken = _Broken(row.number, f", row {row.number}{problem}")
            else:
                broken = _Broken(*row)
            if self.on_error == "stop":
                raise DataError(f"{self.path}{broken.problem}{self.advice}")
            first = first or broken
            self.skipped.append(broken.number)
        self.position = self._file.position
        if first and not kept:
            raise DataError(f"all {len(self.skipped):,} rows are broken, the first: {self.path}{first.problem}")
        if not kept:
            raise DataError(f"{self.path} is empty: expected {self._file.expected}")


# --- what is asked of a file, a column and a cell -----------------------------------------------------------------


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


def text_problem(value: Any) -> str | None:
    """What is wrong with a cell that should hold a text, and what to do; None where nothing is."""
    if is_missing(value):
        return "the text is empty; fill it in or delete the row"
    if not isinstance(value, str):
        return f"expected text, found {shown(value)}; mend it or delete the row"
    return half_character(value)


def half_character(text: str) -> str | None:
    """What is wrong with a text that holds a lone surrogate: no file can be written with it."""
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return None
    return f"{shown(text)} holds half a character (a lone surrogate); mend it or delete the row"


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN (pandas' NA and NaT too), or a text of white space and NULs alone."""
    if isinstance(value, str):
        return not value.strip().strip("\0")
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def shown(value: Any) -> str:
    """A value as an error shows it: as Python writes it, cut where it is long."""
    try:
        text = repr(value[:200] if isinstance(value, (str, bytes)) else value)
    except (RecursionError, ValueError):  # nested too deep, or a number of thousands of digits
        return f"a huge {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}..."


def shown_name(name: Any) -> str:
    """A column's name in an error: as it is, unless it is long or can't be printed."""
    text = str(name)
    return text if len(text) <= 80 and text.isprintable() else shown(text)


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


def _file_of(path: Path) -> "_Separated | _JsonLines | _Parquet":
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return _JsonLines(path)
    return _Parquet(path) if suffix == ".parquet" else _Separated(path)


# --- csv and tsv -------------------------------------------------------------------------------------------------


class _Separated:
    """Rows of a csv or tsv file; strict about quotes, so that a torn one loses its own row and no other."""

    expected = "at least one row under the header"

    def __init__(self, path: Path) -> None:
        self.path, self._text = path, TextFile(path)
        self.separator = "\t" if path.suffix.lower() == ".tsv" else ","
        csv.field_size_limit(max(LONGEST_CELL, csv.field_size_limit()))

    @property
    def position(self) -> int:
        return self._text.position

    def names(self) -> list[str]:
        with closing(self._records()) as records:
            header = next(records, None)
        if header is None:
            raise DataError(f"{self.path} is empty: expected a header and rows")
        if isinstance(header[1], str):
            raise DataError(f"{self.path}{header[1]}")
        return [name.strip() for name in header[1]]

    def rows(self, columns: list[str], wanted: list[str] | None) -> Iterator[Row | _Broken]:
        width = len(columns)
        places = None if wanted is None else [(name, columns.index(name)) for name in wanted]
        for number, cells in islice(self._records(), 1, None):
            if isinstance(cells, str):
                yield _Broken(number, cells)
            elif len(cells) != width:
                yield _Broken(number, self._wrong_width(number, len(cells), width))
            elif self._text.suspect and (problem := self._bad_cell(number, columns, cells)):
                yield _Broken(number, problem)
            elif places is None:
                yield Row(number, dict(zip(columns, cells, strict=True)))
            else:
                yield Row(number, {name: cells[place] for name, place in places})

    def _records(self) -> Generator[tuple[int, list[str] | str], None, None]:
        """Each record with its number, blank ones left out: its cells, or what is wrong with it. The first is the
        header.
        """
        source = self._text.lines()
        again: list[str] = []  # lines to be read once more, the next at the end
        taken: list[str] = []  # lines of the record that is being read

        def lines() -> Iterator[str]:
            while True:
                line = again.pop() if again else next(source, None)
                if line is None:
                    return
                taken.append(line)
                yield line

        number, header_read = 0, False
        reader = csv.reader(lines(), delimiter=self.separator, strict=True)
        while True:
            taken.clear()
            number += 1
            cells: list[str] | str
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                cells = self._quote_problem(number, str(error), len(taken))
                again += reversed(taken[1:])  # the row is lost, the lines that its quote has swallowed are not
                reader = csv.reader(lines(), delimiter=self.separator, strict=True)
            if not cells or (cells[0] == "" and len(cells) > 1 and not any(cells)):
                continue
            if not header_read:
                self._check_separator(taken[0] if taken else "")
                if self._text.suspect and not isinstance(cells, str):
                    cells = self._bad_cell(number, cells, cells) or cells
                header_read = True
            yield number, cells

    def _check_separator(self, header: str) -> None:
        found = next((sign for sign in ";\t," if sign in header), self.separator)
        if self.separator not in header and found != self.separator:
            raise DataError(
                f"{self.path}: the columns are separated by {found!r}, expected {self.separator!r}; save it so"
            )

    def _quote_problem(self, number: int, error: str, lines: int) -> str:
        row = f", row {number}"
        if "field limit" in error:
            found = f"a cell of more than {LONGEST_CELL:,} characters, or a quote that is never closed"
            return f"{row} has {found}; cut or close it"
        if "new-line character" in error:
            return (
                f"{row} holds a bare carriage return outside quotes; quote the cell, or end the lines with line feeds"
            )
        if "unexpected end" in error:
            return f"{row}: the quote that opens here is never closed; close it, or double it"
        if lines > 1:
            return f"{row}: the quote that opens here is not closed where its cell ends; close it, or double it"
        return f"{row}: a cell goes on behind its closing quote; quote the whole cell and double the quotes in it"

    def _wrong_width(self, number: int, found: int, width: int) -> str:
        advice = "quote the fields that hold a separator or a quote" if found > width else "fill in the missing ones"
        return f", row {number} has {found} field{'s' * (found != 1)}, the header has {width}; {advice}"

    def _bad_cell(self, number: int, columns: Sequence[str], cells: Sequence[str]) -> str | None:
        for column, cell in zip(columns, cells, strict=True):
            if byte := bad_byte(cell):
                where = "" if columns is cells else f", column {column!r}"
                return f", row {number}{where}: byte {byte} is not UTF-8; save the file as UTF-8"
        return None


# --- JSON lines --------------------------------------------------------------------------------------------------


class _JsonLines:
    """Rows of a file with a JSON object a line; a column that a line leaves out is None there."""

    expected = "one JSON object a line"

    def __init__(self, path: Path) -> None:
        self.path, self._text = path, TextFile(path)

    @property
    def position(self) -> int:
        return self._text.position

    def names(self) -> list[str]:
        names: dict[str, None] = {}
        problem, number = None, 0
        with closing(self._text.blocks()) as blocks:
            for block in blocks:
                for line in block:
                    number += 1
                    values = self._values(number, line)
                    if isinstance(values, dict):
                        names |= dict.fromkeys(values)
                    elif values is not None and problem is None:
                        problem = values
                if names or problem:
                    break
        if not names:
            raise DataError(f"{self.path}{problem or f' is empty: expected {self.expected}'}")
        return list(names)

    def rows(self, columns: list[str], wanted: list[str] | None) -> Iterator[Row | _Broken]:
        for number, line in enumerate(self._text.lines(), start=1):
            values = self._values(number, line)
            if isinstance(values, str):
                yield _Broken(number, values)
            elif values is not None and wanted is not None:
                yield Row(number, {name: values.get(name) for name in wanted})
            elif values is not None:
                yield Row(number, dict.fromkeys(columns) | values)

    def _values(self, number: int, line: str) -> dict[str, Any] | str | None:
        """The object of a line, what is wrong with it, or None for a blank one."""
        place = f", line {number}"
        if not line.strip():
            return None
        if self._text.suspect and (byte := bad_byte(line)):
            return f"{place}: byte {byte} is not UTF-8; save the file as UTF-8"
        try:
            values = json.loads(line)
        except ValueError as error:
            return f"{place}: not valid JSON ({error})"
        except RecursionError:
            return f"{place}: the JSON is nested too deep; expected an object of texts and numbers"
        if not isinstance(values, dict):
            return f"{place}: expected a JSON object, found {type(values).__name__}"
        return values


# --- Parquet -----------------------------------------------------------------------------------------------------


class _Parquet:
    """Rows of a Parquet file; pyarrow is imported here alone."""

    expected = "at least one row"

    def __init__(self, path: Path) -> None:
        self.path, self.position, self.size = path, 0, path.stat().st_size
        try:
            import pyarrow.parquet
        except ImportError:
            raise DataError(f"reading {path} needs pyarrow: pip install pyarrow") from None
        self._open = pyarrow.parquet.ParquetFile

    def names(self) -> list[str]:
        try:
            with self._open(self.path) as file:
                return [name for name in file.schema_arrow.names if not _PARQUET_INDEX.fullmatch(name)]
        except Exception as error:  # pyarrow has many kinds; all mean that this is no Parquet file
            raise self._damaged(error) from None

    def rows(self, columns: list[str], wanted: list[str] | None) -> Iterator[Row | _Broken]:
        number, wanted = 0, columns if wanted is None else wanted
        for cells, rows_there in self._batches([columns.index(name) for name in wanted]):
            for row in zip(*cells, strict=True):
                values = dict(zip(wanted, row, strict=True))
                wrong = next((name for name, value in values.items() if type(value) is _Unreadable), None)
                if wrong is None:
                    yield Row(number, values)
                else:
                    yield _Broken(number, f", row {number}, column {wrong!r}: can't be read ({values[wrong].reason})")
                number += 1
            self.position = self.size * number // max(rows_there, 1)

    def _batches(self, places: list[int]) -> Iterator[tuple[list[list[Any]], int]]:
        """The cells of some rows, column by column, and how many rows the file has."""
        try:
            with self._open(self.path) as file:
                names = [name for name in file.schema_arrow.names if not _PARQUET_INDEX.fullmatch(name)]
                distinct = len(set(names)) == len(names)
                wanted = [names[place] for place in places] if distinct else None
                for batch in file.iter_batches(_PARQUET_ROWS, columns=wanted):
                    there = [place for place, name in enumerate(batch.schema.names) if name in names]
                    chosen = wanted or [there[place] for place in places]
                    yield [_python_values(batch.column(each)) for each in chosen], file.metadata.num_rows
        except Exception as error:  # a damaged page shows only here, and as an error of any kind
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self.path} is not a readable Parquet file: {reason(error)}")


class _Unreadable(NamedTuple):
    """Stands for a cell that has no Python value."""

    reason: str


def _python_values(array: Any) -> list[Any]:
    try:
        return array.to_pylist()
    except Exception:  # of one cell: bytes that are no UTF-8, a date that is out of range
        return [_python_value(cell) for cell in array]


def _python_value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except Exception as error:
        return _Unreadable(reason(error))
