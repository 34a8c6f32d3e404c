"""The command line, ``intent-bert COMMAND``: the parser of all commands, and ``main``.

Results go to stdout, everything else to stderr. A command imports what it needs when it runs: ``--help`` imports
nothing heavy, and ``predict`` no TensorFlow where the folder has a model for ONNX Runtime.
"""

import argparse
from collections.abc import Sequence

from intent_bert.cli import (
    calibrate,
    check,
    data,
    diff,
    doctor,
    drift,
    export,
    report,
    scoring,
    serve,
    suggest,
    training,
)
from intent_bert.cli.arguments import Parser
from intent_bert.cli.console import run_as_command
from intent_bert.errors import SettingsError
from intent_bert.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    options = parse(arguments)
    return run_as_command(lambda: _run(options))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line; sentences may stand behind options, where argparse leaves them over."""
    parser = build_parser()
    options, left = parser.parse_known_args(arguments)
    if left and not (hasattr(options, "texts") and not any(each.startswith("-") for each in left)):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if left:
        options.texts = [*options.texts, *left]
    return options


def _run(options: argparse.Namespace) -> int | None:
    empty = next((name for name, value in vars(options).items() if value == "" and name != "columns"), None)
    if empty is not None:  # an unset variable of a script: it must not pass as an option that was not given
        raise SettingsError(f"{empty.replace('_', '-')} is empty: expected a value")
    code: int | None = options.run(options)
    return code


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; the parsed options carry ``run``, which takes them."""
    parser = Parser(prog="intent-bert", description="Fine-tune BERT into an intent recogniser, and ask it.")
    parser.add_argument("--version", action="version", version=f"intent-bert {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for family in (
        doctor, training, scoring, report, calibrate, diff, check, drift, suggest, export, serve, data,
    ):  # fmt: skip
        family.add_commands(commands)
    return parser
