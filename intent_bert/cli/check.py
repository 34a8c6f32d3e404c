"""The command ``check``: does a model behave as a file of cases asks? ``check --init`` writes a first such file."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from intent_bert.cli.arguments import add_command, add_engine, new_file
from intent_bert.cli.console import FOUND, print_in_utf8
from intent_bert.cli.predictors import load_predictor, prepared_engine
from intent_bert.errors import SettingsError

logger = logging.getLogger("intent_bert")

FIRST_FILE = "cases.yaml"


def add_commands(commands: Any) -> None:
    command = add_command(
        commands, "check", "does a model behave as a file of cases asks; exit 3 when it does not", run_check
    )
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder")
    command.add_argument("cases", metavar="CASES.yaml", nargs="?", help="how it must behave")
    command.add_argument("--json", action="store_true", help="every case and its outcome as JSON")
    command.add_argument("--junit", metavar="FILE", help="also write the outcomes here, as JUnit XML for CI servers")
    command.add_argument(
        "--init",
        action="store_true",
        help=f"write a first file of cases, CASES.yaml or {FIRST_FILE}, and check nothing",
    )
    command.add_argument(
        "--table", metavar="TABLE", help="with --init: labelled sentences (default: those of the model's own run)"
    )
    command.add_argument(
        "--text-column", metavar="COLUMN", help="with --table: the sentences (default: as in training)"
    )
    command.add_argument("--label-column", metavar="COLUMN", help="with --table: the intents (default: as in training)")
    add_engine(command)


def run_check(options: argparse.Namespace) -> int:
    if options.init:
        return _write_first_cases(options)
    for flag in ("table", "text_column", "label_column"):
        if getattr(options, flag) is not None:
            raise SettingsError(f"--{flag.replace('_', '-')} is for --init: give that too")
    if options.cases is None:
        raise SettingsError(
            "expected a file of cases behind the model folder; check --init MODEL_DIR writes a first one"
        )
    from intent_bert.workbench.behaviour import check_behaviour
    from intent_bert.workbench.cases import read_cases
    from intent_bert.workbench.junit import junit_xml

    cases = read_cases(options.cases)
    junit = None if options.junit is None else new_file(options.junit, options.cases)
    engine = prepared_engine(options.model_dir, options.engine)
    report = check_behaviour(options.model_dir, cases, engine=engine, verbose=1)
    if junit is not None:
        _write(junit, junit_xml(report))
    print_in_utf8(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) if options.json else report.report())
    return 0 if report.passed else FOUND


def _write_first_cases(options: argparse.Namespace) -> int:
    from intent_bert.model.folder import ModelFolder
    from intent_bert.workbench.first_cases import first_cases

    for flag in ("json", "junit"):
        if getattr(options, flag):
            raise SettingsError(f"--{flag} is for a check, and --init checks nothing: leave one of them out")
    if options.table is None and (options.text_column or options.label_column):
        raise SettingsError("--text-column and --label-column are for --table TABLE: give that too")
    place = new_file(options.cases or FIRST_FILE)
    if place.exists():
        raise SettingsError(f"won't replace {place}: it is there already; name another file")
    predictor = load_predictor(options.model_dir, options.engine)
    columns = options.text_column, options.label_column
    text = first_cases(predictor, ModelFolder(options.model_dir), options.table, *columns, verbose=1)
    _write(place, text.encode())
    logger.info("wrote %s: read it, and try it with intent-bert check %s %s", place, options.model_dir, place)
    return 0


def _write(place: Path, content: bytes) -> None:
    from intent_bert.files.atomic import atomic_file

    with atomic_file(place) as partial:
        partial.write_bytes(content)
