"""Files of any length: read as written, answered in order, kept through a kill, one sentence for a broken row."""

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from intent_bert.cli import command_line as cli
from intent_bert.errors import DataError, IntentBertError, SettingsError
from intent_bert.inference import answer_file as scoring
from intent_bert.inference.answer_file import Rows, as_json, score_file
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


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_sentences_in_order(tmp_path, suffix):
    table, path = pd.DataFrame({"id": range(5), "question": TEXTS}), tmp_path / f"t.{suffix}"
    write = {
        "csv": lambda: table.to_csv(path, index=False, encoding="utf-8-sig"),
        "tsv": lambda: table.to_csv(path, index=False, sep="\t"),
        "jsonl": lambda: table.to_json(path, orient="records", lines=True),
        "parquet": lambda: table.to_parquet(path),
    }
    write[suffix]()
    rows = Rows(path, "question")
    assert list(rows) == TEXTS
    assert rows.position == rows.size > 0


BROKEN = {
    "t.csv": (
        b'text\na\n""\nb\n',
        "row 3, column 'text': the text is empty; fill it in, or go on with --on-error skip",
    ),
    "u.csv": (b"text,x\na,1\nb,2,3\nc,1\n", "row 3 has 3 fields, the header has 2; quote fields that hold a separator"),
    "v.csv": (b"text,x\na,1\nb\nc,1\n", "row 3 has 1 fields, the header has 2; quote fields"),
    "w.csv": (b"text,x\na,1\n\xff,2\nc,1\n", "line 3: byte 0xFF is not UTF-8"),
    "t.jsonl": (
        b'{"text": "a"}\n{"text": 3}\n{"text": "b"}\n',
        "row 2, column 'text': expected text, found 3; mend it",
    ),
    "u.jsonl": (b'{"text": "a"}\n{"text"\n{"text": "b"}\n', "line 2: not valid JSON ("),
    "v.jsonl": (b'{"text": "a"}\n[1]\n{"text": "b"}\n', "line 2: expected an object with 'text'"),
    "w.jsonl": (b'{"text": "a"}\n{"x": "b"}\n{"text": "b"}\n', "line 2: expected an object with 'text'"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_row_is_named_or_left_out(tmp_path, name):
    content, expected = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(Rows(tmp_path / name))
    assert f"{tmp_path / name}, {expected}" in str(caught.value)
    skipping = Rows(tmp_path / name, on_error="skip")
    assert list(skipping) in (["a", "b"], ["a", "c"])
    assert len(skipping.skipped) == 1 and skipping.skipped[0] in (2, 3)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", b"", "is empty: expected a header and rows"),
        ("t.csv", b"question\na\n", "has no column 'text'; it has: question (name one with --text-column)"),
        ("t.txt", b"a", "can't tell how to read"),
        ("t.parquet", b"nothing", "is not a readable Parquet file: "),
    ],
)
def test_a_file_that_is_no_table(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(Rows(tmp_path / name))
    assert expected in str(caught.value)
    with pytest.raises(DataError, match="no such file"):
        Rows(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="is a folder"):
        Rows(tmp_path)


def test_a_quote_that_is_never_closed_ends_at_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "_LONGEST_FIELD", 100)
    (tmp_path / "t.csv").write_text('text\na\n"b\n' + "c\n" * 1000)
    with pytest.raises(DataError, match=r"t\.csv, row 3: field larger than field limit"):
        list(Rows(tmp_path / "t.csv"))


# --- writing -----------------------------------------------------------------------------------------------------


def test_answers_come_in_order_in_every_format(tmp_path):
    texts = [f"text {number}" for number in range(10)] + TEXTS
    source = csv_of(tmp_path / "in.csv", texts)
    assert score_file(Parrot(), Rows(source), tmp_path / "out.jsonl", progress=False) == 15
    assert answers_in(tmp_path / "out.jsonl") == texts
    for suffix, separator in ((".csv", ","), (".tsv", "\t")):
        score_file(Parrot(), Rows(source), tmp_path / f"out{suffix}", progress=False)
        with (tmp_path / f"out{suffix}").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter=separator))
        assert rows == [{"text": text, "intent": text, "confidence": "0.500000"} for text in texts]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv", "out.jsonl", "out.tsv"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_killed_run_goes_on_without_losing_or_repeating_a_line(tmp_path, suffix):
    texts = [f"text {number}" for number in range(30)]
    source, output = csv_of(tmp_path / "in.csv", texts), tmp_path / f"out.{suffix}"
    score_file(Parrot(), Rows(source), tmp_path / f"whole.{suffix}", progress=False)
    parrot = Parrot()
    parrot.dies_after = 14
    with pytest.raises(KeyboardInterrupt):
        score_file(parrot, Rows(source), output, progress=False)
    assert not output.exists()
    partial = tmp_path / f"out.{suffix}.partial"
    partial.write_bytes(partial.read_bytes() + b"half a li")  # as a kill in the middle of a write leaves it
    with pytest.raises(SettingsError, match=r"is left of a run that was stopped: go on with --resume, or delete it"):
        score_file(Parrot(), Rows(source), output, progress=False)
    again = Parrot()
    assert score_file(again, Rows(source), output, resume=True, progress=False) == 30
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
        score_file(Parrot(), Rows(source), output, progress=False)
    source.write_text("\n".join(lines) + "\n")
    again = Parrot()
    assert score_file(again, Rows(source), output, resume=True, progress=False) == 11
    assert again.asked == [f"text {number}" for number in range(6, 11)]
    assert answers_in(output) == [f"text {number}" for number in range(11)]


def test_other_rows_or_settings_are_not_gone_on_with(tmp_path):
    source, output = csv_of(tmp_path / "in.csv", [f"text {number}" for number in range(9)]), tmp_path / "out.jsonl"
    parrot = Parrot()
    parrot.dies_after = 5
    with pytest.raises(KeyboardInterrupt):
        score_file(parrot, Rows(source), output, progress=False)
    with pytest.raises(SettingsError, match="had top_k=1, not 2: go on with the same"):
        score_file(Parrot(), Rows(source), output, top_k=2, resume=True, progress=False)
    other = csv_of(tmp_path / "other.csv", [f"other {number}" for number in range(9)])
    with pytest.raises(SettingsError, match=r"the first 4 rows of .*other\.csv are not those that .* answers"):
        score_file(Parrot(), Rows(other), output, resume=True, progress=False)
    (tmp_path / "out.jsonl.partial").write_bytes(b"")
    with pytest.raises(SettingsError, match="is shorter than it was"):
        score_file(Parrot(), Rows(source), output, resume=True, progress=False)
    (tmp_path / "out.jsonl.progress").write_text("{")
    with pytest.raises(SettingsError, match="is damaged: delete it and"):
        score_file(Parrot(), Rows(source), output, resume=True, progress=False)


def test_outputs_that_cannot_be(tmp_path, monkeypatch):
    source = csv_of(tmp_path / "in.csv", ["a"])
    with pytest.raises(
        SettingsError, match=r"can't tell how to write .*out\.xlsx: expected one of \.csv, \.tsv, \.jsonl"
    ):
        score_file(Parrot(), Rows(source), tmp_path / "out.xlsx")
    with pytest.raises(SettingsError, match=r"in\.csv is there already: name another file, or delete it"):
        score_file(Parrot(), Rows(source), source)
    with pytest.raises(SettingsError, match=r"can.t write to .*nowhere: No such file or directory"):
        score_file(Parrot(), Rows(source), tmp_path / "nowhere" / "out.csv")
    (tmp_path / "no.csv").write_text("text\n")
    with pytest.raises(DataError, match="holds no sentence: expected at least one row"):
        score_file(Parrot(), Rows(tmp_path / "no.csv"), tmp_path / "out.csv", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "no.csv"]

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scoring.os, "fsync", full)
    with pytest.raises(IntentBertError, match="No space left on device; what was answered before is kept for --resume"):
        score_file(Parrot(), Rows(source), tmp_path / "out.csv", progress=False)


def test_the_command_answers_as_the_predictor_does(trained, tmp_path, capsys):
    texts = ["play music", "will it rain", "book a table"] * 3
    source = csv_of(tmp_path / "in.csv", texts, "question")
    command = ["predict", str(trained.folder), "--input", str(source), "--text-column", "question"]
    assert cli.main([*command, "--output", str(tmp_path / "out.jsonl"), "--top-k", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and "9 predictions in " in captured.err
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
    assert score_file(Deaf(), Rows(source), tmp_path / "out.jsonl", progress=False) == 100_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6 < source.stat().st_size
