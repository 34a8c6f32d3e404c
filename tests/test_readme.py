"""The README's own commands and Python, run as they stand there but on a tiny checkpoint and a small table."""

import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest

from intent_bert.cli import command_line as cli
from intent_bert.data.splits import split_off

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def small_world(
    tmp_path: Path, tiny_checkpoint: Path, small_table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A working folder with a small data set, and what to write in place of the README's real names."""
    rest, test = split_off(small_table, 0.2, 0)
    for name, table in (("train", rest), ("test", test)):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        (tmp_path / "data" / "sample").mkdir(parents=True, exist_ok=True)
        table.to_csv(tmp_path / "data" / "sample" / f"{name}.csv", index=False)
    renamed = rest.rename(columns={"text": "question", "intent": "topic"})
    renamed.to_csv(tmp_path / "questions.csv", index=False)
    renamed[["question"]].to_csv(tmp_path / "new.csv", index=False)
    rest[["text"]].to_csv(tmp_path / "sentences.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("intent_bert.data.datasets.SHIPPED", tmp_path / "data")
    return {
        "intent_bert/data/shipped/sample": "data/sample",
        'fetch("all-MiniLM-L6-v2")': f"Path({str(tiny_checkpoint)!r})",
        'data="sample",': f'data="sample", checkpoint={str(tiny_checkpoint)!r}, max_seq_len=48,',
        "max_seq_len=128": "max_seq_len=48",
        "BertTransformer()": f"BertTransformer({str(tiny_checkpoint)!r}, max_length=48)",
        "IntentClassifier(epochs=3)": f"IntentClassifier({str(tiny_checkpoint)!r}, epochs=1, max_seq_len=48)",
    }


@pytest.mark.slow
def test_python(small_world: dict[str, str], small_table: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"Path": Path, "texts": list(small_table.text), "intents": list(small_table.intent)}
    assert len(blocks("python")) >= 3
    for block in blocks("python"):
        for old, new in small_world.items():
            block = block.replace(old, new)
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "accuracy" in printed and "macro F1" in printed


def commands() -> list[list[str]]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("intent-bert ")]


@pytest.mark.slow
def test_commands(small_world: dict[str, str], tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = []
    for command in commands():
        if any("snips" in word for word in command):
            continue  # downloads; its commands parse, see below
        words = [re.sub("^intent_bert/data/shipped", "data", word) for word in command[1:]]
        words = words[: words.index(">")] if ">" in words else words
        if words[0] in ("train", "compare"):
            words += ["--checkpoint", str(tiny_checkpoint), "--epochs", "1", "--max-seq-len", "48"]
        assert cli.main(words) == 0, capsys.readouterr().err
        ran.append(words[0])
    assert {"train", "compare", "split", "evaluate", "predict"} <= set(ran)


def test_every_command_parses() -> None:
    for command in commands():
        words = command[1 : command.index(">")] if ">" in command else command[1:]
        if not words[0].isupper():  # `intent-bert COMMAND --help`
            assert callable(cli.build_parser().parse_args(words).run)


def test_reading_order_is_the_package() -> None:
    section = README.split("## Reading the code")[1].split("\n## ")[0]
    listed = [name for line in section.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])]
    package = ROOT / "intent_bert"
    wings = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert sorted(listed) == sorted(wings - {"__init__"})


def test_scripts_named_are_there() -> None:
    for name in re.findall(r"\./scripts/(\w+)", README):
        assert (ROOT / "scripts" / name).stat().st_mode & 0o100
    assert sys.version_info >= (3, 11)
