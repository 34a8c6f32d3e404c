"""The command ``drift``: are these sentences unlike the usual ones? Exit code 3 where they are."""

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intent_bert.cli.arguments import add_columns, add_command, add_engine
from intent_bert.cli.console import FOUND
from intent_bert.cli.predictors import prepared_engine
from intent_bert.errors import SettingsError

if TYPE_CHECKING:
    from intent_bert.workbench.drift import Drift

logger = logging.getLogger("intent_bert")

PICTURE, TABLES = "drift.png", ("tests.csv", "changes.csv")


def add_commands(commands: Any) -> None:
    command = add_command(commands, "drift", "are these sentences unlike those that a model was made for?", run_drift)
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder")
    command.add_argument("table", metavar="TABLE", help="new sentences, without labels: csv, tsv, jsonl or parquet")
    add_columns(command, label=False)
    command.add_argument("--date-column", metavar="COLUMN", help="a column of dates: each week is compared as well")
    command.add_argument(
        "--false-alarms", type=float, default=0.01, metavar="SHARE", help="of tables that have not drifted, at most"
    )
    command.add_argument("--output-dir", metavar="DIR", help=f"also write {PICTURE}, {TABLES[0]} and {TABLES[1]} here")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout")
    command.add_argument(
        "--learn",
        action="store_true",
        help="compare nothing: keep a sketch of these sentences in the model folder as the usual ones from now on",
    )
    add_engine(command)


def run_drift(options: argparse.Namespace) -> int | None:
    from intent_bert.workbench.drift import detect_drift, learn_usual
    from intent_bert.workbench.outputs import checked_folder, write_files

    if options.learn and (options.output_dir or options.date_column or options.json):
        raise SettingsError("--learn compares nothing: leave --output-dir, --date-column and --json out")
    output = None
    if options.output_dir is not None:
        output = checked_folder(options.output_dir, (PICTURE, *TABLES), options.table)
    prepared_engine(options.model_dir, options.engine)
    shared = {"text_column": options.text_column, "engine": options.engine, "verbose": 1}
    if options.learn:
        rows = learn_usual(options.model_dir, options.table, **shared)
        print(f"{options.model_dir} keeps a sketch of {rows:,} sentences of {options.table}")
        return None
    drift = detect_drift(
        options.model_dir,
        options.table,
        date_column=options.date_column,
        false_alarms=options.false_alarms,
        **shared,
    )
    if output is not None:
        write_files(output, _files(drift, Path(options.table).name))
        logger.info("the picture and the tables are in %s", output)
    print(json.dumps(drift.to_dict(), ensure_ascii=False) if options.json else described(drift))
    return FOUND if drift.found else None


def _files(drift: "Drift", name: str) -> dict[str, bytes | str]:
    from intent_bert.evaluation.drawing import png_bytes
    from intent_bert.files.tables_out import csv_text
    from intent_bert.workbench.drift_plot import drift_plot

    files: dict[str, bytes | str] = {PICTURE: png_bytes(drift_plot(drift, f"{name} against what is usual"))}
    for table in TABLES:
        frame = getattr(drift, Path(table).stem)
        files[table] = csv_text([list(frame.columns), *frame.itertuples(index=False)])
    return files


def described(drift: "Drift") -> str:
    """What was found, in lines: all rows, then the weeks that have drifted or can't be told."""
    lines = [f"{'':<15}{'effect':>8}{'at least':>10}{'p':>9}"]
    periods = list(dict.fromkeys(drift.tests["period"]))
    for period in periods:
        rows = drift.tests[drift.tests["period"] == period]
        number = f"{rows['rows'].iloc[0]:,} sentences"
        told, drifted = rows["p_value"].notna().any(), rows["drifted"].any()
        verdict = "DRIFT" if drifted else "no drift" if told else "too few to tell"
        lines.append(f"{period if period != 'all' else 'all rows'}: {number}: {verdict}")
        if period != "all" and not drifted:
            continue
        for row in rows.to_dict("records"):
            if row["p_value"] != row["p_value"]:
                lines.append(f"  {row['what']:<13}{'-':>8}{'':>10}{'-':>9}  can't be told")
                continue
            p_value = f"{row['adjusted_p_value']:.3f}" if row["adjusted_p_value"] >= 0.001 else "<0.001"
            mark = "  drifted" if row["drifted"] else ""
            lines.append(f"  {row['what']:<13}{row['effect']:>8.3f}{row['least_effect']:>10.2f}{p_value:>9}{mark}")
        changes = drift.changes[drift.changes["period"] == period]
        for what, cells in changes.groupby("what", sort=False):
            moved = ", ".join(
                f"{row['cell']} {row['usual']:.1%} -> {row['new']:.1%}" for row in cells.to_dict("records")
            )
            lines.append(f"  {what}: {moved}")
    return "\n".join(lines)
