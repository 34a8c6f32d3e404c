"""The command ``diff``: what a new model mended and broke, on a table that it and the old one answer."""

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intent_bert.cli.arguments import (
    add_columns,
    add_command,
    add_engine,
    add_separator,
    add_unknown_label,
    new_file,
)
from intent_bert.cli.console import FOUND, print_in_utf8
from intent_bert.cli.predictors import prepared_engine
from intent_bert.config import LABEL_SEPARATOR

if TYPE_CHECKING:
    from intent_bert.workbench.differences import ModelDifference

logger = logging.getLogger("intent_bert")

_SIGNIFICANT = 0.05  # as evaluation/significance.py has it; importing it takes scipy


def add_commands(commands: Any) -> None:
    command = add_command(
        commands, "diff", "what a new model mended and broke; exit 3 when it is worse than the old one", run_diff
    )
    command.add_argument("old_dir", metavar="OLD_DIR", help="the model folder to compare with")
    command.add_argument("new_dir", metavar="NEW_DIR", help="the model folder that is to replace it")
    command.add_argument("table", metavar="TABLE", help="labelled sentences that neither has learnt from")
    command.add_argument(
        "--tolerance", type=float, default=0.0, metavar="X", help="accuracy that NEW may lose, as a share: 0.01"
    )
    command.add_argument(
        "--significance",
        type=float,
        default=_SIGNIFICANT,
        metavar="P",
        help="p-value below which a loss counts even within the tolerance; 0: never",
    )
    command.add_argument("--json", action="store_true", help="all figures and rows as JSON")
    command.add_argument("--output", metavar="FILE", help="also write the rows that changed here: csv or tsv")
    add_columns(command)
    add_separator(command, "what joins the labels of a row, for multi-label models (default: as in training)")
    add_unknown_label(command)
    add_engine(command)


def run_diff(options: argparse.Namespace) -> int:
    from intent_bert.workbench.diff import diff_models
    from intent_bert.workbench.diff_report import report_of

    output = None if options.output is None else new_file(options.output, options.table, suffixes=(".csv", ".tsv"))
    for model_dir in (options.old_dir, options.new_dir):
        prepared_engine(model_dir, options.engine)
    difference = diff_models(
        options.old_dir,
        options.new_dir,
        options.table,
        text_column=options.text_column,
        label_column=options.label_column,
        label_separator=options.label_separator,
        unknown_label=options.unknown_label,
        tolerance=options.tolerance,
        significance=options.significance,
        engine=options.engine,
        verbose=1,
    )
    if output is not None:
        _write_changes(difference, output, options.label_separator or LABEL_SEPARATOR)
    print_in_utf8(
        json.dumps(difference.to_dict(), indent=2, ensure_ascii=False) if options.json else report_of(difference)
    )
    return FOUND if difference.worse else 0


def _write_changes(difference: "ModelDifference", place: Path, separator: str) -> None:
    from intent_bert.data.label_sets import joined
    from intent_bert.files.atomic import atomic_file
    from intent_bert.files.tables_out import write_csv

    changes = difference.changes
    rows = (
        [joined(cell, separator) if isinstance(cell, tuple) else cell for cell in row]
        for row in changes.itertuples(index=False)
    )
    with atomic_file(place) as partial:
        write_csv(partial, changes.columns, rows, "\t" if place.suffix.lower() == ".tsv" else ",", guard_formulas=True)
    logger.info("%d rows that changed are in %s", len(changes), place)
