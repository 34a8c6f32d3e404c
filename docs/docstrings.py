"""Docstrings as the reference parses them, and defaults as values.

    a paragraph of ``>>>`` lines    becomes the section "Examples:"
    ``texts, labels: the table``    becomes a line for each name
    ``pooling=Architecture.pooling``    becomes ``pooling='cls'``: a default from config.py is shown as what it is

Griffe, which reads the code for mkdocstrings, calls ``on_instance`` for every object that it has found.
"""

import re
from typing import Any

from griffe import Extension, Function, Object

from intent_bert import config

SHARED = re.compile(r"^( {4})(\w+(?:, \w+)+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class Docstrings(Extension):
    def on_instance(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = prepared(obj.docstring.value)
        for parameter in obj.parameters if isinstance(obj, Function) else ():
            parameter.default = shown(parameter.default)


def shown(default: Any) -> Any:
    """The value of a default that is a name of config.py; any other as it is."""
    if not re.fullmatch(r"[A-Z]\w*(\.\w+)?", str(default)):
        return default
    value: Any = config
    for name in str(default).split("."):
        if not hasattr(value, name):
            return default
        value = getattr(value, name)
    return repr(value)


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
