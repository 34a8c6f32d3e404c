"""Files of any length: read as written, answered in order, kept through a kill, one sentence for a broken row."""

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from intent_bert.cli import command_line as cli
from intent_bert.data.rows import RowReader
from intent_bert.errors import DataError, IntentBertError, SettingsError
from intent_bert.inference import answer_file as scoring
from intent_bert.inference.answer_file import as_json, score_file
from intent_bert.inference.predictor import Answer, IntentPredictor

TEXTS = ["play music", 'a "quoted", text', "two\nlines", "Grüße 🎵", "will it rain"]


class Parrot:
    """Answers with the text itself, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.dies_after = 10**9

    def predict(self, texts: list[str], top_k: int) -> list[list[Answer]]:
        self.asked += texts
        if len(self.asked) > self.dies_after:
            raise KeyboardInterrupt
        return [[Answer(text, 0.5)] * top_k for text in texts]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 4)


def csv_of(path: Path, texts: list[str], column: str = "text") -> Path:
    pd.DataFrame({"id": range(len(texts)), column: texts}).to_csv(path, index=False)
    return path


def answers_in(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_answers_come_in_order_in_every_format(tmp_path):
    texts = [f"text {number}" for number in range(10)] + TEXTS
    source = csv_of(tmp_path / "in.csv", texts)
    assert score_file(Parrot(), RowReader(source), tmp_path / "out.jsonl", progress=False) == 15
    assert answers_in(tmp_path / "out.jsonl") == texts
    for suffix, separator in ((".csv", ","), (".tsv", "\t")):
        score_file(Parrot(), RowReader(source), tmp_path / f"out{suffix}", progress=False)
        with (tmp_path / f"out{suffix}").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter=separator))
        assert rows == [{"text": text, "intent": text, "confidence": "0.500000"} for text in texts]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv", "out.jsonl", "out.tsv"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_killed_run_goes_on_without_losing_or_repeating_a_line(tmp_path, suffix):
    texts = [f"text {number}" for number in range(30)]
    source, output = csv_of(tmp_path / "in.csv", texts), tmp_path / f"out.{suffix}"
    score_file(Parrot(), RowReader(source), tmp_path / f"whole.{suffix}", progress=False)
    parrot = Parrot()
    parrot.dies_after = 14
    with pytest.raises(KeyboardInterrupt):
        score_file(parrot, RowReader(source), output, progress=False)
    assert not output.exists()
    partial = tmp_path / f"out.{suffix}.partial"
    partial.write_bytes(partial.read_bytes() + b"half a li")  # as a kill in the middle of a write leaves it
    with pytest.raises(SettingsError, match=r"is left of a run that was stopped: go on with --resume, or delete it"):
        score_file(Parrot(), RowReader(source), output, progress=False)
    again = Parrot()
    assert score_file(again, RowReader(source), output, resume=True, progress=False) == 30
    assert again.asked == texts[12:]
    assert output.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert not partial.exists() and not (tmp_path / f"out.{suffix}.progress").exists()


def test_a_broken_row_keeps_what_was_done_and_can_be_mended(tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps({"text": f"text {number}"}) for number in range(11)]
    source.write_text("\n".join([*lines[:6], "{broken", *lines[6:]]) + "\n")
    with pytest.raises(
        DataError, match=r"line 7: not valid JSON .*\(6 answers are kept: mend the row and go on with --re"
    ):
        score_file(Parrot(), RowReader(source), output, progress=False)
    source.write_text("\n".join(lines) + "\n")
    again = Parrot()
    assert score_file(again, RowReader(source), output, resume=True, progress=False) == 11
    assert again.asked == [f"text {number}" for number in range(6, 11)]
    assert answers_in(output) == [f"text {number}" for number in range(11)]


def test_other_rows_or_settings_are_not_gone_on_with(tmp_path):
    source, output = csv_of(tmp_path / "in.csv", [f"text {number}" for number in range(9)]), tmp_path / "out.jsonl"
    parrot = Parrot()
    parrot.dies_after = 5
    with pytest.raises(KeyboardInterrupt):
        score_file(parrot, RowReader(source), output, progress=False)
    with pytest.raises(SettingsError, match="had top_k=1, not 2: go on with the same"):
        score_file(Parrot(), RowReader(source), output, top_k=2, resume=True, progress=False)
    other = csv_of(tmp_path / "other.csv", [f"other {number}" for number in range(9)])
    with pytest.raises(SettingsError, match=r"the first 4 rows of .*other\.csv are not those that .* answers"):
        score_file(Parrot(), RowReader(other), output, resume=True, progress=False)
    (tmp_path / "out.jsonl.partial").write_bytes(b"")
    with pytest.raises(SettingsError, match="is shorter than it was"):
        score_file(Parrot(), RowReader(source), output, resume=True, progress=False)
    (tmp_path / "out.jsonl.progress").write_text("{")
    with pytest.raises(SettingsError, match="is damaged: delete it and"):
        score_file(Parrot(), RowReader(source), output, resume=True, progress=False)


def test_outputs_that_cannot_be(tmp_path, monkeypatch):
    source = csv_of(tmp_path / "in.csv", ["a"])
    with pytest.raises(
        SettingsError, match=r"can't tell how to write .*out\.xlsx: expected one of \.csv, \.tsv, \.jsonl"
    ):
        score_file(Parrot(), RowReader(source), tmp_path / "out.xlsx")
    with pytest.raises(SettingsError, match=r"in\.csv is there already: name another file, or delete it"):
        score_file(Parrot(), RowReader(source), source)
    with pytest.raises(SettingsError, match=r"can.t write to .*nowhere: No such file or directory"):
        score_file(Parrot(), RowReader(source), tmp_path / "nowhere" / "out.csv")
    (tmp_path / "no.csv").write_text("text\n")
    with pytest.raises(DataError, match=r"no\.csv is empty: expected at least one row under the header$"):
        score_file(Parrot(), RowReader(tmp_path / "no.csv"), tmp_path / "out.csv", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "no.csv"]

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scoring.os, "fsync", full)
    with pytest.raises(IntentBertError, match="No space left on device; what was answered before is kept for --resume"):
        score_file(Parrot(), RowReader(source), tmp_path / "out.csv", progress=False)


def test_the_command_answers_as_the_predictor_does(trained, tmp_path, capsys):
    texts = ["play music", "will it rain", "book a table"] * 3
    source = csv_of(tmp_path / "in.csv", texts, "question")
    command = ["predict", str(trained.folder), "--input", str(source), "--text-column", "question"]
    assert cli.main([*command, "--output", str(tmp_path / "out.jsonl"), "--top-k", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and "9 answers in " in captured.err
    expected = IntentPredictor.load(trained.folder).predict(texts, top_k=2)
    lines = [as_json(text, ranking) for text, ranking in zip(texts, expected, strict=True)]
    found = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    for ours, theirs in zip(map(json.loads, found), map(json.loads, lines), strict=True):
        assert ours["intent"] == theirs["intent"]
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=1e-5)
    with source.open("a") as stream:
        stream.write("9,\n")
    assert cli.main([*command, "--on-error", "skip"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 9
    assert f"1 broken rows of {source} were left out (11)" in captured.err
    assert cli.main(["predict", str(trained.folder), "a", "--output", "x.csv"]) == 2


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    """Of a hundred thousand rows no more than a chunk is held at a time."""
    import tracemalloc

    monkeypatch.setattr(scoring, "CHUNK", 1000)
    source = tmp_path / "in.jsonl"
    with source.open("w") as stream:
        for number in range(100_000):
            stream.write(json.dumps({"text": f"sentence number {number}"}) + "\n")

    class Deaf:
        def predict(self, texts: list[str], top_k: int) -> list[list[Any]]:
            return [[] for _ in texts]

    tracemalloc.start()
    assert score_file(Deaf(), RowReader(source), tmp_path / "out.jsonl", progress=False) == 100_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6 < source.stat().st_size
