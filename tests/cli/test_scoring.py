"""The commands `evaluate` and `predict`."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from commands import check_mistake, run, run_apart, type_in

# --- evaluate ----------------------------------------------------------------------------------------------------


def test_evaluate_prints_json_and_writes_reports(capsys, trained, tmp_path):
    test = trained.folder.parent / "test.csv"
    code, out, err = run(capsys, "evaluate", trained.folder, test)
    assert (code, err) == (0, "")
    expected = json.loads((trained.folder / "metrics.json").read_text())["test"]
    found = json.loads(out)
    assert {name: found[name] for name in ("rows", "accuracy", "per_intent")} == {
        name: expected[name] for name in ("rows", "accuracy", "per_intent")
    }
    assert list(found) == list(expected)
    for name in ("loss", "ece", "brier", "log_loss", "ece_uncalibrated"):
        assert found[name] == pytest.approx(expected[name], abs=1e-5)
    code, out, err = run(capsys, "evaluate", trained.folder, test, "--engine", "keras")
    assert (code, err, json.loads(out)) == (0, "", expected)

    table = pd.read_csv(test)
    table.loc[len(table)] = ["jump", "sport"]
    table.to_json(tmp_path / "more.jsonl", orient="records", lines=True)
    code, out, err = run(
        capsys, "evaluate", trained.folder, tmp_path / "more.jsonl", "--output-dir", tmp_path / "new/r"
    )
    assert code == 0
    assert json.loads(out)["unknown_labels"] == {"sport": 1}
    assert err == f"the confusion matrix and the mistakes are in {tmp_path / 'new/r'}\n"
    assert sorted(entry.name for entry in (tmp_path / "new/r").iterdir()) == [
        "confusion_matrix.csv", "confusion_matrix.png", "coverage.png", "mistakes.csv", "reliability.png", "scope.png",
    ]  # fmt: skip
    assert "jump" in pd.read_csv(tmp_path / "new/r/mistakes.csv")["text"].tolist()


def test_evaluate_writes_its_reports_where_nobody_reads_its_stdout(trained, tmp_path):
    """As in ``evaluate ... | head -1``, or with a full disk under stdout."""
    command = [sys.executable, "-m", "intent_bert.cli", "evaluate", trained.folder, trained.folder.parent / "test.csv"]
    with subprocess.Popen(
        [*command, "--output-dir", tmp_path / "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, f"the confusion matrix and the mistakes are in {tmp_path / 'out'}\n")
    assert (tmp_path / "out" / "mistakes.csv").is_file()


def test_evaluate_on_labels_that_are_all_unknown_is_still_json(capsys, trained, tmp_path):
    (tmp_path / "t.csv").write_text("text,intent\njump,sport\n")
    code, out, _ = run(capsys, "evaluate", trained.folder, tmp_path / "t.csv")
    assert code == 0
    assert json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["loss"] is None


def test_formulas_stay_as_they_are_for_evaluate_and_are_guarded_for_spreadsheets(capsys, trained, tmp_path):
    (tmp_path / "t.csv").write_text("text,intent\n=play(),@sport\n-3,music\nplay my song,music\n")
    command = ["evaluate", trained.folder, tmp_path / "t.csv", "--output-dir"]
    assert run(capsys, *command, tmp_path / "plain")[0] == 0
    assert run(capsys, *command, tmp_path / "guarded", "--guard-formulas")[0] == 0
    mistakes = {name: pd.read_csv(tmp_path / name / "mistakes.csv") for name in ("plain", "guarded")}
    assert "=play()" in mistakes["plain"]["text"].tolist()
    assert "@sport" in mistakes["plain"]["label"].tolist()
    assert "'=play()" in mistakes["guarded"]["text"].tolist()
    assert "'@sport" in mistakes["guarded"]["label"].tolist()
    assert "'@sport" in pd.read_csv(tmp_path / "guarded" / "confusion_matrix.csv").columns
    numbers = ["confidence"]
    pd.testing.assert_frame_equal(mistakes["plain"][numbers], mistakes["guarded"][numbers])
    again = ["evaluate", trained.folder, tmp_path / "plain" / "mistakes.csv", "--label-column", "label"]
    code, out, _ = run(capsys, *again, "--output-dir", tmp_path / "again")
    assert (code, json.loads(out)["accuracy"]) == (0, 0)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "again" / "mistakes.csv"), mistakes["plain"])


def test_predictions_are_guarded_where_that_is_asked_for(capsys, trained, tmp_path):
    (tmp_path / "t.csv").write_text("note,text\n+a,=play()\n-1,play my song\n")
    command = ["predict", trained.folder, "--input", tmp_path / "t.csv", "--output"]
    assert run(capsys, *command, tmp_path / "plain.csv")[0] == 0
    assert run(capsys, *command, tmp_path / "guarded.tsv", "--guard-formulas")[0] == 0
    plain = pd.read_csv(tmp_path / "plain.csv", dtype=str)
    guarded = pd.read_csv(tmp_path / "guarded.tsv", sep="\t", dtype=str)
    assert plain[["note", "text"]].to_numpy().tolist() == [["+a", "=play()"], ["-1", "play my song"]]
    assert guarded[["note", "text"]].to_numpy().tolist() == [["'+a", "'=play()"], ["-1", "play my song"]]
    assert guarded["confidence"].tolist() == plain["confidence"].tolist()


# --- predict -----------------------------------------------------------------------------------------------------


def test_predict_json_keeps_the_contract(capsys, trained):
    code, out, err = run(capsys, "predict", trained.folder, "play my song", "", "Grüße 🎵", "--json", "--top-k", "2")
    assert (code, err) == (0, "")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [list(answer) for answer in answers] == [
        ["text", "intent", "confidence", "in_scope", "in_scope_score", "intent_ranking"]
    ] * 3
    assert [answer["text"] for answer in answers] == ["play my song", "", "Grüße 🎵"]
    assert "Grüße 🎵" in out
    first = answers[0]
    assert first["intent"] == "music" == first["intent_ranking"][0]["name"]
    assert first["confidence"] == first["intent_ranking"][0]["confidence"] > first["intent_ranking"][1]["confidence"]
    assert [list(each) for each in first["intent_ranking"]] == [["name", "confidence"]] * 2
    assert first["in_scope"] is None  # too few sentences were held out for a threshold
    score = answers[1].pop("in_scope_score")
    assert score < first["in_scope_score"]
    assert answers[1] == {"text": "", "intent": None, "confidence": 0.0, "in_scope": None, "intent_ranking": []}


def test_predict_lines_from_arguments_stdin_and_a_file(capsys, trained, tmp_path, monkeypatch):
    code, from_arguments, _ = run(capsys, "predict", trained.folder, "play my song", "will it rain")
    assert code == 0
    lines = from_arguments.splitlines()
    assert [line.split("\t")[1] for line in lines] == ["play my song", "will it rain"]
    intent, confidence = lines[0].split("\t")[0].split(" ")
    assert intent == "music"
    assert 0.5 < float(confidence) <= 1
    type_in(monkeypatch, b"play my song\r\nwill it rain")
    assert run(capsys, "predict", trained.folder) == (0, from_arguments, "")
    (tmp_path / "t.csv").write_text("id,utterance\n1,play my song\n2,will it rain\n")
    from_file = run(capsys, "predict", trained.folder, "--input", tmp_path / "t.csv", "--text-column", "utterance")
    assert from_file == (0, from_arguments, "")
    type_in(monkeypatch, b"\nplay\n\n")
    code, out, _ = run(capsys, "predict", trained.folder, "--top-k", "3")
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()][::2] == ["- 0.0000", "- 0.0000"]
    assert out.splitlines()[1].count(".") == 3
    type_in(monkeypatch, b"")
    assert run(capsys, "predict", trained.folder) == (0, "", "")


def test_a_line_is_a_prediction_whatever_the_text_holds(capsys, trained):
    code, out, _ = run(capsys, "predict", trained.folder, "play\nmy\tsong\r\x1b[2J\u2028", "Grüße 🎵", r"a \ b")
    assert code == 0
    texts = [line.split("\t")[1] for line in out.split("\n")[:-1]]
    assert texts == [r"play\nmy\tsong\r\x1b[2J\u2028", "Grüße 🎵", r"a \ b"]


def test_predict_into_a_file_keeps_the_other_columns_or_those_that_are_chosen(capsys, trained, tmp_path):
    (tmp_path / "t.csv").write_text("id,day,text\n1,monday,play my song\n2,friday,will it rain\n")
    command = ["predict", trained.folder, "--input", tmp_path / "t.csv", "--output"]
    assert run(capsys, *command, tmp_path / "all.csv")[0] == 0
    assert run(capsys, *command, tmp_path / "day.tsv", "--columns", "day")[0] == 0
    assert run(capsys, *command, tmp_path / "none.parquet", "--columns", "", "--top-k", "2")[0] == 0
    assert list(pd.read_csv(tmp_path / "all.csv")) == ["id", "day", "text", "intent", "confidence"]
    assert list(pd.read_csv(tmp_path / "day.tsv", sep="\t")["day"]) == ["monday", "friday"]
    table = pd.read_parquet(tmp_path / "none.parquet")
    assert list(table) == ["text", "intent", "confidence", "intent_2", "confidence_2"]
    assert list(table["intent"]) == ["music", "weather"]
    for flags in (("--columns", "id"), ("--resume",)):
        code, out, err = run(capsys, "predict", trained.folder, "--input", tmp_path / "t.csv", *flags)
        assert (code, out, err) == (2, "", f"intent-bert: {flags[0]} is for --output FILE: give that too\n")


def test_predict_streams_what_is_read(capsys, trained, monkeypatch):
    type_in(monkeypatch, b"play my song\n" * 1024 + b"Gr\xfc\xdfe\n")
    code, out, err = run(capsys, "predict", trained.folder)
    assert code == 2
    assert len(out.splitlines()) == 1024
    assert err == "intent-bert: line 1025 of stdin is not UTF-8\n"


def test_predict_in_a_process_of_its_own_keeps_stderr_clean_and_stdout_utf8(trained):
    done = subprocess.run(
        [sys.executable, "-m", "intent_bert.cli", "predict", trained.folder, "play my söng", b"\xff", "--json"],
        capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    answers = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert [answer["text"] for answer in answers] == ["play my söng", "\udcff"]
    assert answers[0]["intent"] == "music"


def test_predict_on_onnx_runtime_imports_nothing_that_is_heavy(trained):
    heavy = ("tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib", "tqdm", "onnx", "requests", "h5py")
    code, imported, out, err = run_apart(heavy, "predict", trained.folder, "play my song")
    assert (code, imported, err) == (0, [], "")
    assert out.startswith("music 0.9")


def test_evaluate_on_onnx_runtime_imports_no_tensorflow(trained):
    test = trained.folder.parent / "test.csv"
    code, imported, out, _ = run_apart(("tensorflow", "keras"), "evaluate", trained.folder, test)
    assert (code, imported) == (0, [])
    assert json.loads(out)["rows"] == 15


def test_evaluate_writes_its_reports_without_tensorflow(trained, tmp_path):
    command = ("evaluate", trained.folder, trained.folder.parent / "test.csv", "--output-dir", tmp_path)
    assert run_apart(("tensorflow", "keras"), *command)[:2] == (0, [])
    assert (tmp_path / "confusion_matrix.png").exists()


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["evaluate", "no", "train.csv"], "no such model folder: no"),
        (["evaluate", "busy", "train.csv"], "busy is no model folder: it has no config.json"),
        (["evaluate", "MODEL", "no.csv"], "no such file: no.csv"),
        (["evaluate", "MODEL", "empty.csv"], "empty.csv is empty: expected at least one row under the header"),
        (
            ["evaluate", "MODEL", "train.csv", "--label-column", "x"],
            "train.csv has no column 'x'; it has: text, intent",
        ),
        (["evaluate", "MODEL", "train.csv", "--text-column", "intent"], "can't both be in the column 'intent'"),
        (
            ["evaluate", "MODEL", "train.csv", "--output-dir", "train.csv"],
            "won't write to train.csv: it is a file; name a",
        ),
        (
            ["evaluate", "MODEL", "train.csv", "--output-dir", "MODEL"],
            "the reports of that model's training stand there; name another folder, such as ",
        ),
        (
            ["evaluate", "MODEL", "mistakes.csv", "--output-dir", "."],
            "won't write to .: mistakes.csv would be replaced; name another folder",
        ),
        (["evaluate", "DAMAGED", "train.csv", "--output-dir", "r"], "is damaged: vocab.txt is missing; copy the whole"),
        (["evaluate", "MODEL"], "evaluate: the following arguments are required: FILE (see intent-bert evaluate --he"),
        (["predict", "no", "a"], "no such model folder: no"),
        (["predict", "DAMAGED", "a"], "is damaged: vocab.txt is missing; copy the whole folder again"),
        (["predict", "MODEL", "a", "--top-k", "0"], "top_k must be at least 1, not 0"),
        (["predict", "MODEL", "a", "--input", "train.csv"], "give sentences or --input FILE, not both"),
        (
            ["predict", "MODEL", "--input", "train.csv", "--json", "--output", "out.csv"],
            "--json is for stdout: name an --output that ends in .jsonl, not out.csv",
        ),
        (
            ["predict", "MODEL", "--input", "train.csv", "--output", "o.parquet", "--guard-formulas"],
            "guard_formulas is for csv and tsv, which spreadsheets open: leave it out for .parquet",
        ),
        (["predict", "MODEL", "a", "--guard-formulas"], "--guard-formulas is for --output FILE: give that too"),
        (["evaluate", "MODEL", "train.csv", "--guard-formulas"], "--guard-formulas is for --output-dir DIR: give that"),
        (["predict", "MODEL", "--input", "train.csv", "--output", ""], "output is empty: expected a value"),
        (["evaluate", "MODEL", "train.csv", "--output-dir", ""], "output-dir is empty: expected a value"),
        (["predict", "", "play"], "model-dir is empty: expected a value"),
        (["predict", "MODEL", "--input", "no.csv"], "no such file: no.csv"),
        (["predict", "MODEL", "--input", "hole.csv"], "hole.csv, row 3, column 'text': the text is empty"),
        (["predict", "MODEL", "--input", "train.csv", "--text-column", "x"], "train.csv has no column 'x'; it has: te"),
        (
            ["predict", "MODEL", "a", "--engine", "torch"],
            "predict: argument --engine: invalid choice: 'torch' (choose from ",
        ),
        (
            ["evaluate", "MODEL", "train.csv", "--engine", "onnx-int8"],
            "has no model.int8.onnx for engine 'onnx-int8': ",
        ),
        (["predict", "FOREIGN", "a"], "is damaged: model.onnx is not the file that was saved (its sha256 differs)"),
    ],
)
def test_a_mistake_gets_one_sentence_and_writes_nothing(capsys, place, trained, arguments, expected):
    check_mistake(capsys, place, trained, arguments, expected)
