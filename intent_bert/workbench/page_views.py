"""How the values of a page are written: cells, pictures, and what a matrix gives its script.

The templates escape every text that is given here; ``script_json`` is for what stands inside a script element.
"""

import base64
import json
import math
from typing import Any, TypeAlias

from intent_bert.workbench.page_blocks import Column, Matrix, Pick, Tag, Words

LONGEST_TEXT = 1000  # characters of a cell
SENTENCES_OF_A_CELL = 100  # of a matrix, at most
NUMBERS_UP_TO = 30  # labels of a matrix; with more, its cells are small

Cell: TypeAlias = dict[str, Any]


def as_column(column: str | Column) -> Column:
    """A column that is named alone, or a column."""
    return column if isinstance(column, Column) else Column(column)


def as_cell(value: Any, column: Column) -> Cell:
    """A value as the template and the script take it: what is shown, what it is sorted by, what it looks like."""
    value = value.item() if hasattr(value, "item") else value  # a number of numpy's
    if isinstance(value, Words):
        return {"kind": "words", "pieces": _shaded(value), "sort": None}
    if isinstance(value, Tag | Pick):
        return {"kind": value.kind, "text": _cut(value.text), "sort": None, "of": value}
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return {"kind": "none", "text": "", "sort": None}
    if isinstance(value, bool):
        return {"kind": "plain", "text": "yes" if value else "no", "sort": None}
    if isinstance(value, int | float) and math.isfinite(value):
        return {"kind": "number", "text": format(value, column.format), "sort": value}
    return {"kind": "plain", "text": _cut(str(value)), "sort": None}


def _cut(text: str, most: int = LONGEST_TEXT) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _shaded(words: Words) -> list[tuple[str, str]]:
    """Pieces with the name of their shade: up1 to up4 for weights above 0, down1 to down4 below, none near 0."""
    shaded, length = [], 0
    for piece, weight in words.pieces:
        step = min(math.ceil(abs(weight) * 4 - 0.2), 4)
        shown = _cut(piece, LONGEST_TEXT - length)
        shaded.append((shown, f"{'up' if weight > 0 else 'down'}{step}" if step > 0 else ""))
        length += len(piece)
        if length >= LONGEST_TEXT:
            break
    return shaded


def as_data_uri(image: bytes) -> str:
    """The bytes of an SVG or PNG file as an address that holds them."""
    kind = "png" if image.startswith(b"\x89PNG") else "svg+xml"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def as_matrix(matrix: Matrix, most: int) -> dict[str, Any]:
    """A matrix as the template takes it; ``data`` is JSON for the script, which makes texts of it, never markup."""
    limit = min(most, SENTENCES_OF_A_CELL)
    columns = [as_column(each) for each in matrix.of_sentence]
    listed = {
        f"{row},{column}": [[_of_json(as_cell(value, of)) for value, of in zip(cells, columns, strict=True)]
                            for cells in sentences[:limit]]
        for (row, column), sentences in matrix.sentences.items()
    }  # fmt: skip
    data = {
        "rows": [*matrix.rows], "columns": [*matrix.columns], "opened": matrix.opened, "same": matrix.same,
        "heads": [each.name for each in columns], "wide": [each.wide for each in columns], "sentences": listed,
    }  # fmt: skip
    return {
        "small": max(len(matrix.rows), len(matrix.columns)) > NUMBERS_UP_TO,
        "shades": [_row_of_shades(matrix, row) for row in range(len(matrix.rows))],
        "data": data,
    }


def _of_json(cell: Cell) -> Any:
    """A cell for the script: a text; or pieces with shades."""
    return cell["pieces"] if cell["kind"] == "words" else cell["text"]


def _row_of_shades(matrix: Matrix, row: int) -> list[int]:
    """0 to 8 for each cell of a row: how dark it is; what is not 0 is seen."""
    counts = matrix.counts[row]
    total = max(sum(counts), 1)
    shades = []
    for column, count in enumerate(counts):
        share = math.sqrt(count / total) if matrix.shades is None else matrix.shades.get((row, column), 0.0)
        shades.append(min(max(round(8 * share), 1), 8) if count else 0)
    return shades


def script_json(value: Any) -> str:
    r"""JSON that may stand inside a script element: no ``<``, ``>`` or ``&`` ends it early.

    >>> script_json("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})
