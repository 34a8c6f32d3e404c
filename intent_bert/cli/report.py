"""``report``: a model judged by a labelled table, as one HTML page."""

import argparse
import logging
from typing import Any

from intent_bert.cli.arguments import add_columns, add_command, add_engine, add_separator, add_unknown_label
from intent_bert.cli.explaining import add_train_file
from intent_bert.cli.predictors import prepared_engine

logger = logging.getLogger("intent_bert")


def add_commands(commands: Any) -> None:
    command = add_command(
        commands, "report", "what a model gets wrong on a table, and why, as one HTML page", run_report
    )
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder")
    command.add_argument("table", metavar="TABLE", help="a labelled table: csv, tsv, jsonl or parquet")
    command.add_argument("--output", required=True, metavar="FILE.html", help="the page; it opens offline")
    add_columns(command)
    add_separator(command, "what joins the labels of a row, for a multi-label model (default: as in training)")
    add_unknown_label(command)
    add_train_file(command)
    add_engine(command)


def run_report(options: argparse.Namespace) -> None:
    from intent_bert.workbench.page import check_page_place
    from intent_bert.workbench.report import report_model

    check_page_place(options.output)
    report = report_model(
        options.model_dir,
        options.table,
        options.output,
        text_column=options.text_column,
        label_column=options.label_column,
        label_separator=options.label_separator,
        unknown_label=options.unknown_label,
        train=options.train_file,
        engine=prepared_engine(options.model_dir, options.engine),
    )
    print(report.evaluation.summary())
    logger.info("the page is %s", options.output)
