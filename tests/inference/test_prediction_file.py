"""Files of any length: predicted in order, with their other columns, kept through a kill."""

import csv
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from kills import killed_at_each_step

from intent_bert.cli import command_line as cli
from intent_bert.data.rows import RowReader
from intent_bert.errors import DataError, DiskError, SettingsError
from intent_bert.files.lock import one_writer
from intent_bert.inference import prediction_file
from intent_bert.inference.prediction_file import as_json, predict_file
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import Answer, Decision, Prediction
from intent_bert.model.scope import Threshold

TEXTS = ["play music", 'a "quoted", text', "two\nlines", "bare\rreturn", "Grüße 🎵", "will it rain"]
SUFFIXES = ["csv", "tsv", "jsonl", "parquet"]
OF_JSON = ["intent", "confidence", "in_scope", "in_scope_score", "intent_ranking"]


class Parrot:
    """Predicts the text itself, and remembers what it was asked."""

    engine = "parrot"
    multi_label = False

    def __init__(self, dies_after: int = 10**9, fingerprint: str = "0a1b", classes: Sequence[Any] = ("a", "b")) -> None:
        self.asked: list[str] = []
        self.dies_after, self.fingerprint, self.classes = dies_after, fingerprint, classes

    def ranking(self, text: str, top_k: int) -> list[Answer]:
        return [Answer(text, 0.5 / number) for number in range(1, top_k + 1)]

    def check_threshold(self) -> None:
        self.decision.check_threshold("runs/m")

    def described(self, texts: list[str], top_k: int, reject: bool = False) -> list[Prediction]:
        self.asked += texts
        if len(self.asked) > self.dies_after:
            raise KeyboardInterrupt
        rankings = [self.ranking(text, top_k) for text in texts]
        return [Prediction([*each, Answer(None, 0.0)][0], each, each[:1], True, 1.25) for each in rankings]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_file, "CHUNK", 4)


def table_in(path: Path, texts: list[str], column: str = "text") -> Path:
    table = pd.DataFrame({"id": [f"{number:03d}" for number in range(len(texts))], column: texts})
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",", quoting=csv.QUOTE_ALL)
    return path


def run(source: Path, output: Path, predictor: Any = None, **settings: Any) -> int:
    return predict_file(predictor or Parrot(), RowReader(source), output, verbose=0, **settings)


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [row.values for row in RowReader(path)]


# --- what is written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", SUFFIXES)
@pytest.mark.parametrize("written", SUFFIXES)
def test_predictions_come_in_order_with_the_other_columns_in_every_format(tmp_path, read, written):
    texts = [f"text {number}" for number in range(5)] + TEXTS
    source, output = table_in(tmp_path / f"in.{read}", texts, "question"), tmp_path / f"out.{written}"
    assert run(source, output, text_column="question") == 11
    found = rows_in(output)
    assert [row["text"] for row in found] == [row["intent"] for row in found] == texts
    assert [row["id"] for row in found] == [f"{number:03d}" for number in range(11)]
    assert {float(row["confidence"]) for row in found} == {0.5}
    expected = ["id", "text", "intent", "confidence"]
    expected += ["in_scope", "in_scope_score", "intent_ranking"] * (written == "jsonl")
    assert list(found[0]) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, output.name])


def test_a_csv_is_read_by_others_as_it_was_meant(tmp_path):
    run(table_in(tmp_path / "in.csv", TEXTS), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["text"] for row in csv.DictReader(stream)] == TEXTS
    assert list(pd.read_csv(tmp_path / "out.csv", dtype=str)["text"]) == TEXTS
    assert (tmp_path / "out.csv").read_text().startswith("id,text,intent,confidence\n000,play music,play music,0.5000")


@pytest.mark.parametrize("written", SUFFIXES)
def test_top_k_names_more_intents_in_every_format(tmp_path, written):
    output = tmp_path / f"out.{written}"
    run(table_in(tmp_path / "in.csv", ["a", "b"]), output, top_k=3)
    row = rows_in(output)[0]
    if written == "jsonl":
        ranking = [{"name": "a", "confidence": 0.5}, {"name": "a", "confidence": 0.25}]
        scope = {"in_scope": True, "in_scope_score": 1.25}
        assert row == {"id": "000", "text": "a", "intent": "a", "confidence": 0.5, **scope, "intent_ranking": ranking}
    else:  # two, for there are no more classes
        assert list(row) == ["id", "text", "intent", "confidence", "intent_2", "confidence_2"]
        assert (row["intent_2"], float(row["confidence_2"])) == ("a", 0.25)


@pytest.mark.parametrize("written", SUFFIXES)
def test_a_text_without_an_intent_has_an_empty_one(tmp_path, written):
    class Deaf(Parrot):
        def ranking(self, text: str, top_k: int) -> list[Answer]:
            return []

    output = tmp_path / f"out.{written}"
    run(table_in(tmp_path / "in.csv", ["..."]), output, Deaf(), top_k=2)
    row = rows_in(output)[0]
    assert row["intent"] in (None, "") and float(row["confidence"]) == 0.0


@pytest.mark.parametrize("written", SUFFIXES)
def test_rejected_sentences_have_no_intent_and_the_scope_beside_it(tmp_path, written):
    class Knowing(Parrot):
        decision = Decision(scope=SimpleNamespace(threshold=Threshold(0.0, 0.95, None, 40, "validation")))

        def described(self, texts: list[str], top_k: int, reject: bool = False) -> list[Prediction]:
            assert reject
            known, unknown = Answer("a", 0.75), Answer(None, 0.5)
            return [Prediction(known, [known], [known], True, 1.0), Prediction(unknown, [known], [], False, -2.0)]

    output = tmp_path / f"out.{written}"
    run(table_in(tmp_path / "in.csv", ["x", "y"]), output, Knowing(), reject=True)
    accepted, rejected = rows_in(output)
    assert accepted["intent"] == "a" and rejected["intent"] in (None, "")
    assert (float(rejected["confidence"]), float(rejected["in_scope_score"])) == (0.5, -2.0)
    assert [str(row["in_scope"]).lower() for row in (accepted, rejected)] == ["true", "false"]


def test_a_model_without_a_threshold_can_reject_nothing(tmp_path):
    class Old(Parrot):
        decision = Decision()

    with pytest.raises(SettingsError, match=r"^the model in runs/m can't .*: intent-bert calibrate runs/m TABLE, with"):
        run(table_in(tmp_path / "in.csv", ["x"]), tmp_path / "out.csv", Old(), reject=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


def test_types_of_parquet_and_json_are_kept(tmp_path):
    day = datetime.date(2026, 11, 21)
    kept = {"id": [7, 8], "day": [day, None], "share": [0.5, float("nan")], "late": [None, "x"], "tags": [["a"], []]}
    pd.DataFrame({"text": ["a", "b"], **kept}).to_parquet(tmp_path / "in.parquet")
    run(tmp_path / "in.parquet", tmp_path / "out.parquet")
    rows = rows_in(tmp_path / "out.parquet")
    assert [rows[0][name] for name in kept] == [7, day, 0.5, None, ["a"]]
    run(tmp_path / "in.parquet", tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [found[0][name] for name in kept] == [7, "2026-11-21", 0.5, None, ["a"]]
    assert found[1]["share"] is None
    run(tmp_path / "in.parquet", tmp_path / "out.csv")
    assert list(rows_in(tmp_path / "out.csv")[0].values())[:5] == ["7", "2026-11-21", "0.5", "", '["a"]']

    run(tmp_path / "out.jsonl", tmp_path / "again.parquet", columns=["id", "day", "share", "late", "tags"])
    again = rows_in(tmp_path / "again.parquet")
    assert [again[0][name] for name in kept] == [7, "2026-11-21", 0.5, None, '["a"]']


def test_a_label_keeps_its_type_in_parquet(tmp_path):
    class Numbers(Parrot):
        def ranking(self, text: str, top_k: int) -> list[Answer]:
            return [Answer(3, 0.5)]

    source = table_in(tmp_path / "in.csv", ["a"])
    run(source, tmp_path / "out.parquet", Numbers(classes=[3, 4]))
    assert rows_in(tmp_path / "out.parquet")[0]["intent"] == 3
    run(source, tmp_path / "mixed.parquet", Numbers(classes=[3, "four"]))
    assert rows_in(tmp_path / "mixed.parquet")[0]["intent"] == "3"


def test_columns_can_be_chosen(tmp_path):
    (tmp_path / "in.csv").write_text("a,b,c,text\n1,2,3,play\n")
    run(tmp_path / "in.csv", tmp_path / "out.csv", columns=["c", "text", "a", "c"])
    assert list(rows_in(tmp_path / "out.csv")[0]) == ["c", "a", "text", "intent", "confidence"]
    run(tmp_path / "in.csv", tmp_path / "none.jsonl", columns=[])
    assert list(rows_in(tmp_path / "none.jsonl")[0]) == ["text", *OF_JSON]
    with pytest.raises(DataError) as caught:
        run(tmp_path / "in.csv", tmp_path / "x.csv", columns=["a", "bb"])
    assert str(caught.value) == (
        f"{tmp_path}/in.csv has no column 'bb' to keep: did you mean b? (besides the texts it has a, b, c)"
    )


def test_columns_of_json_lines_are_found_wherever_they_first_stand(tmp_path):
    lines = [{"text": f"text {number}"} for number in range(9)] + [{"text": "last", "late": 1}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(tmp_path / "in.jsonl", tmp_path / "out.csv", columns=["late"])
    assert [row["late"] for row in rows_in(tmp_path / "out.csv")] == [""] * 9 + ["1"]


def test_a_column_called_as_the_prediction_is_left_out_or_refused(tmp_path, caplog):
    (tmp_path / "in.csv").write_text("id,text,intent,confidence_2\n1,play,music,.5\n")
    run(tmp_path / "in.csv", tmp_path / "out.csv", top_k=2)
    row = {"id": "1", "text": "play", "intent": "play", "confidence": "0.500000"}
    assert rows_in(tmp_path / "out.csv") == [row | {"intent_2": "play", "confidence_2": "0.250000"}]
    told = "{} is not kept, for the prediction has a column of that name: rename yours to keep it"
    assert caplog.messages == [told.format("intent, confidence_2 of in.csv")]
    (tmp_path / "in.jsonl").write_text('{"id": 1, "text": "play", "intent": "music", "in_scope": 1}\n')
    run(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert list(rows_in(tmp_path / "out.jsonl")[0]) == ["id", "text", *OF_JSON]
    assert caplog.messages[1:] == [told.format("intent, in_scope of in.jsonl")]
    with pytest.raises(SettingsError) as caught:
        run(tmp_path / "in.csv", tmp_path / "x.csv", columns=["intent"])
    assert str(caught.value) == (
        f"can't keep the column 'intent' of {tmp_path}/in.csv: the prediction has a column of that name; rename yours"
    )


def test_a_column_is_kept_where_the_output_has_none_of_that_name(tmp_path, caplog):
    """``in_scope`` is the prediction's in JSON lines and with ``reject``, ``confidence_2`` with ``top_k`` alone."""
    others = {"in_scope": "yes", "intents": "a", "confidence_2": "high", "intent_ranking": "c"}
    (tmp_path / "in.csv").write_text(f"text,{','.join(others)}\nplay,{','.join(others.values())}\n")
    run(tmp_path / "in.csv", tmp_path / "out.csv")
    own = {"text": "play", "intent": "play", "confidence": "0.500000"}
    assert rows_in(tmp_path / "out.csv") == [others | own]
    assert caplog.messages == []
    run(tmp_path / "in.csv", tmp_path / "chosen.csv", columns=["in_scope"])
    assert rows_in(tmp_path / "chosen.csv") == [{"in_scope": "yes"} | own]
    run(tmp_path / "in.csv", tmp_path / "out.jsonl")
    assert list(rows_in(tmp_path / "out.jsonl")[0]) == ["intents", "confidence_2", "text", *OF_JSON]
    run(tmp_path / "in.csv", tmp_path / "two.csv", top_k=2)
    assert list(rows_in(tmp_path / "two.csv")[0])[:3] == ["in_scope", "intents", "intent_ranking"]
    assert [message.split(" of ")[0] for message in caplog.messages] == ["in_scope, intent_ranking", "confidence_2"]


# --- a run that is stopped ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_killed_run_goes_on_without_losing_or_repeating_a_row(tmp_path, suffix):
    texts = [f"text {number}" for number in range(30)]
    source, output = table_in(tmp_path / "in.csv", texts), tmp_path / f"out.{suffix}"
    run(source, tmp_path / f"whole.{suffix}")
    with pytest.raises(KeyboardInterrupt):
        run(source, output, Parrot(dies_after=14))
    assert not output.exists()
    folder = tmp_path / f"out.{suffix}.unfinished"
    with (folder / "predictions").open("ab") as stream:
        stream.write(b"half a li")  # as a kill in the middle of a write leaves it
    with pytest.raises(SettingsError) as caught:
        run(source, output)
    assert str(caught.value) == (
        f"{folder} is left of a run that was stopped: go on with --resume, or delete that folder"
    )
    again = Parrot()
    assert run(source, output, again, resume=True) == 30
    assert again.asked == texts[12:]
    assert output.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert not folder.exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_kill_at_any_step_loses_nothing_and_strands_nothing(tmp_path, suffix):
    source, output = table_in(tmp_path / "in.csv", TEXTS), tmp_path / f"out.{suffix}"
    run(source, tmp_path / f"whole.{suffix}")
    expected = (tmp_path / f"whole.{suffix}").read_bytes()

    def resumed() -> None:
        try:
            run(source, output, resume=True)
        except SettingsError as error:  # the kill came after the end
            assert "is there already" in str(error)

    for step in killed_at_each_step(lambda: run(source, output), every=3):
        assert not output.exists() or output.read_bytes() == expected
        resumed()
        assert output.read_bytes() == expected
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", output.name, f"whole.{suffix}"], step
        output.unlink()


def test_a_broken_row_keeps_what_was_done_and_can_be_mended(tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps({"text": f"text {number}"}) for number in range(11)]
    source.write_text("\n".join([*lines[:6], "{broken", *lines[6:]]) + "\n")
    told = r"line 7: not valid JSON .*\(6 predictions are kept: mend the row and go on with --resume\)"
    with pytest.raises(DataError, match=told):
        run(source, output)
    source.write_text("\n".join(lines) + "\n")
    again = Parrot()
    assert run(source, output, again, resume=True) == 11
    assert again.asked == [f"text {number}" for number in range(6, 11)]
    assert [row["text"] for row in rows_in(output)] == [f"text {number}" for number in range(11)]


def test_a_first_row_that_is_broken_leaves_nothing(tmp_path):
    (tmp_path / "in.csv").write_text('text,id\n"",1\n')
    with pytest.raises(DataError, match="the text is empty"):
        run(tmp_path / "in.csv", tmp_path / "out.csv")
    (tmp_path / "none.csv").write_text("text\n")
    with pytest.raises(DataError, match="is empty: expected at least one row"):
        run(tmp_path / "none.csv", tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "none.csv"]


def test_other_rows_or_settings_are_not_gone_on_with(tmp_path):
    texts = [f"text {number}" for number in range(9)]
    source, output = table_in(tmp_path / "in.csv", texts), tmp_path / "out.jsonl"
    folder = tmp_path / "out.jsonl.unfinished"
    with pytest.raises(KeyboardInterrupt):
        run(source, output, Parrot(dies_after=5))
    keras = Parrot()
    keras.engine = "keras"
    for predictor, settings, told in (
        (Parrot(), {"top_k": 2}, "top_k=1, not 2"),
        (Parrot(), {"columns": []}, r"columns=['id'], not []"),
        (Parrot(fingerprint="2c3d"), {}, "another model"),
        (keras, {}, "engine=parrot, not keras"),
    ):
        with pytest.raises(SettingsError) as caught:
            run(source, output, predictor, resume=True, **settings)
        assert str(caught.value) == (
            f"the run that was stopped had {told}: go on with the same, or delete {folder} to start from the beginning"
        )
    other = table_in(tmp_path / "other.csv", [f"other {number}" for number in range(9)])
    with pytest.raises(SettingsError) as caught:
        run(other, output, resume=True)
    assert str(caught.value) == (
        f"the first 4 rows of {other} are not those of {folder}: delete that folder to start from the beginning"
    )
    (folder / "predictions").write_bytes(b"")
    with pytest.raises(DiskError, match=r"predictions is shorter than it was: delete .* to start from the beginning"):
        run(source, output, resume=True)
    for damaged in ("{", '{"settings": {}, "values": {"lines": 3}}'):
        (folder / "state.json").write_text(damaged)
        with pytest.raises((DiskError, SettingsError)):
            run(source, output, resume=True)


def test_a_second_run_into_the_same_file_is_refused(tmp_path):
    source = table_in(tmp_path / "in.csv", ["a"])
    with (
        one_writer(tmp_path / "out.csv"),
        pytest.raises(DiskError, match=f"^process {os.getpid()} on .* is writing to"),
    ):
        run(source, tmp_path / "out.csv")
    assert run(source, tmp_path / "out.csv") == 1


def test_outputs_that_cannot_be(tmp_path, monkeypatch):
    source = table_in(tmp_path / "in.csv", ["a"])
    for output, told in (
        ("out.xlsx", "can't tell how to write {}: expected one of .csv, .tsv, .jsonl, .parquet"),
        ("in.csv", "{} is there already: name another file, or delete it"),
        ("nowhere/out.csv", f"can't write {{}}: there is no folder {tmp_path}/nowhere"),
    ):
        with pytest.raises(SettingsError) as caught:
            run(source, tmp_path / output)
        assert str(caught.value) == told.format(tmp_path / output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError) as caught:
        run(source, tmp_path / "out.csv")
    assert str(caught.value) == (
        f"can't write {tmp_path}/out.csv: No space left on device; what was predicted before is kept for --resume"
    )


def test_an_output_that_came_meanwhile_is_not_overwritten(tmp_path):
    class Slow(Parrot):
        def described(self, texts: list[str], top_k: int, reject: bool = False) -> list[Prediction]:
            (tmp_path / "out.csv").write_text("another's")
            return super().described(texts, top_k)

    source = table_in(tmp_path / "in.csv", ["a", "b"])
    with pytest.raises(SettingsError, match=r"out\.csv has come meanwhile: move it away, and go on with --resume"):
        run(source, tmp_path / "out.csv", Slow())
    with pytest.raises(SettingsError, match=r"is there already"):
        run(source, tmp_path / "out.csv", resume=True)
    (tmp_path / "out.csv").unlink()
    again = Parrot()
    assert run(source, tmp_path / "out.csv", again, resume=True) == 2
    assert again.asked == []


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command_predicts_as_the_predictor_does(trained, tmp_path, capsys):
    texts = ["play music", "will it rain", "book a table"] * 3
    source = table_in(tmp_path / "in.csv", texts, "question")
    command = ["predict", str(trained.folder), "--input", str(source), "--text-column", "question"]
    assert cli.main([*command, "--output", str(tmp_path / "out.jsonl"), "--top-k", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and "9 predictions in " in captured.err
    expected = IntentPredictor.load(trained.folder).described(texts, top_k=2)
    lines = [as_json(text, each, {"id": "x"}) for text, each in zip(texts, expected, strict=True)]
    found = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    for ours, theirs in zip(map(json.loads, found), map(json.loads, lines), strict=True):
        assert list(ours) == list(theirs)
        assert ours["intent"] == theirs["intent"]
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=1e-5)
    with source.open("a") as stream:
        stream.write("9,\n")
    assert cli.main([*command, "--on-error", "skip"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 9
    assert f"left out 1 broken row of {source} (11)" in captured.err
    assert cli.main(["predict", str(trained.folder), "a", "--output", "x.csv"]) == 2


def test_the_fingerprint_tells_models_apart(trained, tmp_path):
    fingerprint = IntentPredictor.load(trained.folder).fingerprint
    assert fingerprint == IntentPredictor.load(trained.folder, engine="keras").fingerprint
    assert fingerprint == json.loads((trained.folder / "config.json").read_text())["sha256"]["config.json"]


LIGHT = """
import json, sys
from intent_bert.data.rows import RowReader
from intent_bert.inference.prediction_file import predict_file
from intent_bert.model.decision import Answer, Prediction

class Parrot:
    engine, fingerprint, classes, multi_label = "parrot", "", ("a", "b"), False
    def described(self, texts, *_): return [Prediction(Answer("a", 1.0), [], [], None, None) for _ in texts]

predict_file(Parrot(), RowReader(sys.argv[1]), sys.argv[2], verbose=0)
print(json.dumps([name for name in ("tensorflow", "keras", "pandas", "pyarrow", "sklearn") if name in sys.modules]))
"""


def test_a_text_file_needs_neither_keras_nor_pandas_nor_pyarrow(tmp_path):
    source = table_in(tmp_path / "in.csv", ["a"])
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, source, tmp_path / "out.jsonl"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    """Of twenty thousand rows no more than a chunk is held at a time."""
    import tracemalloc

    monkeypatch.setattr(prediction_file, "CHUNK", 500)
    source = tmp_path / "in.jsonl"
    with source.open("w") as stream:
        for number in range(20_000):
            stream.write(json.dumps({"text": f"sentence number {number}" + " and on" * 50}) + "\n")

    class Deaf(Parrot):
        def described(self, texts: list[str], top_k: int, reject: bool = False) -> list[Prediction]:
            return [Prediction(Answer(None, 0.0), [], [], None, None) for _ in texts]

    tracemalloc.start()
    assert run(source, tmp_path / "out.jsonl", Deaf()) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6 < 7e6 < source.stat().st_size
