"""The sentences of a table, chunk by chunk, and what a model computes for them: for drift, suggest and discover.

A file is read as it goes by and never held whole; a DataFrame or a list of texts is taken as it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from intent_bert.config import TEXT
from intent_bert.data.rows import RowReader
from intent_bert.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Sentences: TypeAlias = "str | PathLike | pd.DataFrame | Sequence[str]"
CHUNK = 4096


class Sentence(NamedTuple):
    """A row: its number as its owner sees it, its text, and the cell of another column that was asked for."""

    row: Any
    text: str
    other: Any = None


def sentences_of(source: Sentences, text_column: str = TEXT, other_column: str | None = None) -> Iterator[Sentence]:
    """The sentences of a table, in order.

    Args:
        source: a path (.csv, .tsv, .jsonl, .parquet), a DataFrame, or a list of texts, whose rows count from 0.
        text_column: the name of the column with the sentences.
        other_column: another column whose cells are wanted.

    Raises:
        DataError: no such file or column, an empty table, a row without a text.
    """
    if isinstance(source, str | PathLike):
        reader = RowReader(source)
        names = [text_column, *([other_column] if other_column else [])]
        for name, flag in zip(names, ("text", "date"), strict=False):
            reader.require(name, flag)
        reader.select(*names)
        for number, values in reader.with_text(text_column):
            yield Sentence(number, values[text_column], values[other_column] if other_column else None)
        return
    from intent_bert.data.rows import require_column
    from intent_bert.data.tables import check_texts, read_table

    if not hasattr(source, "columns"):
        texts = check_texts(source)
        if not texts:
            raise DataError("expected sentences, got an empty list")
        yield from (Sentence(row, text) for row, text in enumerate(texts))
        return
    if other_column:
        require_column("the DataFrame", source.columns, other_column, "date")  # type: ignore[union-attr]
    table = read_table(source, text_column, None)  # type: ignore[arg-type]
    others = source[other_column] if other_column else [None] * len(table)  # type: ignore[index, call-overload]
    yield from (Sentence(row, text, other) for (row, text), other in zip(table[TEXT].items(), others, strict=True))


def name_of(source: Any) -> str:
    """What a table is called in a message."""
    return Path(source).name if isinstance(source, str | PathLike) else "the table"


def chunks(sentences: Iterable[Sentence], description: str | None, size: int = CHUNK) -> Iterator[list[Sentence]]:
    """The sentences, so many at a time; a bar shows how many have gone by where it takes over two seconds."""
    from intent_bert.files.progress import progress_bar

    iterator = iter(sentences)
    with progress_bar(None, description, "sentence", delay=2, leave=False) as bar:
        while chunk := list(islice(iterator, size)):
            yield chunk
            bar.update(len(chunk))
