"""The embedded `sample` data set: reproducible, balanced, split without leaks, and none of it taken from SNIPS."""

import csv
import importlib.util
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "make_sample.py"
SAMPLE = ROOT / "intent_bert" / "data" / "shipped" / "sample"
SPLITS = ("train", "validation", "test")
INTENTS = {
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
}

# The lists that all splits share: numbers, and function words ("this", "my", "stars").
EXEMPT = {"number", "rating", "scale", "ordinal", "minute", "unit", "this", "my"}


def read(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["intent"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    if not SCRIPT.is_file():
        pytest.skip("the generator is not part of an installed package")
    spec = importlib.util.spec_from_file_location("make_sample", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> dict[str, list[tuple[str, str]]]:
    return {split: read(SAMPLE / f"{split}.csv") for split in SPLITS}


def test_files_are_what_the_generator_writes(generator: ModuleType) -> None:
    made = generator.generate()
    assert set(made) == set(SPLITS)
    for split in SPLITS:
        assert (SAMPLE / f"{split}.csv").read_bytes() == generator.as_csv(made[split]).encode("utf-8")


def test_check_option_in_a_process_of_its_own(generator: ModuleType) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_option_tells_a_changed_file(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(generator, "TARGET", tmp_path)
    monkeypatch.setattr(sys, "argv", ["make_sample.py"])
    assert generator.main() == 0
    with (tmp_path / "test.csv").open("a", encoding="utf-8") as file:
        file.write("one more,GetWeather\n")
    monkeypatch.setattr(sys, "argv", ["make_sample.py", "--check"])
    assert generator.main() == 1
    assert "test.csv" in capsys.readouterr().err


@pytest.mark.parametrize(("split", "size"), [("train", 400), ("validation", 60), ("test", 60)])
def test_sizes_and_balance(rows: dict[str, list[tuple[str, str]]], split: str, size: int) -> None:
    assert Counter(intent for _, intent in rows[split]) == dict.fromkeys(INTENTS, size)
    assert all(text == text.strip() and text and "\n" not in text for text, _ in rows[split])
    assert not any(sign in text for text, _ in rows[split] for sign in "{}[]|")


def test_files_are_plain_csv() -> None:
    for split in SPLITS:
        content = (SAMPLE / f"{split}.csv").read_bytes()
        assert content.startswith(b"text,intent\n") and content.endswith(b"\n") and b"\r" not in content


def test_rows_are_shuffled(rows: dict[str, list[tuple[str, str]]]) -> None:
    for split in SPLITS:
        assert len({intent for _, intent in rows[split][:60]}) == len(INTENTS)


def test_no_text_stands_twice(generator: ModuleType, rows: dict[str, list[tuple[str, str]]]) -> None:
    counts = Counter(generator.normalise(text) for split in SPLITS for text, _ in rows[split])
    assert [text for text, count in counts.items() if count > 1] == []


def test_exempt_lists_are_the_short_known_ones(generator: ModuleType) -> None:
    assert set(generator.load()["shared"]) == EXEMPT


def test_templates_of_the_splits_are_disjoint(generator: ModuleType) -> None:
    for intent, templates in generator.load()["templates"].items():
        parts = [{text.casefold() for text in generator.part(templates, split)} for split in SPLITS]
        assert sum(map(len, parts)) == len(templates) == len(set.union(*parts)), intent


def test_slot_values_of_the_splits_are_disjoint(generator: ModuleType) -> None:
    data = generator.load()
    values: dict[str, set[str]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for name, own in generator.slots_of(data, split).items():
            assert own, (split, name)
            if name not in EXEMPT:
                values[split] |= {value.casefold() for value in own}
    assert values["train"] & values["test"] == set()
    assert values["train"] & values["validation"] == set()
    assert values["validation"] & values["test"] == set()


def test_no_sentence_stands_in_snips(generator: ModuleType, rows: dict[str, list[tuple[str, str]]]) -> None:
    folder = os.environ.get("INTENT_BERT_DATA")
    if not folder or not (Path(folder) / "snips" / "train.csv").is_file():
        pytest.skip("INTENT_BERT_DATA names no folder that holds snips/train.csv")
    real = {generator.normalise(text) for path in (Path(folder) / "snips").glob("*.csv") for text, _ in read(path)}
    ours = {generator.normalise(text) for split in SPLITS for text, _ in rows[split]}
    assert sorted(ours & real) == []
