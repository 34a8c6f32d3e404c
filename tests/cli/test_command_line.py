"""The parser: the help of every command, the version, and what a word that is no command gets."""

import re
from dataclasses import fields

import pytest
from commands import check_mistake, run

import intent_bert
from intent_bert.cli import command_line as cli
from intent_bert.config import TrainingConfig

# --- help --------------------------------------------------------------------------------------------------------

COMMANDS = [
    "train", "compare", "evaluate", "predict", "split", "export", "download", "checkpoints", "datasets", "convert",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_every_option_with_its_default(capsys, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = run(capsys, command, "--help")
    assert (code, err) == (0, "")
    (parser,) = [a.choices[command] for a in cli.build_parser()._actions if getattr(a, "choices", None)]
    for action in parser._actions:
        shown = [line for line in out.splitlines() if (action.option_strings or [action.metavar])[0] in line]
        assert shown, action
    if command == "train":
        for each in fields(TrainingConfig):
            assert each.metadata["help"].split(" (")[0] in out
            if isinstance(each.default, bool):
                expected = f"(default: {'on' if each.default else 'off'})"
            else:
                expected = "" if each.default is None else f"(default: {each.default})"
            option = re.compile(rf" *--{each.name.replace('_', '-')}[ ,]")
            (line,) = [line for line in out.splitlines() if option.match(line)]
            position = out.index(line)
            assert expected in out[position : position + 600], each.name
        assert "--recipe {default,tutorial,accurate,few-shot}" in out
        assert "1e-4 for all-MiniLM-L6-v2, 5e-5 for BERT-base" in out
    else:
        for action in parser._actions:
            if action.default not in (None, False, "==SUPPRESS=="):
                assert f"(default: {action.default})" in out, action


def test_the_main_help_and_the_version(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(f"    {command}" in out for command in COMMANDS)
    assert run(capsys, "--version") == (0, f"intent-bert {intent_bert.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "argument COMMAND: invalid choice: 'trian'"),
        ([], "the following arguments are required: COMMAND (see intent-bert --help)"),
    ],
)
def test_a_mistake_gets_one_sentence_and_writes_nothing(capsys, place, trained, arguments, expected):
    check_mistake(capsys, place, trained, arguments, expected)
