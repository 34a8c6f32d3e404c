"""Texts of users in Markdown: shown character by character, never taken for markup."""

import re
from typing import Any

_MARKUP = re.compile(r"[\\`*_\[\]<>|~&$]")


def as_text(value: Any) -> str:
    r"""A value for a line or a table's cell: on one line, each sign that Markdown or HTML may take for its own escaped.

    >>> print(as_text("a|b <i>\nc"))
    a\|b \<i\> c
    """
    return _MARKUP.sub(lambda sign: rf"\{sign[0]}", _one_line(value))


def as_code(value: Any) -> str:
    """A value between backticks, with as many as it needs; not for a table, where a ``|`` would still end the cell.

    >>> as_code("a `b`")
    '`` a `b` ``'
    """
    text = _one_line(value)
    ticks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if len(ticks) > 1 or not text.strip() else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())
