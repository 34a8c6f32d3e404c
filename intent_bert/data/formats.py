"""The formats that rows come in: csv and tsv, JSON lines, Parquet; for ``rows``, which is what callers use.

Each class here gives the names of a file's columns, then its rows one after the other: a ``Row``, or a ``Broken`` with
what is wrong with it. What can't be told of a row alone (no header, UTF-16, a damaged Parquet page) is raised.
"""

import csv
import json
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from intent_bert.data.lines import TextFile, bad_byte
from intent_bert.errors import DataError, reason

LONGEST_CELL = 1 << 24  # characters of a cell in a csv or tsv; the csv module's own limit is 128 KB

_PARQUET_ROWS = 4096  # that are converted at a time
_PARQUET_INDEX = re.compile(r"__index_level_\d+__")  # the unnamed index of a DataFrame, no column of its owner's


class Row(NamedTuple):
    """A row of a file: its number as the file's owner sees it, and column -> cell (text in a csv or tsv)."""

    number: int
    values: dict[str, Any]


class Broken(NamedTuple):
    """A row that can't be used, and why."""

    number: int
    problem: str


# --- csv and tsv -------------------------------------------------------------------------------------------------


class SeparatedFile:
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

    def rows(self, columns: list[str], wanted: list[str] | None) -> Iterator[Row | Broken]:
        width = len(columns)
        places = None if wanted is None else [(name, columns.index(name)) for name in wanted]
        for number, cells in islice(self._records(), 1, None):
            if isinstance(cells, str):
                yield Broken(number, cells)
            elif len(cells) != width:
                yield Broken(number, self._wrong_width(number, len(cells), width))
            elif self._text.suspect and (problem := self._bad_cell(number, columns, cells)):
                yield Broken(number, problem)
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


class JsonLinesFile:
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

    def rows(self, columns: list[str], wanted: list[str] | None) -> Iterator[Row | Broken]:
        for number, line in enumerate(self._text.lines(), start=1):
            values = self._values(number, line)
            if isinstance(values, str):
                yield Broken(number, values)
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


class ParquetFile:
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

    def rows(self, columns: list[str], wanted: list[str] | None) -> Iterator[Row | Broken]:
        number, wanted = 0, columns if wanted is None else wanted
        for cells, rows_there in self._batches([columns.index(name) for name in wanted]):
            for row in zip(*cells, strict=True):
                values = dict(zip(wanted, row, strict=True))
                wrong = next((name for name, value in values.items() if type(value) is _Unreadable), None)
                if wrong is None:
                    yield Row(number, values)
                else:
                    yield Broken(number, f", row {number}, column {wrong!r}: can't be read ({values[wrong].reason})")
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


RowFile: TypeAlias = SeparatedFile | JsonLinesFile | ParquetFile


def row_file(path: Path) -> RowFile:
    """A file to read, by its suffix.

    Raises:
        DataError: pyarrow is missing for a Parquet file.
    """
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return JsonLinesFile(path)
    return ParquetFile(path) if suffix == ".parquet" else SeparatedFile(path)
