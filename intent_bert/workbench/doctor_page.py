"""report.html of the doctor: what was looked at, how much was found, and a table of each kind of finding.

What is a finding is ``findings``' business, how a page is rendered ``page``'s.
"""

from collections.abc import Sequence
from pathlib import Path

from intent_bert.workbench.doctor import Diagnosis, summary
from intent_bert.workbench.findings import KINDS, SEVERITIES, Finding, counts
from intent_bert.workbench.page import Page
from intent_bert.workbench.page_blocks import Column, Metric, Metrics, Section, Table, Tag, Text, Tone

TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "info": "plain"}
_ABOUT_INTENTS = ("too-few", "imbalance")
_NEXT = (
    "Nothing was changed. findings.csv holds the same findings: open it in a spreadsheet, delete the lines that you "
    "decline, mend suggestions where you know better, save it, and have a new table written with doctor --apply "
    "findings.csv --output new.csv."
)


def doctor_page(diagnosis: Diagnosis) -> Page:
    """The page of a diagnosis."""
    sheet, findings = diagnosis.sheets[0], diagnosis.findings
    by_kind: dict[str, list[Finding]] = {}
    for each in findings:
        by_kind.setdefault(each.kind, []).append(each)
    overview = Section("Overview", [Metrics(_tiles(diagnosis)), _kinds(findings), Text(_NEXT)])
    left_out = [Text(f"Not looked for: {each}.", "warn") for each in diagnosis.left_out]
    sections = [
        overview,
        *(Section(kind, [Text(f"{KINDS[kind]}."), _table(kind, of_kind)]) for kind, of_kind in by_kind.items()),
    ]
    if left_out:
        sections.append(Section("Left out", left_out))
    others = ", ".join(each.name for each in diagnosis.sheets[1:])
    return Page(
        "Doctor's findings", sections, Path(sheet.source).name + (f", compared with {others}" if others else "")
    )


def _tiles(diagnosis: Diagnosis) -> list[Metric]:
    tiles = [Metric(name, number) for name, number in summary(diagnosis)]
    for severity in SEVERITIES:
        number = sum(each.severity == severity for each in diagnosis.findings)
        tone = TONES[severity] if number else "good"
        tiles.append(Metric({"info": "remarks"}.get(severity, f"{severity}s"), f"{number:,}", tone=tone))
    return tiles


def _kinds(findings: Sequence[Finding]) -> Table:
    numbers = counts(findings)
    rows = [[kind, KINDS[kind], *(of_kind[severity] for severity in SEVERITIES)] for kind, of_kind in numbers.items()]
    columns = [
        "kind",
        Column("what it is", wide=True),
        *(Column(f"{severity}s" if severity != "info" else "remarks", ",d") for severity in SEVERITIES),
    ]
    return Table(columns, rows, empty="Nothing was found.")


def _table(kind: str, findings: Sequence[Finding]) -> Table:
    about_intents = kind in _ABOUT_INTENTS
    columns: list[str | Column] = [Column("severity", note="error, warning, or info: a remark")]
    if not about_intents:
        columns += [
            Column("row", note="as the table's owner counts: 2 is the first under a csv's header"),
            Column("text", wide=True),
        ]
    columns += [
        "intent",
        Column("why", wide=True),
        Column("suggestion", wide=True),
        Column("score", ".2f", "how sure it is, 0 to 1"),
    ]
    rows = []
    for each in findings:
        row: list[object] = [Tag(each.severity, TONES[each.severity])]
        row += [] if about_intents else [each.row, each.text]
        rows.append([*row, each.intent, each.why, each.suggestion, each.score])
    return Table(columns, rows, rest="findings.csv has all")
