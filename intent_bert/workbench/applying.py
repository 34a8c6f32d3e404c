"""A new table with the proposals that its owner has accepted in findings.csv; the table itself stays as it is.

    delete              the row is left out
    intent: NAME        the row gets this intent
    text: NEW TEXT      the row gets this text
    empty, (advice)     nothing happens

Every proposal that stands in the file is accepted: who declines one deletes its line, or empties the cell. Where there
is a column ``accept``, those lines count alone that have something in it (yes, x, 1, but not no or 0).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from intent_bert.config import INTENT, TEXT
from intent_bert.data.cells import is_missing, shown
from intent_bert.data.label_sets import label_set
from intent_bert.data.rows import RowReader
from intent_bert.errors import DataError, SettingsError
from intent_bert.files.atomic import atomic_file
from intent_bert.files.tables_out import guarded
from intent_bert.inference.prediction_formats import OUTPUT_FORMATS, prediction_format
from intent_bert.workbench.findings import DELETE, INTENT_IS, TEXT_IS
from intent_bert.workbench.masks import masked
from intent_bert.workbench.merging import whole_number
from intent_bert.workbench.sheets import evened

ACCEPT = "accept"
_NO = ("", "no", "n", "false", "0")
_NEEDED = ("row", "text", "suggestion")
_AT_ONCE = 4096


@dataclass
class Proposal:
    """What is to become of a row.

    Attributes:
        line: of findings.csv, where it stands.
        text: what the row said when it was looked at, with secrets masked.
        delete, intent, new_text: what to do.
    """

    line: int
    text: str
    delete: bool = False
    intent: str | None = None
    new_text: str | None = None


@dataclass(frozen=True)
class Applied:
    """How many rows were left out, got another intent, got another text, and were written."""

    deleted: int
    intents: int
    texts: int
    written: int


def apply_findings(
    table: str | PathLike,
    findings: str | PathLike,
    output: str | PathLike,
    text_column: str = TEXT,
    label_column: str = INTENT,
    separator: str | None = None,
) -> Applied:
    """Write a new table with the accepted proposals; all its other columns and rows go along.

    Args:
        table: the file that was looked at.
        findings: findings.csv, as its owner has saved it.
        output: a new file: .csv, .tsv, .jsonl or .parquet.
        separator: what joins the labels of a row, where it may have several.

    Raises:
        SettingsError: the output is there already, or has another suffix.
        DataError: the findings are of another table, or hold something that is no proposal, with the line.
    """
    place = check_new_table(output)
    reader = RowReader(table)
    reader.require(text_column)
    reader.require(label_column, "label")
    proposals = read_proposals(findings)
    kinds = _checked(reader, proposals, str(findings), text_column)
    labels = {str(label): label for label in _cells(reader, label_column) if not is_missing(label)}
    columns = {name: kinds.get(name, {str}) for name in reader.columns}
    numbers = {"deleted": 0, "intents": 0, "texts": 0, "written": 0}

    def changed() -> Iterator[dict[str, Any]]:
        for number, values in reader:
            proposal = proposals.get(str(number))
            if proposal is not None and proposal.delete:
                numbers["deleted"] += 1
                continue
            if proposal is not None and proposal.intent is not None:
                several = separator is not None and isinstance(values[label_column], (list, tuple))
                new = list(label_set(proposal.intent, separator)) if several and separator else proposal.intent
                values = values | {label_column: new if several else labels.get(proposal.intent, proposal.intent)}
                numbers["intents"] += 1
            if proposal is not None and proposal.new_text is not None:
                values = values | {text_column: proposal.new_text}
                numbers["texts"] += 1
            numbers["written"] += 1
            yield values

    _write(place, changed(), columns)
    return Applied(**numbers)


def check_new_table(output: str | PathLike) -> Path:
    """The file for the new table.

    Raises:
        SettingsError: it is there already, its folder is not, or its format is not known.
    """
    path = Path(output)
    if path.suffix.lower() not in OUTPUT_FORMATS:
        raise SettingsError(f"can't tell how to write {path}: expected one of {', '.join(OUTPUT_FORMATS)}")
    if path.exists():
        raise SettingsError(f"won't write to {path}: it is there already; name a new file")
    if not path.parent.is_dir():
        raise SettingsError(f"can't write {path}: there is no folder {path.parent}")
    return path


# --- reading findings --------------------------------------------------------------------------------------------


def read_proposals(findings: str | PathLike) -> dict[str, Proposal]:
    """The accepted proposals by row, as text.

    Raises:
        DataError: no findings.csv, a suggestion that is none of the three, or two for a row that contradict each other.
    """
    reader = RowReader(findings)
    missing = [name for name in _NEEDED if name not in reader.columns]
    if missing:
        raise DataError(f"{findings} lacks the column {missing[0]!r}: expected what doctor --output-dir has written")
    proposals: dict[str, Proposal] = {}
    for line, values in reader:
        row, suggestion = whole_number(str(values["row"] or "").strip()), str(values["suggestion"] or "").strip()
        declined = ACCEPT in values and str(values[ACCEPT] or "").strip().lower() in _NO
        if declined or not suggestion or suggestion.startswith("("):
            continue
        place = f"{findings}, line {line}"
        if not row or ":" in row:
            raise DataError(f"{place}: {shown(suggestion)} names no row of the table: empty the cell, or bracket it")
        text = str(values["text"] or "")
        _add(proposals.setdefault(row, Proposal(line, text)), suggestion, place)
    return proposals


def _add(proposal: Proposal, suggestion: str, place: str) -> None:
    if suggestion.lower() == DELETE:
        proposal.delete = True
        return
    for sign, name in ((INTENT_IS, "intent"), (TEXT_IS, "new_text")):
        if suggestion.lower().startswith(sign.strip()):
            value, before = suggestion[len(sign.strip()) :].strip(), getattr(proposal, name)
            if not value:
                raise DataError(f"{place}: nothing stands behind {sign.strip()!r}: write it, or empty the cell")
            if before not in (None, value):
                raise DataError(
                    f"{place}: {shown(value)} contradicts {shown(before)} of line {proposal.line}, on one row: keep one"
                )
            setattr(proposal, name, value)
            return
    raise DataError(
        f"{place}: expected 'delete', 'intent: NAME', 'text: NEW TEXT', an empty cell or advice in brackets, found "
        f"{shown(suggestion)}"
    )


def _checked(reader: RowReader, proposals: dict[str, Proposal], findings: str, column: str) -> dict[str, set[type]]:
    """The kinds of values in each column, once every proposal is known to be about a row that says what it said.

    Raises:
        DataError: there is no such row, or it says something else.
    """
    kinds: dict[str, set[type]] = {}
    left = dict(proposals)
    for number, values in reader:
        for name, value in values.items():
            kinds.setdefault(name, set()).add(type(value))
        proposal = left.pop(str(number), None)
        text = "" if proposal is None or is_missing(values[column]) else str(values[column])
        seen = masked(text)
        if proposal is not None and evened(seen) != evened(proposal.text) and guarded(seen) != proposal.text:
            raise DataError(
                f"{findings}, line {proposal.line} is about {shown(proposal.text)}, but row {number} of {reader.path} "
                f"is {shown(text)}: these findings are of another table, or it has changed; run doctor again"
            )
    if left:
        row, proposal = next(iter(left.items()))
        raise DataError(f"{findings}, line {proposal.line}: {reader.path} has no row {row}; run doctor again")
    return kinds


def _cells(reader: RowReader, column: str) -> Iterator[Any]:
    return (values[column] for _, values in reader if not isinstance(values[column], (list, dict)))


def _write(place: Path, rows: Iterator[dict[str, Any]], columns: dict[str, Any]) -> None:
    written = prediction_format(place.suffix.lower(), columns)
    with atomic_file(place) as partial:
        appended = partial.with_name(f"{partial.name}.rows")
        try:
            with appended.open("wb") as stream:
                stream.write(written.head())
                batch: list[dict[str, Any]] = []
                for row in rows:
                    batch.append(row)
                    if len(batch) == _AT_ONCE:
                        stream.write(written.encode(batch))
                        batch = []
                if batch:
                    stream.write(written.encode(batch))
            written.join(appended, partial)
        finally:
            appended.unlink(missing_ok=True)
