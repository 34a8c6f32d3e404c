"""Figures and texts of users on a terminal: columns that stand under each other, a text on a line of its own.

Nothing here knows what the figures mean.
"""

import re
from collections.abc import Sequence
from typing import Any

TEXT_WIDTH = 90  # of a sentence

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: Any, width: int = TEXT_WIDTH) -> str:
    r"""A text on one line, cut where it is long; what would break the line or steer the terminal is escaped.

    >>> print(one_line("play\nmusic"), one_line("play some music", 8))
    play\nmusic play ...
    """
    escaped = _CONTROL.sub(lambda sign: sign[0].encode("unicode_escape").decode(), str(text))
    return escaped if len(escaped) <= width else f"{escaped[: width - 3]}..."


def share(value: float | None) -> str:
    """A share as per cent, ``-`` where there is none.

    >>> share(0.98765), share(None)
    ('98.77%', '-')
    """
    return "-" if value is None or value != value else f"{value:.2%}"


def shift(old: float | None, new: float | None, digits: int = 2) -> str:
    """How many points a share has moved; empty where one is missing.

    >>> shift(0.95, 0.9625), shift(None, 0.5)
    ('+1.25', '')
    """
    return "" if old is None or new is None else f"{100 * (new - old):+.{digits}f}"


def columns(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """The rows as lines, each column as wide as its widest cell, numbers to the right and the columns ``left`` not.

    >>> columns([("rows", "700"), ("p", "0.5")])
    ['rows  700', 'p     0.5']
    """
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
