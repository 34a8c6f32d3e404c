"""report.html of the doctor: what was looked at, how much was found, and a table for each kind of finding.

What is a finding is ``findings``' business, how a page is rendered ``page``'s.
"""

from collections.abc import Sequence
from pathlib import Path

from intent_bert.workbench.doctor import Diagnosis, summary
from intent_bert.workbench.findings import KINDS, SEVERITIES, Finding, counts
from intent_bert.workbench.page import Page
from intent_bert.workbench.page_blocks import Column, Metric, Metrics, Section, Table, Tag, Text, Tone

TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "info": "plain"}
_PLURAL = {"error": "errors", "warning": "warnings", "info": "remarks"}
_WITHOUT_ROW = ("too-few", "imbalance")
_NEXT = (
    "Nothing was changed. findings.csv holds the same findings: open it in a spreadsheet, delete the lines that you "
    "decline, mend suggestions where you know better, save it, and let doctor --apply findings.csv --output NEW_TABLE "
    "write a new table. Suggestions in brackets are advice that only you can follow."
)


def doctor_page(diagnosis: Diagnosis) -> Page:
    """The page of a diagnosis."""
    by_kind: dict[str, list[Finding]] = {kind: [] for kind in counts(diagnosis.findings)}
    for each in diagnosis.findings:
        by_kind[each.kind].append(each)
    sections = [Section("Overview", [Metrics(_tiles(diagnosis)), _kinds(diagnosis.findings), Text(_NEXT)])]
    for kind, findings in by_kind.items():
        sections.append(Section(kind, [Text(_sentence(KINDS[kind])), _table(kind, findings)]))
    if diagnosis.left_out:
        sections.append(Section("Left out", [Text(_sentence(each), "warn") for each in diagnosis.left_out]))
    sheet, *others = diagnosis.sheets
    compared = f", compared with {', '.join(each.name for each in others)}" if others else ""
    return Page("What is wrong with the table", sections, f"{Path(sheet.source).name}{compared}")


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _tiles(diagnosis: Diagnosis) -> list[Metric]:
    tiles = [Metric(name, number) for name, number in summary(diagnosis)]
    for severity in SEVERITIES:
        number = sum(each.severity == severity for each in diagnosis.findings)
        tiles.append(Metric(_PLURAL[severity], f"{number:,}", tone=TONES[severity] if number else "good"))
    return tiles


def _kinds(findings: Sequence[Finding]) -> Table:
    rows = [
        [kind, KINDS[kind], *(of_kind[severity] for severity in SEVERITIES)]
        for kind, of_kind in counts(findings).items()
    ]
    numbers = [Column(_PLURAL[severity], ",d") for severity in SEVERITIES]
    return Table(["kind", Column("what it is", wide=True), *numbers], rows, empty="Nothing was found.")


def _table(kind: str, findings: Sequence[Finding]) -> Table:
    about_rows = kind not in _WITHOUT_ROW
    columns: list[str | Column] = [
        Column("severity", note="error, warning, or info: a remark"),
        Column("score", ".2f", "how sure it is, 0 to 1"),
    ]
    if about_rows:
        columns += [Column("row", note="as you count: 2 is the first under a csv's header"), Column("text", wide=True)]
    columns += ["intent", "suggestion", Column("why", wide=True)]
    rows = []
    for each in findings:
        place = [each.row, each.text] if about_rows else []
        tag = Tag(each.severity, TONES[each.severity])
        rows.append([tag, each.score, *place, each.intent, each.suggestion, each.why])
    return Table(columns, rows, rest="findings.csv has all")
