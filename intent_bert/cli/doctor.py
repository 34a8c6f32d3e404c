"""``doctor`` says what is wrong with a table before a model is trained on it, and writes a better one if asked."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intent_bert.bert.known_checkpoints import DEFAULT_CHECKPOINT
from intent_bert.cli.arguments import add_columns, add_command, add_separator
from intent_bert.cli.console import FOUND, import_tensorflow_quietly
from intent_bert.config import LABEL_SEPARATOR
from intent_bert.errors import SettingsError

if TYPE_CHECKING:
    from intent_bert.workbench.doctor import Diagnosis
    from intent_bert.workbench.vectors import FrozenEncoder

logger = logging.getLogger("intent_bert")

_FILES = ("findings.csv", "report.html")
_SHOWN, _OF_A_KIND = 15, 3  # findings on the terminal


def add_commands(commands: Any) -> None:
    command = add_command(commands, "doctor", "what is wrong with a table, the worst first", run_doctor)
    command.add_argument(
        "table", metavar="TABLE", help="csv, tsv, jsonl or parquet; or a folder or data set with train, valid and test"
    )
    command.add_argument("--against", metavar="TABLE2", help="a table whose sentences should not stand in TABLE")
    add_columns(command)
    command.add_argument("--multi-label", action="store_true", help="a row may have several labels, or none")
    add_separator(command, f"with --multi-label, what joins the labels of a row (default: {LABEL_SEPARATOR})")
    command.add_argument("--output-dir", metavar="DIR", help="also write findings.csv and report.html here")
    command.add_argument(
        "--fail-on",
        choices=("error", "warning", "never"),
        default="never",
        help="exit with 3 where there is one this bad",
    )
    command.add_argument(
        "--checkpoint", default=DEFAULT_CHECKPOINT, metavar="NAME|DIR",
        help="whose vocabulary and vectors are used; a model folder works as well",
    )  # fmt: skip
    command.add_argument("--max-seq-len", type=int, metavar="N", help="longer texts are cut (default: as in training)")
    command.add_argument("--quick", action="store_true", help="leave out label-error, outlier and overlap")
    command.add_argument("--memory", metavar="DIR", help="a folder that keeps the vectors for the next time")
    command.add_argument("--apply", metavar="FINDINGS", help="a findings.csv whose proposals go into a new table")
    command.add_argument("--output", metavar="NEW_TABLE", help="with --apply, the new table")


def run_doctor(options: argparse.Namespace) -> int | None:
    if bool(options.apply) != bool(options.output):
        raise SettingsError("--apply FINDINGS and --output NEW_TABLE go together: give both, or none")
    if options.label_separator is not None and not options.multi_label:
        raise SettingsError("--label-separator joins several labels of a row: give --multi-label as well")
    if options.apply:
        _apply(options)
        return None
    from intent_bert.workbench.doctor import examine
    from intent_bert.workbench.sheets import sheets_of
    from intent_bert.workbench.vectors import FrozenEncoder

    place = _place(options)
    separator = _separator(options)
    sheets = sheets_of(options.table, options.against, options.text_column, options.label_column, separator)
    encoder = FrozenEncoder(options.checkpoint, options.max_seq_len)
    _import_what_draws(encoder, options)
    diagnosis = examine(sheets, encoder, quick=options.quick, memory=options.memory)
    if place is not None:
        _write(place, diagnosis)
    _print(diagnosis)
    bad = {"error": ("error",), "warning": ("error", "warning"), "never": ()}[options.fail_on]
    return FOUND if any(each.severity in bad for each in diagnosis.findings) else None


def _separator(options: argparse.Namespace) -> str | None:
    return (options.label_separator or LABEL_SEPARATOR) if options.multi_label else None


def _import_what_draws(encoder: "FrozenEncoder", options: argparse.Namespace) -> None:
    if not options.quick and not options.multi_label and not encoder.is_drawn:
        import_tensorflow_quietly()


def _place(options: argparse.Namespace) -> Path | None:
    """The folder for findings.csv and report.html, once it is known that they replace no table."""
    from intent_bert.workbench.outputs import checked_folder

    if options.output_dir is None:
        return None
    checked_folder(options.output_dir, _FILES, options.against)
    return checked_folder(options.output_dir, _FILES, options.table)


def _write(folder: Path, diagnosis: "Diagnosis") -> None:
    from intent_bert.files.atomic import disk_errors
    from intent_bert.workbench.doctor_page import doctor_page
    from intent_bert.workbench.findings import write_findings

    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_findings(folder / "findings.csv", diagnosis.findings)
    doctor_page(diagnosis).write(folder / "report.html")


def _print(diagnosis: "Diagnosis") -> None:
    from intent_bert.workbench.doctor import summary
    from intent_bert.workbench.findings import KINDS, SEVERITIES, counts, one_line

    sheet, findings = diagnosis.sheets[0], diagnosis.findings
    print(f"{sheet.source}: {', '.join(f'{number} {name}' for name, number in summary(diagnosis))}")
    for kind, numbers in counts(findings).items():
        told = ", ".join(f"{number:,} {severity}" for severity, number in numbers.items() if number)
        print(f"  {kind:<15} {told:<28} {KINDS[kind]}")
    if not findings:
        print("  nothing was found")
    seen: dict[str, int] = {}
    shown = []
    for each in findings:
        seen[each.kind] = seen.get(each.kind, 0) + 1
        if seen[each.kind] <= _OF_A_KIND and each.severity != SEVERITIES[-1]:
            shown.append(each)
    for each in shown[:_SHOWN]:
        row = "" if each.row is None else f" row {each.row}"
        said = f" {one_line(each.text)!r}" if each.text else ""
        intent = f" [{one_line(each.intent, 40)}]" if each.intent else ""
        print(f"\n{each.severity} {each.kind}{row}{intent}{said}")
        print(f"  {one_line(each.why, 220)}")
        if each.suggestion:
            print(f"  -> {one_line(each.suggestion, 160)}")
    for sentence in diagnosis.left_out:
        logger.info("%s", sentence)


def _apply(options: argparse.Namespace) -> None:
    from intent_bert.workbench.applying import apply_findings

    table = Path(options.table)
    if table.is_dir():
        from intent_bert.data.datasets import split_files

        table = split_files(table)["train"]
    for name in ("against", "output_dir"):
        if getattr(options, name) is not None:
            raise SettingsError(f"--{name.replace('_', '-')} is not for --apply: leave it out")
    separator = _separator(options)
    columns = (options.text_column, options.label_column, separator)
    done = apply_findings(table, options.apply, options.output, *columns)
    print(
        f"{options.output}: {done.written:,} rows; {done.deleted:,} deleted, {done.intents:,} with another intent, "
        f"{done.texts:,} with another text"
    )
