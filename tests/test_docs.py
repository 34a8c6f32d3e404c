"""The README and the pages of docs/: their commands and Python blocks run as they stand, on tiny data.

The checkpoint stands in the cache under the name of the default one, the tables under those of the shipped data sets
and of SNIPS. A block that can't run says why in a comment in front of it: ``<!-- not run: REASON -->``.
"""

import importlib.util
import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import TINY_CONFIG, tiny_vocab, tiny_weights

from intent_bert.bert.checkpoint import CHECKPOINT_PREFIX, write_stock_weights
from intent_bert.cli import main
from intent_bert.cli.command_line import parse
from intent_bert.data.splits import split_off
from intent_bert.data.tables import read_table
from intent_bert.export.calibrate import calibrate

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"(?:<!-- ([a-z ]+): ([^>]*) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
SAMPLE = "intent_bert/data/shipped/sample"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the comment in front of it."""

    language: str
    text: str
    mark: str | None
    reason: str | None

    @property
    def runs(self) -> bool:
        return self.language in ("bash", "python") and self.mark not in ("not run", "merge")


def blocks(page: Path) -> list[Block]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text, mark or None, reason or None) for mark, reason, language, text in found]


def commands(block: Block) -> list[list[str]]:
    """The lines of a block in words, without comments and redirections."""
    lines = [shlex.split(line, comments=True) for line in block.text.splitlines()]
    return [line[: line.index(">")] if ">" in line else line for line in lines if line]


def name_of(page: Path) -> str:
    return page.stem


# --- a small world -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with a tiny checkpoint under the default's name, of as many positions as that has."""
    folder = tmp_path_factory.mktemp("cache") / "all-MiniLM-L6-v2"
    folder.mkdir()
    config = {**TINY_CONFIG, "max_position_embeddings": 512, "num_hidden_layers": 2}
    (folder / "bert_config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(tiny_vocab()) + "\n")
    write_stock_weights(tiny_weights(config), folder / CHECKPOINT_PREFIX)
    return folder.parent


@pytest.fixture
def world(
    tmp_path: Path, cache: Path, small_table: pd.DataFrame, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working folder with small tables under the names that the pages use, and a model in runs/sample."""
    rest, test = split_off(small_table, 0.2, 0)
    for folder in (SAMPLE, "data/snips", "data/questions"):
        (tmp_path / folder).mkdir(parents=True)
        rest.to_csv(tmp_path / folder / "train.csv", index=False)
        test.to_csv(tmp_path / folder / "test.csv", index=False)
    renamed = rest.rename(columns={"text": "question", "intent": "topic"})
    renamed.to_csv(tmp_path / "questions.csv", index=False)
    renamed[["question"]].to_csv(tmp_path / "new.csv", index=False)
    rest[["text"]].to_csv(tmp_path / "sentences.csv", index=False)
    for name in ("sample", "live", "new"):
        shutil.copytree(trained.folder, tmp_path / "runs" / name)
    calibrate(tmp_path / "runs" / "sample", read_table(rest))  # it can reject
    rest.to_csv(tmp_path / "labelled.csv", index=False)
    rest[["text"]].assign(time="2026-03-31").to_csv(tmp_path / "last_month.csv", index=False)
    nobody_planned = [f"zx{'qk' * (number % 4)} {number % 3}{number % 4} vv" for number in range(40)]
    pd.DataFrame({"text": [*test["text"], *nobody_planned]}).to_csv(tmp_path / "log.csv", index=False)
    strange = pd.DataFrame({"text": ["zzz xyz", "qq ww ee"], "intent": "none"})
    strange[["text"]].to_csv(tmp_path / "strange.csv", index=False)
    for name, table in (("my", rest), ("mine", test)):
        pd.concat([table, strange]).to_csv(tmp_path / f"{name}.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTENT_BERT_CACHE", str(cache))
    monkeypatch.setenv("INTENT_BERT_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("intent_bert.data.datasets.SHIPPED", tmp_path / SAMPLE / "..")
    for name in ("LEAST_EPOCHS", "LEAST_STEPS", "LEAST_STEPS_PER_INTENT", "LEAST_HEAD_STEPS"):
        monkeypatch.setattr(f"intent_bert.config.{name}", 1)
    return tmp_path


# --- running -----------------------------------------------------------------------------------------------------

RAN: set[tuple[str, ...]] = set()  # commands of other pages, which are not run again


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(block.runs for block in blocks(page))], ids=name_of)
def test_a_page_runs(page: Path, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.runs and block.language == "python":
            exec(compile(block.text, page.name, "exec"), names)
        elif block.runs:
            for words in commands(block):
                run_line(words, world, capsys)


def run_line(words: list[str], world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of a bash block: ``intent-bert`` runs, of anything else what it names must be there."""
    program, *rest = words
    if program == "intent-bert":
        if rest[0] == "split":
            shutil.rmtree(rest[2], ignore_errors=True)
        if tuple(rest) not in RAN or rest[0] in ("split", "export"):
            RAN.add(tuple(rest))
            assert main(rest) == 0, capsys.readouterr().err
    elif program == "pip":
        assert rest[0] == "install"
        for extra in re.findall(r"\[(\w+)\]", " ".join(rest)):
            assert f'"{extra}": ' in (ROOT / "setup.py").read_text(encoding="utf-8")
    elif program == "tensorboard":
        assert (world / rest[rest.index("--logdir") + 1]).is_dir()
    else:
        assert (ROOT / program).stat().st_mode & 0o100, words


# --- what needs no run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_parses(page: Path) -> None:
    for block in blocks(page):
        for words in commands(block) if block.language == "bash" and block.mark != "merge" else []:
            if words[0] == "intent-bert":
                assert callable(parse(words[1:]).run)
            elif words[0] == "python":
                assert (ROOT / words[1]).is_file()


def test_blocks_that_do_not_run_say_why_and_are_few() -> None:
    not_run = [block for page in PAGES for block in blocks(page) if block.mark == "not run"]
    assert len(not_run) <= 8
    for block in not_run:
        assert len(str(block.reason).split()) >= 4
    languages = {block.language for page in PAGES for block in blocks(page)}
    assert languages <= {"bash", "python", "json", "yaml", "text", ""}


def test_the_readme_is_a_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).is_file(), target


def test_the_ladder_in_the_pages_is_the_package() -> None:
    from test_house import WINGS

    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("| wing |")[1].split("\n\n")[0]
    listed = [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split(" | ")[0])]
    assert listed == [wing for wing in WINGS if wing != "intent_bert"]
    drawing = (ROOT / "docs" / "images" / "ladder.svg").read_text(encoding="utf-8")
    drawn = [name for names in re.findall(r'font-weight="700"[^>]*>([^<]+)<', drawing) for name in names.split(", ")]
    assert drawn[::-1] == [*listed[2::-1], *listed[3:]]


# --- what the site is made with ----------------------------------------------------------------------------------


def helper(name: str) -> Any:
    """A module of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_options_and_settings_are_drawn_from_the_code() -> None:
    drawn = helper("hooks").on_page_markdown("<!-- options: train -->\n<!-- settings: CompareConfig -->\n")
    assert "**optimisation**: how the model learns\n\n- `--recipe default|tutorial|accurate|few-shot`: " in drawn
    assert "- `--decay`, `--no-decay`: let the learning rate fall" in drawn
    assert "- `--head dense|linear|cosine|rnn`: what stands on the encoder" in drawn
    assert "| `folds` | `0` | judge by cross-validation" in drawn
    assert "<!--" not in drawn


def test_docstrings_get_sections_that_their_parser_knows() -> None:
    prepared = pytest.importorskip("griffe") and helper("docstrings").prepared
    assert prepared("Adds.\n\n>>> 1 + 1\n2") == "Adds.\n\nExamples:\n    >>> 1 + 1\n    2"
    assert prepared("A.\n\nArgs:\n    x, y: a place\n        and more\n    z: other") == (
        "A.\n\nArgs:\n    x: a place\n        and more\n    y: a place\n        and more\n    z: other"
    )


def test_defaults_of_the_settings_are_shown_as_values() -> None:
    shown = pytest.importorskip("griffe") and helper("docstrings").shown
    assert (shown("Architecture.pooling"), shown("Architecture.adapter_size"), shown("TEXT")) == (
        "'cls'", "None", "'text'",
    )  # fmt: skip
    assert (shown("None"), shown("AUTO"), shown("'all'"), shown(None)) == ("None", "AUTO", "'all'", None)
