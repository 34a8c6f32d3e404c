"""The command ``calibrate``: a saved model's temperature and threshold, found anew; the weights stay."""

import argparse
from typing import Any

from intent_bert.cli.arguments import add_columns, add_command, add_engine, add_unknown_label
from intent_bert.cli.console import import_tensorflow_quietly
from intent_bert.config import DEFAULT_KNOWN_ACCEPTANCE


def add_commands(commands: Any) -> None:
    command = add_command(
        commands,
        "calibrate",
        "set a model's temperature and the threshold of --reject, without training",
        run_calibrate,
    )
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder")
    command.add_argument("table", metavar="TABLE", help="labelled sentences that training has not seen")
    command.add_argument(
        "--known-acceptance",
        type=float,
        default=DEFAULT_KNOWN_ACCEPTANCE,
        metavar="SHARE",
        help="share of the sentences in scope to accept, where there are no unknown ones",
    )
    add_columns(command)
    add_unknown_label(command)
    add_engine(command)


def run_calibrate(options: argparse.Namespace) -> None:
    from intent_bert.data.tables import read_table
    from intent_bert.export.calibrate import calibrate, described
    from intent_bert.inference.engines import KERAS, choose_engine
    from intent_bert.model.folder import ModelFolder

    table = read_table(options.table, options.text_column, options.label_column)
    folder = ModelFolder(options.model_dir)
    if folder.decision.scope is None or choose_engine(folder, options.engine) == KERAS:
        import_tensorflow_quietly()
    report = calibrate(options.model_dir, table, options.known_acceptance, options.unknown_label, options.engine)
    print(f"before  {described(report.before)}")
    print(f"now     {described(report.after)}")
    unknown = f" and {report.unknown} unknown ones" if report.unknown else ""
    print(f"from {report.known} sentences in scope{unknown} of {options.table}")
