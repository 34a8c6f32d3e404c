"""Single cells of a table: what counts as missing, what a text may be, and how a value looks in an error."""

from typing import Any


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
