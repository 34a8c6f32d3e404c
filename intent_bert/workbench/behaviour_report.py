"""What came out of a file of cases: by capability, for a terminal, as JSON and as a DataFrame."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from intent_bert.workbench.cases import SAME, Cases
from intent_bert.workbench.plain_text import columns, one_line, share

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 10  # failed cases of a capability on the terminal


@dataclass(frozen=True)
class Outcome:
    """One case: what was asked, what came.

    Attributes:
        capability, kind, text, line: the case.
        perturbation: in which way the text was written otherwise; None for a case that is not ``same``.
        passed: whether the model did what was asked.
        asked, found: in words.
        variants: how many were tried.
        changed: those of them that got another answer.
    """

    capability: str
    kind: str
    text: str
    line: int
    perturbation: str | None
    passed: bool
    asked: str
    found: str
    variants: int = 0
    changed: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """Kind and perturbation in a word or two."""
        return self.kind if self.perturbation is None else f"{self.kind}, {self.perturbation}"


@dataclass(frozen=True)
class CapabilityResult:
    """The cases of one capability.

    Attributes:
        name: as the file has it.
        asked: the pass rate that it must reach.
        outcomes: in the order of the file.
    """

    name: str
    asked: float
    outcomes: list[Outcome] = field(repr=False)

    @property
    def passes(self) -> int:
        """How many cases passed."""
        return sum(each.passed for each in self.outcomes)

    @property
    def rate(self) -> float:
        """The share of them."""
        return self.passes / len(self.outcomes)

    @property
    def passed(self) -> bool:
        """Whether that is as many as were asked for."""
        return self.passes >= self.asked * len(self.outcomes) - 1e-9


@dataclass(frozen=True)
class BehaviourReport:
    """What ``check_behaviour`` found.

    Attributes:
        model, source: the model's folder, and the file of the cases.
        capabilities: in the order of the file.
    """

    model: str
    source: str
    capabilities: list[CapabilityResult]

    @classmethod
    def of(cls, model: str, cases: Cases, outcomes: Sequence[Outcome]) -> "BehaviourReport":
        """The outcomes, in the order of the cases, by capability."""
        by_name: dict[str, list[Outcome]] = {capability.name: [] for capability in cases.capabilities}
        for outcome in outcomes:
            by_name[outcome.capability].append(outcome)
        rates = {capability.name: capability.pass_rate for capability in cases.capabilities}
        return cls(model, cases.source, [CapabilityResult(name, rates[name], by_name[name]) for name in by_name])

    @property
    def passed(self) -> bool:
        """Whether every capability reaches the pass rate that was asked for."""
        return all(each.passed for each in self.capabilities)

    @property
    def cases(self) -> "pd.DataFrame":
        """One case a row."""
        import pandas as pd

        return pd.DataFrame([asdict(outcome) for each in self.capabilities for outcome in each.outcomes])

    def survived(self) -> dict[str, tuple[int, int]]:
        """perturbation -> how many sentences kept their answer under it, and of how many."""
        found: dict[str, tuple[int, int]] = {}
        for outcome in self._all():
            if outcome.kind == SAME and outcome.perturbation is not None:
                kept, tried = found.get(outcome.perturbation, (0, 0))
                found[outcome.perturbation] = kept + outcome.passed, tried + 1
        return found

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {
            "passed": self.passed,
            "model": self.model,
            "cases_file": self.source,
            "capabilities": [
                {
                    "name": each.name, "passed": each.passed, "cases": len(each.outcomes), "passes": each.passes,
                    "pass_rate": each.rate, "asked": each.asked,
                    "outcomes": [_without(asdict(outcome), "capability") for outcome in each.outcomes],
                }
                for each in self.capabilities
            ],
            "perturbations": {name: {"kept": kept, "tried": n} for name, (kept, n) in self.survived().items()},
        }  # fmt: skip

    def report(self) -> str:
        """A page for the terminal: the capabilities, then what failed."""
        lines: list[Sequence[str]] = [("capability", "passed", "of", "rate", "asked", "")]
        for each in self.capabilities:
            verdict = "ok" if each.passed else "FAILED"
            counts = str(each.passes), str(len(each.outcomes)), share(each.rate), share(each.asked)
            lines.append((one_line(each.name, 40), *counts, verdict))
        parts = [columns(lines, left=(0, 5))]
        if self.survived():
            named = [f"{name} {kept} of {tried}" for name, (kept, tried) in self.survived().items()]
            parts.append([f"answers that survived: {', '.join(named)}"])
        parts += [_failures(each) for each in self.capabilities if each.passes < len(each.outcomes)]
        parts.append([self._verdict()])
        return "\n\n".join("\n".join(part) for part in parts)

    def _verdict(self) -> str:
        passes = sum(each.passes for each in self.capabilities)
        failed = [one_line(each.name, 40) for each in self.capabilities if not each.passed]
        counted = f"{passes:,} of {len(list(self._all())):,} cases passed"
        return f"FAILED: {', '.join(failed)} ({counted})" if failed else f"passed: {counted}"

    def _all(self) -> Iterable[Outcome]:
        return (outcome for each in self.capabilities for outcome in each.outcomes)


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _failures(result: CapabilityResult) -> list[str]:
    failed = [outcome for outcome in result.outcomes if not outcome.passed]
    allowed = " (within its pass rate)" if result.passed else ""
    lines = [f"{one_line(result.name, 40)}: what failed{allowed}"]
    for outcome in failed[:SHOWN]:
        lines.append(f"  line {outcome.line}, {outcome.what}: {one_line(outcome.text)}")
        lines.append(f"    asked {one_line(outcome.asked, 60)}, found {one_line(outcome.found, 120)}")
    return lines + ([f"  and {len(failed) - SHOWN} more (--json has all)"] if len(failed) > SHOWN else [])
