"""YAML read as nodes, each value checked for its form, each mistake told with the file and the line.

Scalars are taken as they are written (``yes`` and ``42`` are words), and no object is made of them: no tag of a file
can run anything. What the keys mean is the business of who reads: cases.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import yaml

from intent_bert.data.cells import shown, text_problem
from intent_bert.errors import DataError, nearest, reason

MOST_BYTES = 2_000_000  # of a file

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "value")}
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def content_of(path: Path) -> str:
    """The text of a file in UTF-8.

    Raises:
        DataError: there is none, it can't be read, it is too long, or it is not UTF-8.
    """
    try:
        if path.is_dir():
            raise DataError(f"expected a YAML file, but {path} is a folder")
        if path.stat().st_size > MOST_BYTES:
            size = f"{path.stat().st_size / 1e6:.1f} MB"
            raise DataError(f"{path} is too long, {size}: expected at most {MOST_BYTES / 1e6:.0f} MB of YAML")
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"no such file: {path}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"can't read {shown(str(path))}: {reason(error)}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8; save it as UTF-8") from None


class NodeReader:
    """Reads YAML; ``source`` is what it is called in errors."""

    def __init__(self, source: str) -> None:
        self.source = source

    def root(self, text: str) -> yaml.Node | None:
        """The node of a whole document; None where there is nothing in it."""
        try:
            root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
            return root
        except yaml.reader.ReaderError as error:
            line = text[: error.position].count("\n") + 1
            raise DataError(
                f"{self.source}, line {line}: the character {error.character!r} may not stand in YAML"
            ) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = self.source if mark is None else f"{self.source}, line {mark.line + 1}"
            spaces = " (indent with spaces, not tabs)" if "\\t" in str(error.problem) else ""
            raise DataError(f"{where}: not YAML: {error.problem or error.context}{spaces}{_advice(error)}") from None
        except RecursionError:
            raise DataError(f"{self.source}: nested too deep") from None
        except ValueError as error:  # an escape of no character
            raise DataError(f"{self.source}: not YAML: {reason(error)}") from None

    def keys(self, node: yaml.Node, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The values of a mapping whose keys are all known; a key without a value counts as not there."""
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"expected lines such as 'must:', one of {', '.join(known)}, found {kind_of(node)}")
        found: dict[str, yaml.Node] = {}
        for key, value in self.pairs(node, f"some of {', '.join(known)}"):
            name = self.word(key, "a key")
            if name not in known:
                meant = nearest(name, known)
                self.fail(key, f"unknown key {shown(name)}: did you mean {meant}? (there are {', '.join(known)})")
            if value is None:
                self.fail(key, f"{name} is empty: fill it in or delete the line")
            found[name] = value
        return found

    def pairs(self, node: yaml.Node, expected: str) -> Iterator[tuple[yaml.Node, yaml.Node | None]]:
        """Keys and values of a mapping, or of a list of texts and small mappings; no key may stand there twice."""
        self._check_tag(node)
        if isinstance(node, yaml.MappingNode):
            pairs = list(node.value)
        elif isinstance(node, yaml.SequenceNode):
            pairs = [pair for each in node.value for pair in (each.value if _is_map(each) else [(each, None)])]
        else:
            pairs = []
        if not pairs:
            self.fail(node, f"expected {expected}, found {kind_of(node)}")
        lines: dict[str, int] = {}
        for key, value in pairs:
            if not isinstance(key, yaml.ScalarNode):
                self.fail(key, f"expected {expected}, found {kind_of(key)} in place of a text")
            if key.tag == f"{_TAG}merge":
                self.fail(key, "merge keys (<<) are not read: write the lines out")
            if key.value in lines:
                self.fail(key, f"{shown(key.value)} stands in line {lines[key.value]} already: keep one of them")
            lines[key.value] = line_of(key)
            yield key, None if value is None or _is_nothing(value) else value

    def items(self, node: yaml.Node) -> list[yaml.Node]:
        """The nodes of a list; anything else is a list of itself."""
        self._check_tag(node)
        return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]

    def _check_tag(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.CollectionNode) and node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self.fail(node, f"the tag {shown(node.tag)} is not read: write a plain list or mapping")

    def text(self, node: yaml.Node) -> str:
        """A sentence: a text that holds something."""
        problem = text_problem(node.value)
        if problem:
            self.fail(node, problem.replace("fill it in or delete the row", "write one or delete the line"))
        self.word(node, "a text")
        return str(node.value)

    def word(self, node: yaml.Node, what: str) -> str:
        """The text of a scalar, as it is written."""
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, f"expected {what}, found {kind_of(node)}")
        if node.tag not in _PLAIN_TAGS:
            self.fail(node, f"the tag {shown(node.tag)} is not read: write plain text")
        if not node.value.strip():
            self.fail(node, f"expected {what}, found nothing")
        return str(node.value).strip() if what != "a text" else str(node.value)

    def share(self, node: yaml.Node, what: str) -> float:
        """A share from 0 to 1, which may be written as per cent."""
        written = self.word(node, what)
        number = written.removesuffix("%").strip()
        try:
            value = float(number) / (100 if written.endswith("%") else 1)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            self.fail(node, f"expected {what} as a share such as 95% or 0.95, found {shown(written)}")
        return value

    def number(self, node: yaml.Node, what: str) -> int:
        """A whole number from 0 on."""
        written = self.word(node, what)
        if not written.isdecimal() or len(written) > 18:
            self.fail(node, f"expected {what} as a whole number from 0 on, found {shown(written)}")
        return int(written)

    def flag(self, node: yaml.Node, what: str) -> bool:
        """True or false."""
        written = self.word(node, what)
        if written.lower() not in _FLAGS:
            self.fail(node, f"expected {what} as true or false, found {shown(written)}")
        return _FLAGS[written.lower()]

    def fail(self, node: yaml.Node, what: str) -> NoReturn:
        """Raise DataError for this node."""
        raise DataError(f"{self.source}, line {line_of(node)}: {what}")


def line_of(node: yaml.Node) -> int:
    """The line in which a node begins."""
    return int(node.start_mark.line) + 1


def _is_map(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def _is_nothing(node: yaml.Node) -> bool:
    """Whether there is nothing behind a key's colon."""
    return isinstance(node, yaml.ScalarNode) and node.value == "" and node.style is None


def kind_of(node: yaml.Node) -> str:
    """What a node is, for an error."""
    if isinstance(node, yaml.ScalarNode):
        return shown(node.value) if node.value.strip() else "nothing"
    kind = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    return kind if node.value else f"{kind} without anything in it"


def _advice(error: yaml.MarkedYAMLError) -> str:
    """What most often lies behind it."""
    if "mapping values are not allowed" in str(error.problem):
        return "; a text with ': ' in it must stand between quotes"
    return ""
