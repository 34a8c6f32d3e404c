"""A labelled table of any length as a stream of small ones, each checked as ``read_table`` checks a whole one.

    for table in chunks("sentences.csv", rows=512):   DataFrames of at most 512 rows, columns text and intent

The index keeps the rows' numbers as their owner sees them. A file is never held whole: memory does not grow with it.
"""

from collections.abc import Iterator
from itertools import islice
from os import PathLike

import pandas as pd

from intent_bert.config import INTENT, TEXT
from intent_bert.data.rows import RowReader
from intent_bert.data.tables import Source, read_table
from intent_bert.files.progress import progress_bar

ROWS = 512  # of a chunk


def chunks(
    source: Source,
    text_column: str = TEXT,
    label_column: str = INTENT,
    label_separator: str | None = None,
    *,
    rows: int = ROWS,
    description: str | None = None,
) -> Iterator[pd.DataFrame]:
    """The rows of ``source`` in order, as tables of at most ``rows`` rows.

    Args:
        source, text_column, label_column, label_separator: as in ``read_table``.
        rows: of a table.
        description: names the bar on stderr, which shows itself after two seconds; None: no bar.

    Raises:
        DataError: as ``read_table``, where the broken row is reached.
    """
    if isinstance(source, str | PathLike):
        yield from _of_file(RowReader(source), (text_column, label_column), label_separator, rows, description)
        return
    table = read_table(source, text_column, label_column, label_separator)
    with progress_bar(len(table), description, "sentence", delay=2, leave=False) as bar:
        for start in range(0, len(table), rows):
            yield table.iloc[start : start + rows]
            bar.update(min(rows, len(table) - start))


def _of_file(
    reader: RowReader, columns: tuple[str, str], separator: str | None, rows: int, description: str | None
) -> Iterator[pd.DataFrame]:
    for column, flag in zip(columns, ("text", "label"), strict=True):
        reader.require(column, flag)
    reader.select(*columns)
    found = iter(reader)
    with progress_bar(reader.size, description, "B", unit_scale=True, delay=2, leave=False) as bar:
        while some := list(islice(found, rows)):
            cells = {column: [row.values[column] for row in some] for column in columns}
            frame = pd.DataFrame(cells, index=pd.Index([row.number for row in some], name="row"), dtype=object)
            frame.attrs["source"] = str(reader.path)
            yield read_table(frame, *columns, separator)
            bar.update(reader.position - bar.n)
