"""Docstrings as the reference parses them: examples in a section of their own, and names that share a line apart.

    a paragraph of ``>>>`` lines    becomes the section "Examples:"
    ``texts, labels: the table``    becomes a line for each name

Griffe, which reads the code for mkdocstrings, calls ``on_instance`` for every object that it has found.
"""

import re
from typing import Any

from griffe import Extension, Object

SHARED = re.compile(r"^( {4})(\w+(?:, \w+)+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class Docstrings(Extension):
    def on_instance(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = prepared(obj.docstring.value)


def prepared(docstring: str) -> str:
    """The docstring, whose first column is that of its first line, as its parser wants it."""
    docstring = SHARED.sub(
        lambda match: "\n".join(f"{match[1]}{name}: {match[3]}" for name in match[2].split(", ")), docstring
    )
    paragraphs = docstring.split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        if paragraph.startswith(">>> "):
            paragraphs[number] = "Examples:\n" + re.sub("^", "    ", paragraph, flags=re.MULTILINE)
    return "\n\n".join(paragraphs)
