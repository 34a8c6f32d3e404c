"""Options made from the settings: their groups, choices and metavars, and what is left to the settings' defaults."""

import argparse
import re
from dataclasses import fields

import pytest

from intent_bert.cli import arguments, export
from intent_bert.config import CompareConfig, DataSettings, TrainingConfig


def parser_of(config: type[DataSettings]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    arguments.add_settings(parser, config)
    return parser


@pytest.mark.parametrize("config", [TrainingConfig, CompareConfig])
def test_every_setting_stands_once_in_its_group(config, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, *sections = re.split(r"\n(data|model|optimisation|output):\n", parser_of(config).format_help())
    shown = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(shown) == ["data", "model", "optimisation", "output"]
    for each in fields(config):
        option = re.compile(rf"^  --{each.name.replace('_', '-')}\b(?!-)", re.MULTILINE)
        assert [name for name, text in shown.items() if option.search(text)] == [each.metadata["group"]], each.name


def test_choices_and_metavars_say_what_to_write(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = parser_of(TrainingConfig).format_help()
    for shown in (
        "--data NAME|DIR", "--train-file FILE", "--text-column COLUMN", "--checkpoint NAME|DIR", "--epochs N",
        "--learning-rate X", "--head {dense,linear,cosine,rnn}", "--class-weight {balanced}",
            "--train-layers all|N|head",
        "--precision {auto,float32,bfloat16,mixed_float16}", "--decay, --no-decay", "--output-dir DIR",
    ):  # fmt: skip
        assert re.search(rf"^  {re.escape(shown)}\s", text, re.MULTILINE), shown
    text = parser_of(CompareConfig).format_help()
    for shown in ("--methods NAME,...", "--sizes N,...", "--word-vectors FILE"):
        assert re.search(rf"^  {re.escape(shown)}\s", text, re.MULTILINE), shown


def test_an_option_that_is_not_given_is_left_to_the_settings():
    options = parser_of(TrainingConfig).parse_args(["--epochs", "2", "--no-decay", "--head", "rnn"])
    assert vars(options) == {"epochs": 2, "decay": False, "head": "rnn"}
    options.run = print
    assert arguments.given(options, TrainingConfig) == {"epochs": 2, "decay": False, "head": "rnn"}
    assert arguments.given(options, CompareConfig) == {"epochs": 2}


def test_choices_are_those_of_the_modules_that_take_them():
    from intent_bert.inference.engines import AUTO, ENGINES
    from intent_bert.model.folder import FORMATS, QUANTIZED

    assert (AUTO, *ENGINES) == arguments.ENGINES
    assert tuple(FORMATS) == export.FORMATS
    assert [kind for _, kind in QUANTIZED] == ["int8"]
