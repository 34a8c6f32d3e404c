"""What a page is made of: texts, tiles of metrics, tables, pictures, a matrix whose cells open. Values only, no markup.

    Table(["text", Column("confidence", ".2f")], [["play it", 0.9731]])

Every text is text: it is escaped where the page is rendered, and a label may hold markup, quotes and dollar signs.
A cell is a value (a text, a number, True, None) or one of ``Tag``, ``Words`` and ``Pick``. Sorting goes by the value,
not by how it is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Plot

Tone: TypeAlias = Literal["good", "bad", "warn", "plain"]


# --- cells -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tag:
    """A short text in a colour: a kind, a severity."""

    text: str
    tone: Tone = "plain"
    kind: ClassVar = "tag"


@dataclass(frozen=True)
class Words:
    """A sentence in pieces, each with a weight between -1 and 1 that shades it; the pieces joined are the sentence."""

    pieces: Sequence[tuple[str, float]]
    kind: ClassVar = "words"

    @property
    def text(self) -> str:
        """The sentence."""
        return "".join(piece for piece, _ in self.pieces)


@dataclass(frozen=True)
class Pick:
    """A button that opens a cell of the matrix with this name."""

    text: str
    matrix: str
    row: int
    column: int
    kind: ClassVar = "pick"


# --- blocks ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A paragraph; with another tone it stands in a coloured box."""

    text: str
    tone: Tone = "plain"
    kind: ClassVar = "text"


@dataclass(frozen=True)
class Metric:
    """A tile: a name, a value as it is to be read, and a small line beneath."""

    name: str
    value: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Metrics:
    """Tiles in a row, as many as fit."""

    tiles: Sequence[Metric]
    kind: ClassVar = "metrics"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: what stands above it.
        format: of its numbers, as ``format()`` takes it: ".1%", ",d".
        note: what it means, shown when the pointer rests on the name.
        wide: a column of sentences, which gets what room there is.
    """

    name: str
    format: str = ""
    note: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows that can be sorted by every column and filtered by words.

    Attributes:
        columns: their names, or ``Column``.
        rows: as many cells in each.
        caption: a line above.
        empty: what is said where there is no row.
        rest: where the other rows are found, if the page has no room for all of them ("findings.csv has all").
    """

    columns: Sequence[str | Column]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    empty: str = "Nothing to show."
    rest: str = ""
    kind: ClassVar = "table"

    @classmethod
    def of(cls, frame: "pd.DataFrame", formats: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A DataFrame as a table; ``formats`` by column name."""
        columns = [Column(str(name), (formats or {}).get(str(name), "")) for name in frame.columns]
        return cls(columns, [list(row) for row in frame.itertuples(index=False)], **options)


@dataclass(frozen=True)
class Figure:
    """A picture inside the page.

    Attributes:
        image: the bytes of an SVG or PNG file.
        alt: what it shows, for those who don't see it.
        caption: a line beneath.
    """

    image: bytes
    alt: str
    caption: str = ""
    kind: ClassVar = "figure"

    @classmethod
    def of(cls, plot: "Plot", alt: str, caption: str = "") -> Self:
        """A plot of matplotlib, drawn on a white ground; in the dark the page turns its shades round."""
        import matplotlib

        buffer = BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "intent_bert"}):  # the same plot gives the same bytes
            plot.savefig(buffer, format="svg", metadata={"Date": None})
        return cls(buffer.getvalue(), alt, caption)


@dataclass(frozen=True)
class Matrix:
    """Counts of labels against labels, whose cells open a list of sentences.

    Attributes:
        name: what ``Pick`` calls it; one of its kind on the page.
        rows, columns: labels down and across.
        counts: a row of numbers for each label.
        sentences: (row, column) -> what is listed, each as many cells as ``of_sentence`` names.
        of_sentence: what stands above the list.
        down, across: what the labels of the rows and columns are.
        opened: the words above a list, with ``{row}``, ``{column}`` and ``{count}``.
        same: these words where both labels are one.
        shades: (row, column) -> 0 to 1; by default the share of the row, its root taken so that one is seen.
    """

    name: str
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[int]]
    sentences: Mapping[tuple[int, int], Sequence[Sequence[Any]]] = field(default_factory=dict)
    of_sentence: Sequence[str | Column] = ("text",)
    down: str = "label"
    across: str = "prediction"
    opened: str = "{row} taken for {column}: {count}"
    same: str = "{row}, right: {count}"
    shades: Mapping[tuple[int, int], float] | None = None
    kind: ClassVar = "matrix"


Block: TypeAlias = Text | Metrics | Table | Figure | Matrix


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, which the table of contents lists, and its blocks."""

    title: str
    blocks: Sequence[Block]
