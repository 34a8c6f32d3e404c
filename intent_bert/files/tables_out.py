r"""Tables written as csv or tsv, so that every reader gives back the rows that were written.

    csv_text([("play\rnow", 1)])  ->  "play\rnow",1

The one way to write them. A cell with a separator, a quote, a line feed or a bare carriage return is quoted (neither
pandas nor Python's csv module quotes the last when lines end in a line feed, and then a reader sees two rows).

Spreadsheets take a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula. By default such a text is written
as it is, for machines must read back what was written. ``guard_formulas`` is for files that people open: it puts an
apostrophe before such a text, as spreadsheets themselves write it, and leaves numbers alone.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

_ROWS = 4096  # that are formatted at a time
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(
    path: str | PathLike,
    columns: Iterable[Any],
    rows: Iterable[Sequence[Any]],
    separator: str = ",",
    *,
    guard_formulas: bool = False,
) -> None:
    """Write a header and rows to ``path``, in UTF-8, each line ended by a line feed.

    Args:
        path: the file; what stands there is replaced.
        columns: the names in the header.
        rows: as many cells in each; None and NaN become empty cells.
        separator: "," for csv, "\\t" for tsv.
        guard_formulas: keep spreadsheets from taking a text for a formula.

    Raises:
        OSError: the file can't be written.
    """
    every: Iterator[Sequence[Any]] = chain([list(columns)], rows)
    with Path(path).open("wb") as stream:
        while some := list(islice(every, _ROWS)):
            stream.write(csv_text(some, separator, guard_formulas=guard_formulas).encode("utf-8", "backslashreplace"))


def csv_text(rows: Iterable[Sequence[Any]], separator: str = ",", *, guard_formulas: bool = False) -> str:
    r"""The rows as lines of a csv, for files that are written piece by piece.

    >>> print(csv_text([("a", "say, please"), ("=1+1", -5)], guard_formulas=True))
    a,"say, please"
    '=1+1,-5
    <BLANKLINE>
    """
    text = io.StringIO(newline="")
    plain = csv.writer(text, delimiter=separator, lineterminator="\n")
    quoted = csv.writer(text, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = ["" if isinstance(cell, float) and cell != cell else cell for cell in row]
        cells = [guarded(cell) for cell in cells] if guard_formulas else cells
        returns = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (quoted if returns else plain).writerow(cells)
    return text.getvalue()


def guarded(cell: Any) -> Any:
    """The cell with an apostrophe before it, if it is a text that a spreadsheet would take for a formula."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA_SIGNS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
