"""What the doctor finds: one thing wrong in a table, and how a list of such things is ordered and written.

    Finding("duplicate", "warning", "the same text as row 3", row=9, text="play it", intent="music",
            suggestion="delete", other_row=3)

A suggestion is what ``doctor --apply`` can do: ``delete``, ``intent: NAME`` or ``text: NEW TEXT``. Advice that only a
person can follow stands in brackets. Nothing here looks into a table.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intent_bert.files.atomic import atomic_file
from intent_bert.files.tables_out import write_csv

if TYPE_CHECKING:
    import pandas as pd

SEVERITIES = ("error", "warning", "info")  # the worst first
KINDS = {  # kind -> what it is, the surest first
    "contradiction": "one text, two intents",
    "leak": "a text that also stands in another table",
    "odd-text": "a text that is no sentence, or holds what should not be there",
    "duplicate": "a text that stands there twice",
    "label-error": "an intent that is probably wrong",
    "overlap": "two intents that can't be told apart",
    "too-few": "an intent with too few sentences",
    "imbalance": "intents of very different sizes",
    "cut": "a text that is longer than the model reads",
    "outlier": "a sentence that fits no intent",
    "unknown-words": "words that the vocabulary does not know",
    "near-duplicate": "a text that is nearly another",
}
COLUMNS = ("kind", "severity", "row", "text", "intent", "suggestion", "score", "other_row")

DELETE, INTENT_IS, TEXT_IS = "delete", "intent: ", "text: "


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: one of ``KINDS``.
        severity: one of ``SEVERITIES``.
        why: a short sentence.
        row: the row as its owner counts; in another table than the first ``NAME:ROW``; None where no row is meant.
        text, intent: of that row; the intent alone where the finding is about an intent.
        suggestion: what to do.
        score: how sure it is, 0 to 1.
        other_row: the row that the first is compared with.
    """

    kind: str
    severity: str
    why: str
    row: Any = None
    text: str = ""
    intent: str = ""
    suggestion: str = ""
    score: float = 1.0
    other_row: Any = None


def advice(words: str) -> str:
    """A suggestion that ``--apply`` passes over."""
    return f"({words})"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, then by kind, then the surest; of several proposals for a row the first stays."""
    kinds = list(KINDS)
    ordered = sorted(
        findings, key=lambda each: (SEVERITIES.index(each.severity), kinds.index(each.kind), -round(each.score, 4))
    )
    taken: dict[Any, set[str]] = {}
    settled = []
    for each in ordered:
        aspect = _aspect(each.suggestion)
        if aspect is not None and each.row is not None:
            before = taken.setdefault(each.row, set())
            if DELETE in before or aspect in before or (aspect == DELETE and before):
                each = replace(each, suggestion=advice("see the other finding of this row"))
            else:
                before.add(aspect)
        settled.append(each)
    return settled


def _aspect(suggestion: str) -> str | None:
    return next((kind for kind in (DELETE, INTENT_IS, TEXT_IS) if suggestion.startswith(kind)), None)


def counts(findings: Iterable[Finding]) -> dict[str, dict[str, int]]:
    """How many of each kind, ``{kind: {severity: number}}``, in the order of the findings."""
    numbers: dict[str, dict[str, int]] = {}
    for each in findings:
        of_kind = numbers.setdefault(each.kind, dict.fromkeys(SEVERITIES, 0))
        of_kind[each.severity] += 1
    return numbers


def as_frame(findings: Sequence[Finding]) -> "pd.DataFrame":
    """A DataFrame: the columns of findings.csv, and ``why``."""
    import pandas as pd

    columns = [*COLUMNS, "why"]
    rows = [[getattr(each, name) for name in columns] for each in findings]
    return pd.DataFrame(rows, columns=columns, dtype=object).astype(
        {"score": float}
    )  # rows stay whole numbers, or None


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """findings.csv, for spreadsheets: a text that they would take for a formula has an apostrophe before it.

    Raises:
        DiskError: it can't be written.
    """
    with atomic_file(path) as partial:
        write_csv(partial, COLUMNS, map(_cells, findings), guard_formulas=True)


def _cells(finding: Finding) -> list[Any]:
    return [round(each, 4) if name == "score" else each for name, each in zip(COLUMNS, _values(finding), strict=True)]


def _values(finding: Finding) -> list[Any]:
    return [getattr(finding, name) for name in COLUMNS]


_ONE_LINE = re.compile(r"\s+")


def one_line(text: str, most: int = 100) -> str:
    """A text for a line on a terminal: white space evened out, what can't be printed escaped, cut where it is long.

    >>> one_line("play\\n it", 6)
    'pla...'
    """
    text = _ONE_LINE.sub(" ", text).strip()
    text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return text if len(text) <= most else f"{text[: most - 3]}..."
