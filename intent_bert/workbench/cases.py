"""The file that says how a model must behave: read from YAML, checked, each mistake told with its line.

    pass-rate: 95%                     of the cases of a capability; 100% where nothing is said
    capabilities:
      playing music:
        must:                          the text has this intent
          play some jazz: PlayMusic
        same:                          the answer survives these ways of writing it otherwise (perturbations.py)
          put on the beatles: [typos, politeness]
        at-least:                      the confidence of the answer
          play some jazz: 90%
      what it does not know:
        pass-rate: 80%
        unknown:                       must be refused
          - what is the meaning of life

Texts and intents are taken as they are written: ``yes`` and ``42`` are words here (yaml_nodes.py). Whether a model
behaves so is behaviour.py's question.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from intent_bert.data.cells import shown
from intent_bert.errors import DataError, nearest, reason
from intent_bert.workbench.perturbations import ALL, PERTURBATIONS
from intent_bert.workbench.yaml_nodes import NodeReader, content_of, line_of

MUST, SAME, UNKNOWN, AT_LEAST = "must", "same", "unknown", "at-least"
SECTIONS = (MUST, SAME, UNKNOWN, AT_LEAST)
PASS_RATE, CAPABILITIES, SEED, REJECT = "pass-rate", "capabilities", "seed", "reject"
NAMELESS = "behaviour"  # the capability of cases that stand in none


@dataclass(frozen=True)
class Case:
    """One sentence and what is asked of it.

    Attributes:
        kind: one of ``SECTIONS``.
        text: the sentence.
        line: where it stands in the file.
        intents: ``must``: those that it must have, several or none for a multi-label model alone; ``at-least``: the one
            that must be so likely, or none for whichever is the answer.
        perturbations: ``same``: the ways in which it is written otherwise; ("all",) for each that changes it.
        confidence: ``at-least``: how sure.
    """

    kind: str
    text: str
    line: int
    intents: tuple[str, ...] = ()
    perturbations: tuple[str, ...] = ()
    confidence: float = 0.0


@dataclass(frozen=True)
class Capability:
    """Some cases under a name, of which a share must pass."""

    name: str
    pass_rate: float
    cases: list[Case] = field(repr=False)


@dataclass(frozen=True)
class Cases:
    """A whole file.

    Attributes:
        source: what it is called.
        capabilities: in its order.
        seed: of the perturbations.
        reject: whether a sentence out of scope has no intent, as with ``predict --reject``.
    """

    source: str
    capabilities: list[Capability]
    seed: int = 0
    reject: bool = False

    def fault(self, case: Case, what: str) -> DataError:
        """The error for something that is wrong with a case."""
        return DataError(f"{self.source}, line {case.line}: {what}")


def read_cases(source: str | PathLike | Mapping[str, Any]) -> Cases:
    """Read a file of cases, or a mapping of the same keys.

    Raises:
        DataError: no such file, not YAML in UTF-8, or something in it that is not understood; the line is told.
    """
    if isinstance(source, Mapping):
        return _CasesReader("the given cases").read(_written(source))
    if not isinstance(source, str | PathLike):
        raise DataError(f"expected the path of a YAML file or a mapping, got {type(source).__name__}")
    return _CasesReader(str(source)).read(content_of(Path(source)))


def _written(cases: Mapping[str, Any]) -> str:
    try:
        return yaml.safe_dump(_lists(cases), sort_keys=False, allow_unicode=True)
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(f"the given cases hold what YAML can't: {reason(error)}") from None


def _lists(value: Any) -> Any:
    """Mappings and tuples as YAML knows them."""
    if isinstance(value, Mapping):
        return {key: _lists(each) for key, each in value.items()}
    return [_lists(each) for each in value] if isinstance(value, list | tuple) else value


class _CasesReader(NodeReader):
    """Nodes of YAML -> ``Cases``."""

    def read(self, text: str) -> Cases:
        root = self.root(text)
        if root is None:
            raise DataError(f"{self.source} is empty: expected cases (intent-bert check --init MODEL_DIR writes some)")
        keys = self.keys(root, (*SECTIONS, CAPABILITIES, PASS_RATE, SEED, REJECT))
        pass_rate = self.share(keys[PASS_RATE], PASS_RATE) if PASS_RATE in keys else 1.0
        capabilities = []
        if any(section in keys for section in SECTIONS):
            capabilities.append(Capability(NAMELESS, pass_rate, self._sections(keys)))
        if CAPABILITIES in keys:
            named = self.pairs(keys[CAPABILITIES], "names of capabilities, each with must, same, unknown or at-least")
            for name, value in named:
                capability = self._capability(name, value, pass_rate)
                if capability.name in [each.name for each in capabilities]:  # that of those that stand in none
                    self.fail(name, f"{capability.name!r} is what cases outside of {CAPABILITIES} are under: rename it")
                capabilities.append(capability)
        if not capabilities:
            self.fail(root, f"no cases: expected {', '.join(SECTIONS)} or {CAPABILITIES}")
        seed = self.number(keys[SEED], SEED) if SEED in keys else 0
        return Cases(self.source, capabilities, seed, REJECT in keys and self.flag(keys[REJECT], REJECT))

    def _capability(self, name: yaml.Node, value: yaml.Node | None, pass_rate: float) -> Capability:
        keys = self.keys(value or name, (*SECTIONS, PASS_RATE))
        rate = self.share(keys[PASS_RATE], PASS_RATE) if PASS_RATE in keys else pass_rate
        cases = self._sections(keys)
        if not cases:
            self.fail(name, f"the capability {shown(name.value)} has no case: expected {', '.join(SECTIONS)}")
        return Capability(self.text(name), rate, cases)

    def _sections(self, keys: dict[str, yaml.Node]) -> list[Case]:
        return [case for section in SECTIONS if section in keys for case in self._cases(section, keys[section])]

    def _cases(self, section: str, node: yaml.Node) -> Iterator[Case]:
        read = {MUST: self._must, SAME: self._same, UNKNOWN: self._unknown, AT_LEAST: self._at_least}[section]
        form = {MUST: "text: intent", SAME: "text: perturbations", UNKNOWN: "- text", AT_LEAST: "text: 90%"}[section]
        for key, value in self.pairs(node, f"lines '{form}' under {section}"):
            yield read(self.text(key), line_of(key), value, key)

    # --- one case of each kind -----------------------------------------------------------------------------------

    def _must(self, text: str, line: int, value: yaml.Node | None, key: yaml.Node) -> Case:
        if value is None:
            self.fail(key, f"{shown(text)} has no intent: expected 'text: intent' under {MUST}")
        if isinstance(value, yaml.SequenceNode):
            return Case(MUST, text, line, tuple(self.word(each, "an intent") for each in self.items(value)))
        return Case(MUST, text, line, (self.word(value, f"the intent of {shown(text)}"),))

    def _same(self, text: str, line: int, value: yaml.Node | None, key: yaml.Node) -> Case:
        if value is None:
            return Case(SAME, text, line, perturbations=(ALL,))
        nodes = self.items(value)
        names = [self.word(each, "a perturbation") for each in nodes]
        for name, node in zip(names, nodes, strict=True):
            if name != ALL and name not in PERTURBATIONS:
                meant = nearest(name, (*PERTURBATIONS, ALL))
                known = ", ".join((*PERTURBATIONS, ALL))
                self.fail(node, f"unknown perturbation {shown(name)}: did you mean {meant}? (there are {known})")
        if not names:
            self.fail(key, f"no perturbation for {shown(text)}: name some of {', '.join(PERTURBATIONS)}, or {ALL}")
        return Case(SAME, text, line, perturbations=(ALL,) if ALL in names else tuple(dict.fromkeys(names)))

    def _unknown(self, text: str, line: int, value: yaml.Node | None, key: yaml.Node) -> Case:
        if value is not None:
            self.fail(key, f"expected texts alone under {UNKNOWN}, as '- text' (a text with ': ' in it between quotes)")
        return Case(UNKNOWN, text, line)

    def _at_least(self, text: str, line: int, value: yaml.Node | None, key: yaml.Node) -> Case:
        if value is None:
            self.fail(key, f"{shown(text)} has no confidence: expected 'text: 90%' under {AT_LEAST}")
        if not isinstance(value, yaml.MappingNode):
            return Case(AT_LEAST, text, line, confidence=self.share(value, "a confidence"))
        (intent, share), *more = self.pairs(value, "an intent and its confidence")
        if more or share is None:
            self.fail(key, f"expected one intent and its confidence for {shown(text)}, as {{PlayMusic: 90%}}")
        confidence = self.share(share, "a confidence")
        return Case(AT_LEAST, text, line, (self.word(intent, "an intent"),), confidence=confidence)
