"""How predictions are written: csv, tsv, JSON lines and Parquet, a chunk of rows at a time.

A format turns rows into bytes that are appended to one file, so that a file cut off behind any chunk is whole. In the
end ``join`` makes of it the file that was asked for. A Parquet file can't be appended to: its chunks are Arrow streams,
one behind the other, and pyarrow is imported here alone. Which columns there are is prediction_file.py's business.
"""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from intent_bert.errors import DataError, SettingsError, reason
from intent_bert.files.atomic import atomic_file
from intent_bert.files.tables_out import csv_text

OUTPUT_FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
_ROW_GROUP = 1 << 16  # rows of a Parquet file that are compressed together

Columns = Mapping[str, Any]  # name -> the kinds of its values, as far as they are known, an Arrow type, or LABELS
LABELS = "labels"  # in place of kinds: each value is a list of texts


class PredictionFormat(Protocol):
    """Rows, each a dictionary of its columns, to bytes."""

    def head(self) -> bytes:
        """What stands before the first row."""

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """Some rows."""

    def join(self, appended: Path, whole: Path) -> None:
        """Make the file that was asked for of the one that was appended to, which goes."""


def prediction_format(suffix: str, columns: Columns, guard_formulas: bool = False) -> PredictionFormat:
    """The format of a file with this suffix; ``guard_formulas`` as in ``tables_out``.

    Raises:
        SettingsError: pyarrow is not installed, or there are no formulas in a file of this kind.
    """
    if suffix in (".csv", ".tsv"):
        return _Separated("\t" if suffix == ".tsv" else ",", columns, guard_formulas)
    if guard_formulas:
        raise SettingsError(f"guard_formulas is for csv and tsv, which spreadsheets open: leave it out for {suffix}")
    return _JsonLines() if suffix == ".jsonl" else _Parquet(columns)


class _Appended:
    """A file that is whole as it was appended."""

    def join(self, appended: Path, whole: Path) -> None:
        appended.rename(whole)


class _JsonLines(_Appended):
    def head(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        return "".join(f"{to_json(row)}\n" for row in rows).encode("utf-8", "backslashreplace")


class _Separated(_Appended):
    def __init__(self, separator: str, columns: Iterable[str], guard_formulas: bool) -> None:
        self.separator, self.columns, self.guard_formulas = separator, list(columns), guard_formulas

    def head(self) -> bytes:
        return self._lines([self.columns])

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        return self._lines([[_cell(row.get(name)) for name in self.columns] for row in rows])

    def _lines(self, cells: list[list[str]]) -> bytes:
        return csv_text(cells, self.separator, guard_formulas=self.guard_formulas).encode("utf-8", "backslashreplace")


class _Parquet:
    def __init__(self, columns: Columns) -> None:
        try:
            import pyarrow
        except ImportError:
            raise SettingsError("writing .parquet needs pyarrow: pip install pyarrow") from None
        self.columns = columns
        self.arrow = pyarrow

    @cached_property
    def schema(self) -> Any:
        return self.arrow.schema([(name, self._type(kinds)) for name, kinds in self.columns.items()])

    def _type(self, kinds: Any) -> Any:
        if isinstance(kinds, self.arrow.DataType):
            return kinds
        if kinds is LABELS:
            return self.arrow.list_(self.arrow.string())
        kinds = kinds - {type(None)}
        if kinds == {bool}:
            return self.arrow.bool_()
        if kinds == {int}:
            return self.arrow.int64()
        return self.arrow.float64() if kinds and kinds <= {int, float} else self.arrow.string()

    def head(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        arrays = [self._array(field, [row.get(field.name) for row in rows]) for field in self.schema]
        sink = self.arrow.BufferOutputStream()
        with self.arrow.ipc.new_stream(sink, self.schema) as stream:
            stream.write_batch(self.arrow.record_batch(arrays, schema=self.schema))
        return sink.getvalue().to_pybytes()

    def _array(self, field: Any, values: list[Any]) -> Any:
        if field.type == self.arrow.string():
            values = [None if value is None else _text(value) for value in values]
        try:
            return self.arrow.array(values, field.type)
        except (self.arrow.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise DataError(f"column {field.name!r} can't be written as {field.type}: {reason(error)}") from None

    def join(self, appended: Path, whole: Path) -> None:
        from pyarrow import parquet

        with (
            atomic_file(whole) as partial,
            self.arrow.OSFile(str(appended)) as source,
            parquet.ParquetWriter(partial, self.schema) as writer,
        ):
            waiting: list[Any] = []
            while source.tell() < source.size():
                with self.arrow.ipc.open_stream(source) as stream:
                    waiting += stream
                if sum(map(len, waiting)) >= _ROW_GROUP or source.tell() == source.size():
                    writer.write_table(self.arrow.Table.from_batches(waiting, self.schema))
                    waiting = []
        appended.unlink()


# --- values ------------------------------------------------------------------------------------------------------


def to_json(row: Mapping[str, Any]) -> str:
    """A row as a JSON object; a number that is none is null, and a date is its ISO text."""
    return json.dumps({name: _no_nan(value) for name, value in row.items()}, ensure_ascii=False, default=_plain)


def _cell(value: Any) -> str:
    return "" if _no_nan(value) is None else _text(value)


def _text(value: Any) -> str:
    """A value as a cell has it: a text as it is, a list or an object as JSON."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return str(_plain(value))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


def _no_nan(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value
