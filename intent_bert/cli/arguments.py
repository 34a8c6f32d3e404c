"""Options that several commands share, and options made from the fields of a settings dataclass.

A field's help, group and default come from the dataclass. An option that is not given is not among the parsed ones, so
that the dataclass, or a recipe, decides.
"""

import argparse
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NoReturn, get_args

from intent_bert.config import CHOICES, INTENT, TEXT, DataSettings
from intent_bert.errors import SettingsError

ENGINES = (
    "auto",
    "onnx",
    "onnx-int8",
    "openvino",
    "keras",
)  # as inference/engines.py has them; importing it takes numpy
GROUPS = {
    "data": "what is learnt from, and how its tables are read",
    "model": "the encoder and what stands on it",
    "optimisation": "how the model learns",
    "output": "what is written, and where",
}
METAVARS = {
    "data": "NAME|DIR",
    "checkpoint": "NAME|DIR",
    "text_column": "COLUMN",
    "label_column": "COLUMN",
    "train_layers": "all|N|head",
    "word_vectors": "FILE",
    "methods": "NAME,...",
    "known_acceptance": "SHARE",
    "label_separator": "SIGN",
    "mix": "SHARE",
    "sizes": "N,...",
}


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence, without the usage, which is a page for ``train``."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class _Layout(argparse.ArgumentDefaultsHelpFormatter):
    """Shows each default, but for options that do nothing unless given."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def add_command(
    commands: Any, name: str, help: str, run: Callable[[argparse.Namespace], int | None]
) -> argparse.ArgumentParser:
    """A command under ``intent-bert``; ``run`` takes its parsed options and may give an exit code."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help, formatter_class=_Layout)
    command.set_defaults(run=run)
    return command


def add_columns(command: argparse.ArgumentParser, label: bool = True) -> None:
    command.add_argument("--text-column", default=TEXT, metavar="COLUMN", help="the column with the sentences")
    if label:
        command.add_argument("--label-column", default=INTENT, metavar="COLUMN", help="the column with the intents")


def add_unknown_label(command: argparse.ArgumentParser) -> None:
    command.add_argument("--unknown-label", metavar="NAME", help="rows with this label mean none of the intents")


def add_separator(command: argparse.ArgumentParser, help: str) -> None:
    command.add_argument("--label-separator", metavar="SIGN", help=help)


def add_engine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine", choices=ENGINES, default="auto", help="what computes; auto takes the first that the folder has"
    )


def add_signature(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--require-signature",
        metavar="PUBKEY",
        help="a public Ed25519 key (PEM): take only a sealed file that was signed with its private key",
    )


def add_settings(parser: argparse.ArgumentParser, config: type[DataSettings]) -> None:
    """An option for every field of a settings dataclass, in the groups that the fields name."""
    groups: dict[str, Any] = {}
    for name, what in GROUPS.items():
        if any(each.metadata["group"] == name for each in fields(config)):
            groups[name] = parser.add_argument_group(name, what)
    for each in fields(config):
        groups[each.metadata["group"]].add_argument(f"--{each.name.replace('_', '-')}", **_option(each))


def _option(field: Field[Any]) -> dict[str, Any]:
    kind = next(kind for kind in (bool, int, float, str) if kind is field.type or kind in get_args(field.type))
    shown = field.default if kind is not bool else "on" if field.default else "off"
    help = field.metadata["help"] + ("" if field.default is None else f" (default: {shown})")
    option: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": help}
    if kind is bool:
        return option | {"action": argparse.BooleanOptionalAction}
    if field.name == "train_layers":  # a word or a number: the settings check it
        return option | {"metavar": METAVARS[field.name]}
    if field.name in CHOICES:
        return option | {"choices": CHOICES[field.name]}
    return option | {"type": kind, "metavar": _metavar(field.name, kind)}


def _metavar(name: str, kind: type) -> str:
    for ending in ("file", "dir"):
        if name.endswith(f"_{ending}"):
            return ending.upper()
    return METAVARS.get(name, {int: "N", float: "X"}.get(kind, "NAME"))


def given(options: argparse.Namespace, config: type[DataSettings]) -> dict[str, Any]:
    """The settings of ``config`` that were given on the command line."""
    names = {each.name for each in fields(config)}
    return {name: value for name, value in vars(options).items() if name in names}


def new_folder(path: str) -> Path:
    """A folder that is to be written.

    Raises:
        SettingsError: it is there already.
    """
    folder = Path(path)
    if folder.exists():
        raise SettingsError(f"won't write to {folder}: it is there already; name a new folder")
    return folder


def new_file(path: str, *inputs: str, suffixes: tuple[str, ...] = ()) -> Path:
    """A file that is to be written, once it is known that it can be; leaves nothing behind.

    Raises:
        SettingsError: it is a folder or one of ``inputs``, its folder is not there, or it ends in none of ``suffixes``.
        DiskError: it can't be written.
    """
    from intent_bert.files.atomic import check_writable

    file = Path(path)
    if suffixes and file.suffix.lower() not in suffixes:
        raise SettingsError(f"can't tell how to write {path}: expected {' or '.join(suffixes)}")
    if file.is_dir():
        raise SettingsError(f"can't write {path}: it is a folder; name a file in it")
    if file.resolve() in [Path(each).resolve() for each in inputs]:
        raise SettingsError(f"won't write to {path}: it is what is read; name another file")
    if not file.absolute().parent.is_dir():
        raise SettingsError(f"can't write {path}: there is no folder {file.absolute().parent}")
    check_writable(file)
    return file
