"""The command line: what goes to stdout, what to stderr, the exit codes, and one sentence for every mistake."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import QUICK

from intent_bert.cli import command_line as cli
from intent_bert.config import TrainingConfig
from intent_bert.data.splits import split_table
from intent_bert.data.tables import read_table

TRAIN = ["train", "--max-seq-len", "32", "--epochs", "1", "--batch-size", "32", "--dropout", "0"]


def run(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse's way
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


# --- train -------------------------------------------------------------------------------------------------------


def test_train_reports_on_stdout_and_progresses_on_stderr(capsys, small_table, quick_checkpoint, tmp_path):
    small_table.rename(columns={"text": "utterance", "intent": "label"}).to_csv(tmp_path / "table.tsv", sep="\t")
    code, out, err = run(
        capsys, *TRAIN, "--train-file", tmp_path / "table.tsv", "--text-column", "utterance", "--label-column", "label",
        "--checkpoint", quick_checkpoint, "--output-dir", tmp_path / "model", "--log-dir", tmp_path / "logs",
        "--seed", "3", "--validation-split", "0.2", "--learning-rate", "0.002", "--no-decay",
    )  # fmt: skip
    assert code == 0
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    for name, rows in (("train", 72), ("validation", 18)):
        figures = metrics[name]
        line = f"accuracy {figures['accuracy']:.4f}  macro F1 {figures['macro_f1']:.4f}  loss {figures['loss']:.4f}"
        assert f"{name:<10} {line}  ({rows} rows)" in out
    assert "per intent, validation:" in out
    for name in ("confusion_matrix.png", "mistakes.csv"):
        assert f"{tmp_path}/model/{name}" in out
    (logs,) = (tmp_path / "logs").iterdir()
    assert f"TensorBoard logs  {logs}   (tensorboard --logdir {tmp_path}/logs)" in out
    assert "72 train, 18 validation; 3 intents" in err
    assert "epoch 1/1: 100%" in err
    assert "Traceback" not in err
    settings = json.loads((tmp_path / "model" / "config.json").read_text())["settings"]
    expected = {"seed": 3, "decay": False, "text_column": "utterance", "learning_rate": 0.002, "epochs": 1}
    assert settings | expected == settings


@pytest.mark.parametrize("layers", ["1", "head"])
def test_train_takes_heads_frozen_layers_and_class_weights(capsys, small_table, quick_checkpoint, tmp_path, layers):
    small_table.to_csv(tmp_path / "table.csv", index=False)
    code, _, err = run(
        capsys, *TRAIN, "--train-file", tmp_path / "table.csv", "--checkpoint", quick_checkpoint, "--output-dir",
        tmp_path / "model", "--head", "rnn", "--train-layers", layers, "--class-weight", "balanced",
    )  # fmt: skip
    assert code == 0, err
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["head"] == "rnn"
    settings = {name: config["settings"][name] for name in ("head", "train_layers", "class_weight")}
    assert settings == {"head": "rnn", "train_layers": layers, "class_weight": "balanced"}
    assert run(capsys, "predict", tmp_path / "model", "play music")[0] == 0


# --- compare -----------------------------------------------------------------------------------------------------


def test_compare_prints_its_table_and_goes_on_where_it_was(capsys, small_table, tiny_checkpoint, tmp_path):
    small_table.to_csv(tmp_path / "table.csv", index=False)
    command = ["compare", "--train-file", tmp_path / "table.csv", "--checkpoint", tiny_checkpoint, "--max-seq-len",
               "48", "--output-dir", tmp_path / "out", "--methods"]  # fmt: skip
    code, out, err = run(capsys, *command, "majority,tfidf-svm")
    assert code == 0
    head, *rows = [line.split() for line in out.splitlines()[:3]]
    assert head == ["method", "kind", "accuracy", "95", "%", "p", "macro", "F1", "train", "s", "ms/sentence", "MB"]
    assert [row[0] for row in rows] == ["majority", "tfidf-svm"]
    assert "No method with BERT was run" in out
    assert f"tables and plots  {tmp_path / 'out'}" in out
    assert "[2/2] tfidf-svm: TF-IDF + linear SVM ..." in err
    code, out, err = run(capsys, *command, "majority,tfidf-svm,bert-cls-svm")
    assert code == 0
    assert "[3/3] bert-cls-svm" in err and "TF-IDF + linear SVM ..." not in err
    kept = snapshot(tmp_path / "out")
    code, out, err = run(capsys, *command, "majority", "--seed", "1")
    assert (code, out) == (2, "")
    assert "had seed=0, not 1: name another folder, or delete that one" in err.splitlines()[-1]
    assert snapshot(tmp_path / "out") == kept


# --- evaluate ----------------------------------------------------------------------------------------------------


def test_evaluate_prints_json_and_writes_reports(capsys, trained, tmp_path):
    test = trained.folder.parent / "test.csv"
    code, out, err = run(capsys, "evaluate", trained.folder, test)
    assert (code, err) == (0, "")
    expected = json.loads((trained.folder / "metrics.json").read_text())["test"]
    assert json.loads(out) == {**expected, "loss": pytest.approx(expected["loss"], abs=1e-5)}
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
        "confusion_matrix.csv", "confusion_matrix.png", "mistakes.csv",
    ]  # fmt: skip
    assert "jump" in pd.read_csv(tmp_path / "new/r/mistakes.csv")["text"].tolist()


def test_evaluate_on_labels_that_are_all_unknown_is_still_json(capsys, trained, tmp_path):
    (tmp_path / "t.csv").write_text("text,intent\njump,sport\n")
    code, out, _ = run(capsys, "evaluate", trained.folder, tmp_path / "t.csv")
    assert code == 0
    assert json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["loss"] is None


# --- predict -----------------------------------------------------------------------------------------------------


def test_predict_json_keeps_the_contract(capsys, trained):
    code, out, err = run(capsys, "predict", trained.folder, "play my song", "", "Grüße 🎵", "--json", "--top-k", "2")
    assert (code, err) == (0, "")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [list(answer) for answer in answers] == [["text", "intent", "confidence", "intent_ranking"]] * 3
    assert [answer["text"] for answer in answers] == ["play my song", "", "Grüße 🎵"]
    assert "Grüße 🎵" in out
    first = answers[0]
    assert first["intent"] == "music" == first["intent_ranking"][0]["name"]
    assert first["confidence"] == first["intent_ranking"][0]["confidence"] > first["intent_ranking"][1]["confidence"]
    assert [list(each) for each in first["intent_ranking"]] == [["name", "confidence"]] * 2
    assert answers[1] == {"text": "", "intent": None, "confidence": 0.0, "intent_ranking": []}


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


# --- split -------------------------------------------------------------------------------------------------------


def test_split_writes_a_folder_that_train_takes(capsys, small_table, quick_checkpoint, tmp_path):
    odd = pd.DataFrame({"said": ["play\ra song", 'play "my" song, please', "7"], "meant": ["music", "music", "table"]})
    table = pd.concat([small_table.set_axis(["said", "meant"], axis=1), odd])
    table.to_json(tmp_path / "all.jsonl", orient="records", lines=True)
    columns = ("--text-column", "said", "--label-column", "meant")
    folder = tmp_path / "new" / "split"
    code, out, err = run(
        capsys, "split", tmp_path / "all.jsonl", folder, "--shares", "60,20,20", "--seed", "3", *columns
    )
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["train", "57", "rows", f"{folder}/train.csv"],
        ["validation", "18", "rows", f"{folder}/validation.csv"],
        ["test", "18", "rows", f"{folder}/test.csv"],
    ]
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == [
        "all.jsonl", "new", "split", "test.csv", "train.csv", "validation.csv",
    ]  # fmt: skip
    parts = [read_table(folder / f"{name}.csv") for name in ("train", "validation", "test")]
    rows = [tuple(row) for part in parts for row in part.to_numpy()]
    assert sorted(rows) == sorted(tuple(row) for row in table.to_numpy())
    expected = split_table(read_table(tmp_path / "all.jsonl", "said", "meant"), (60, 20, 20), 3)
    assert [part.to_numpy().tolist() for part in parts] == [part.to_numpy().tolist() for part in expected]

    model = tmp_path / "model"
    code, out, _ = run(capsys, *TRAIN, "--data", folder, "--checkpoint", quick_checkpoint, "--output-dir", model)
    assert code == 0
    assert [line.split()[-2] for line in out.splitlines()[:3]] == ["(57", "(18", "(18"]


def test_split_in_two_tells_of_contradictions(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("text,intent\n" + "".join(f"{n},{'xy'[n % 2]}\n" for n in range(20)) + "0,y\n")
    code, out, err = run(capsys, "split", "t.csv", "parts", "--shares", "0.8,0.2")
    assert code == 0
    assert out.split() == ["train", "17", "rows", "parts/train.csv", "test", "4", "rows", "parts/test.csv"]
    assert err == "warning: t.csv: 1 text stands under more than one intent, such as '0' (row 2: x, row 22: y)\n"
    assert (tmp_path / "parts" / "test.csv").read_text().startswith('"text","intent"\n')


ASK = """
import json, sys, time
from intent_bert.cli import command_line as cli

code = cli.main(["predict", sys.argv[1], "play my song"])
heavy = ("tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib", "tqdm", "onnx", "requests", "h5py")
print(json.dumps([code, [name for name in heavy if name in sys.modules]]))
"""


def test_predict_on_onnx_runtime_imports_nothing_that_is_heavy(trained):
    done = subprocess.run([sys.executable, "-c", ASK, trained.folder], capture_output=True, text=True, check=True)
    answer, facts = done.stdout.splitlines()
    assert answer.startswith("music 0.9")
    assert json.loads(facts) == [0, []]
    assert done.stderr == ""


# --- export ------------------------------------------------------------------------------------------------------


def test_export_tells_what_it_wrote_and_predict_takes_it(capsys, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    asked = ("play my song", "will it rain", "--json")
    expected = run(capsys, "predict", folder, *asked)
    assert run(capsys, "predict", folder, *asked, "--engine", "onnx") == expected
    code, out, err = run(capsys, "predict", folder, *asked, "--engine", "onnx-int8")
    assert (code, out) == (2, "")
    assert err == (
        f"intent-bert: {folder} has no model.int8.onnx for engine 'onnx-int8': intent-bert export {folder} "
        "--quantize int8 writes it\n"
    )
    (tmp_path / "check.csv").write_text("text\nplay my song\nwill it rain\n")
    code, out, err = run(capsys, "export", folder, "--quantize", "int8", "--check-file", tmp_path / "check.csv")
    assert (code, err) == (0, "")
    check = json.loads((folder / "model.int8.onnx.json").read_text())
    assert out.splitlines() == [
        f"{folder / 'model.int8.onnx'}  {check['megabytes']:.1f} MB",
        "compared with Keras on 2 sentences (check.csv): largest difference "
        f"{check['largest_difference']:.2g}, 0 answers changed",
    ]
    code, out, err = run(capsys, "predict", folder, *asked, "--engine", "onnx-int8")
    assert (code, err) == (0, "")
    assert out != expected[1]
    assert [json.loads(line)["intent"] for line in out.splitlines()] == ["music", "weather"]
    assert run(capsys, "predict", folder, *asked) == expected


# --- the other commands ------------------------------------------------------------------------------------------


def test_datasets_are_listed_counted_and_drawn(capsys, tmp_path, monkeypatch, small_table):
    monkeypatch.setenv("INTENT_BERT_DATA", str(tmp_path / "data"))
    code, out, err = run(capsys, "datasets")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["sample", "sentiment", "snips", "snips-tutorial"]
    assert err == f"kept in {tmp_path / 'data'} (INTENT_BERT_DATA moves it)\n"

    folder = tmp_path / "mine"
    folder.mkdir()
    small_table.to_csv(folder / "train.csv", index=False)
    small_table.head(4).to_csv(folder / "test.csv", index=False)
    code, out, err = run(capsys, "datasets", folder, "--plot", tmp_path / "counts.png")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]][-3:] == [
        ["music", "30", "4"], ["table", "30", "0"], ["weather", "30", "0"],
    ]  # fmt: skip
    assert err == f"drawn in {tmp_path / 'counts.png'}\n"
    assert (tmp_path / "counts.png").read_bytes().startswith(b"\x89PNG")


def test_checkpoints_are_listed_with_size_and_licence(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path))
    (tmp_path / "uncased_L-2_H-128_A-2").mkdir()
    code, out, err = run(capsys, "checkpoints")
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert rows["all-MiniLM-L6-v2"][1:] == ["91", "Apache-2.0", "uncased", "-", "(default)"]
    assert rows["uncased_L-2_H-128_A-2"][2:] == ["Apache-2.0", "uncased", "fetched"]
    assert rows["cased_L-12_H-768_A-12"][3] == "cased"
    assert len(rows) == 1 + 1 + 9 + 24
    assert str(tmp_path) in err


def test_download_prints_the_folder(capsys, real_checkpoint):
    from intent_bert.data.datasets import SHIPPED

    assert run(capsys, "download", "all-MiniLM-L6-v2") == (0, f"{real_checkpoint}\n", "")
    assert run(capsys, "download", "sample") == (0, f"{SHIPPED / 'sample'}\n", "")


def test_convert_writes_the_other_layout(capsys, quick_checkpoint, tmp_path):
    there, back = tmp_path / "there", tmp_path / "uncased_back"
    assert run(capsys, "convert", quick_checkpoint, there, "--to", "huggingface")[:2] == (0, f"{there}\n")
    assert {"config.json", "model.safetensors", "vocab.txt"} <= {entry.name for entry in there.iterdir()}
    assert run(capsys, "convert", there, back, "--to", "stock")[:2] == (0, f"{back}\n")
    before = snapshot(tmp_path)
    code, out, err = run(capsys, "convert", there, back, "--to", "stock")
    assert (code, out) == (2, "")
    assert err == f"intent-bert: won't write to {back}: it is there already; name a new folder\n"
    (there / "model.safetensors").write_bytes(b"half")
    code, out, err = run(capsys, "convert", there, tmp_path / "third", "--to", "stock")
    assert (code, out) == (2, "")
    assert f"{there}/model.safetensors is damaged" in err
    assert {**before, "there/model.safetensors": b"half"} == snapshot(tmp_path)


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
        assert "--recipe {default,tutorial}" in out
        assert "1e-4 for all-MiniLM-L6-v2, 5e-5 for BERT-base" in out
    else:
        for action in parser._actions:
            if action.default not in (None, False, "==SUPPRESS=="):
                assert f"(default: {action.default})" in out, action


def test_the_main_help_and_the_version(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(f"    {command}" in out for command in COMMANDS)
    assert run(capsys, "--version") == (0, "intent-bert 0.1.0\n", "")


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, quick_checkpoint, small_table, monkeypatch) -> Path:
    """A working folder with a good table, good and bad checkpoints, and what stands in the way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTENT_BERT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "cache"))
    small_table.to_csv("train.csv", index=False)
    Path("empty.csv").write_text("text,intent\n")
    Path("one.csv").write_text("text,intent\na,x\nb,x\n")
    Path("latin.csv").write_bytes("text,intent\nGrüße,x\n".encode("latin-1"))
    Path("hole.csv").write_text("text,intent\na,x\n,y\n")
    Path("twice.csv").write_text("text,intent\na,x\na,y\nb,x\n")
    Path("busy").mkdir()
    Path("busy/thesis.doc").write_text("mine")
    shutil.copytree(quick_checkpoint, "good")
    for name in [entry.name for entry in Path("good").iterdir()]:
        shutil.copytree("good", f"without-{name}")
        Path(f"without-{name}", name).unlink()
    data = "bert_model.ckpt.data-00000-of-00001"
    shutil.copytree("good", "truncated")
    Path("truncated", data).write_bytes(Path("good", data).read_bytes()[:1000])
    for name, key, value in (
        ("wider", "hidden_size", 64),
        ("deeper", "num_hidden_layers", 2),
        ("more", "vocab_size", 161),
        ("thicker", "intermediate_size", 65),
    ):
        shutil.copytree("good", name)
        config = json.loads(Path(name, "bert_config.json").read_text())
        Path(name, "bert_config.json").write_text(json.dumps({**config, key: value}))
    shutil.copytree("good", "garbled")
    Path("garbled/bert_config.json").write_text("{")
    return tmp_path


GOOD = ("--train-file", "train.csv", "--checkpoint", "good", "--output-dir", "new/model", "--max-seq-len", "32")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train-file": "no.csv"}, "no such file: no.csv"),
        ({"train-file": "."}, "expected a file, but . is a folder (a folder of train/valid/test goes to --data)"),
        (
            {"train-file": "good/vocab.txt"},
            "can't tell how to read good/vocab.txt: expected one of .csv, .tsv, .jsonl,",
        ),
        ({"text-column": "utterance"}, "train.csv has no column 'utterance'; it has: text, intent (name one with --te"),
        ({"label-column": "label"}, "train.csv has no column 'label'; it has: text, intent (name one with --label-co"),
        ({"train-file": "empty.csv"}, "empty.csv is empty: expected at least one row under the header"),
        ({"train-file": "one.csv"}, "one.csv has one intent only, 'x': expected at least two"),
        ({"train-file": "latin.csv"}, "latin.csv, line 2: byte 0xFC is not UTF-8; save the file as UTF-8"),
        ({"train-file": "hole.csv"}, "hole.csv, row 3, column 'text': the text is empty; fill it in or delete the row"),
        (
            {"train-file": "twice.csv", "strict": None},
            "twice.csv: 1 text stands under more than one intent, such as 'a",
        ),
        ({"test-file": "no.csv"}, "no such file: no.csv"),
        ({"validation-file": "empty.csv"}, "empty.csv is empty: expected at least one row under the header"),
        ({"train-file": None}, "train: argument --train-file: expected one argument"),
        ({"data": "snips"}, "say what to train on: either --data NAME or --train-file FILE"),
        ({"checkpoint": "nowhere/x"}, "The checkpoint folder 'nowhere/x' does not exist: check the path"),
        ({"checkpoint": "all-MiniLM-L6"}, "'all-MiniLM-L6' is"),
        ({"checkpoint": "busy"}, "busy is no checkpoint folder: it has neither bert_config.json nor config.json"),
        ({"checkpoint": "without-bert_config.json"}, "without-bert_config.json is no checkpoint folder: it has neith"),
        ({"checkpoint": "without-vocab.txt"}, "no vocabulary at without-vocab.txt/vocab.txt: a checkpoint folder nee"),
        ({"checkpoint": "without-bert_model.ckpt.index"}, "without-bert_model.ckpt.index has no weights: neither ber"),
        (
            {"checkpoint": "without-bert_model.ckpt.data-00000-of-00001"},
            "no checkpoint at without-bert_model.ckpt.data-00000-of-00001/bert_model.ckpt: there is no",
        ),
        ({"checkpoint": "truncated"}, "truncated/bert_model.ckpt is damaged"),
        ({"checkpoint": "garbled"}, "garbled: the BERT config is not valid JSON"),
        ({"checkpoint": "wider"}, "word_embeddings is [160, 32], expected [160, 64]"),
        ({"checkpoint": "more"}, "word_embeddings is [160, 32], expected [161, 32]"),
        ({"checkpoint": "deeper"}, "does not fit the config: missing bert/encoder/layer_1/attention/output/LayerNorm"),
        ({"checkpoint": "thicker"}, "bert/encoder/layer_0/intermediate/dense/kernel is [32, 64], expected [32, 65]"),
        ({"max-seq-len": "49"}, "max_seq_len must be 3 to 48 tokens for this checkpoint, not 49"),
        ({"max-seq-len": "2"}, "max_seq_len must be 3 to 48 tokens for this checkpoint, not 2"),
        ({"output-dir": "train.csv"}, "can't write the model to {place}/train.csv: it is a file; name a folder"),
        ({"output-dir": "busy"}, "won't write the model to {place}/busy: it holds other things (thesis.doc); name a n"),
        ({"output-dir": "train.csv/model"}, "can't write to {place}/train.csv: Not a directory"),
        ({"log-dir": "train.csv/logs"}, "can't write the TensorBoard logs to train.csv/logs: Not a directory"),
        ({"epochs": "0"}, "epochs must be at least 1, not 0"),
        ({"epochs": "many"}, "train: argument --epochs: invalid int value: 'many' (see intent-bert train --help)"),
        ({"seed": "-1"}, "seed must be 0 to 4294967295, not -1"),
        ({"adapter-size": "0"}, "adapter_size must be at least 1, not 0"),
        ({"pooling": "first"}, "train: argument --pooling: invalid choice: 'first'"),
        ({"recipe": "slow"}, "train: argument --recipe: invalid choice: 'slow'"),
        ({"epoch-s": "3"}, "unrecognized arguments: --epoch-s 3 (see intent-bert --help)"),
    ],
)
def test_a_mistake_in_training_gets_one_sentence_and_writes_nothing(capsys, place, changes, expected):
    options = dict(zip(GOOD[::2], GOOD[1::2], strict=True)) | {f"--{name}": value for name, value in changes.items()}
    before = snapshot(place)
    arguments = [part for option in options.items() for part in option if part is not None]
    check_refusal(run(capsys, "train", *arguments), expected.format(place=place))
    assert snapshot(place) == before


def check_refusal(result: tuple[int, str, str], expected: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    *warnings, sentence = err.splitlines()
    assert sentence.startswith("intent-bert")
    assert expected in sentence
    assert all(not line.startswith(("Traceback", "usage", "intent-bert")) for line in warnings)


@pytest.mark.parametrize(
    ("name", "nearest"), [("snip", "snips"), ("Sample", "sample"), ("snips_tutorial", "snips-tutorial")]
)
def test_an_unknown_data_name_is_answered_with_the_nearest(capsys, place, name, nearest):
    before = snapshot(place)
    for command in (["train", "--data", name], ["datasets", name]):
        check_refusal(
            run(capsys, *command), f"'{name}' is neither a folder nor a known data set: did you mean '{nearest}'"
        )
    check_refusal(run(capsys, "download", name), f"nothing to download is called '{name}': did you mean {nearest}?")
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("all-MiniLM-L6", "all-MiniLM-L6-v2"), ("uncased_L12_H768_A12", "uncased_L-12_H-768_A-12")],
)
def test_an_unknown_checkpoint_name_is_answered_with_the_nearest(capsys, place, name, nearest):
    before = snapshot(place)
    code, out, err = run(capsys, "train", "--train-file", "train.csv", "--checkpoint", name)
    check_refusal((code, out, err), f"'{name}' is")
    assert nearest in err
    check_refusal(run(capsys, "convert", name, "there", "--to", "stock"), nearest)
    assert snapshot(place) == before


def test_no_disk_space_is_told_before_training(capsys, place, monkeypatch):
    monkeypatch.setattr("intent_bert.model.folder.shutil.disk_usage", lambda _: type("Disk", (), {"free": 10}))
    before = snapshot(place)
    check_refusal(run(capsys, "train", *GOOD), f"not enough disk space at {place}/new: the model needs about 0 MB")
    assert snapshot(place) == before


def test_no_disk_space_while_saving_leaves_the_old_model(capsys, place, trained, monkeypatch):
    """The run itself is made short: what is looked at is the end of it."""
    shutil.copytree(trained.folder, "model")
    before = {name: content for name, content in snapshot(place / "model").items() if not name.startswith("logs")}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("intent_bert.evaluation.reports.save_plot", full)
    options = dict(zip(GOOD[::2], GOOD[1::2], strict=True)) | {"--output-dir": "model"}
    result = run(capsys, *TRAIN, *(part for option in options.items() for part in option))
    assert result[0] == 2
    assert result[2].splitlines()[-1] == (
        f"intent-bert: can't write {place}/model: No space left on device; nothing was changed there"
    )
    after = {name: content for name, content in snapshot(place / "model").items() if not name.startswith("logs")}
    assert {name: content for name, content in after.items() if not name.startswith("unfinished")} == before
    assert not [entry for entry in place.iterdir() if entry.name.startswith(".")]


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
        (["evaluate", "MODEL", "train.csv", "--output-dir", "train.csv"], "can't write to train.csv: File exists"),
        (["evaluate", "DAMAGED", "train.csv", "--output-dir", "r"], "is damaged: vocab.txt is missing; copy the whole"),
        (["evaluate", "MODEL"], "evaluate: the following arguments are required: FILE (see intent-bert evaluate --he"),
        (["predict", "no", "a"], "no such model folder: no"),
        (["predict", "DAMAGED", "a"], "is damaged: vocab.txt is missing; copy the whole folder again"),
        (["predict", "MODEL", "a", "--top-k", "0"], "top_k must be at least 1, not 0"),
        (["predict", "MODEL", "a", "--input", "train.csv"], "give sentences or --input FILE, not both"),
        (["predict", "MODEL", "--input", "no.csv"], "no such file: no.csv"),
        (["predict", "MODEL", "--input", "hole.csv"], "hole.csv, row 3, column 'text': the text is empty"),
        (["predict", "MODEL", "--input", "train.csv", "--text-column", "x"], "train.csv has no column 'x'; it has: te"),
        (["split", "no.csv", "new"], "no such file: no.csv"),
        (["split", "train.csv", "busy"], "won't write to busy: it is there already; name a new folder"),
        (["split", "train.csv", "train.csv/new"], "train.csv/new should be a folder that can be written, but the syst"),
        (["split", "train.csv", "new", "--shares", "most,rest"], "such as 70,15,15 or 80,20, not 'most,rest'"),
        (
            ["split", "train.csv", "new", "--shares", "70,15"],
            "add up to 1 or to 100, such as 70, 15, 15, not 70.0, 15.",
        ),
        (["split", "train.csv", "new", "--seed", "-1"], "seed must be 0 to 4294967295, not -1"),
        (["split", "train.csv", "new", "--text-column", "x"], "train.csv has no column 'x'; it has: text, intent"),
        (
            ["split", "twice.csv", "new"],
            "twice.csv is too small to split so: validation would be empty",
        ),
        (["split", "one.csv", "new", "--shares", "50,50"], "one.csv has one intent only, 'x': expected at least two"),
        (["split", "train.csv"], "split: the following arguments are required: OUTPUT_DIR (see intent-bert split --h"),
        (["compare", "--data", "sample", "--methods", "svm"], "unknown method 'svm': did you mean"),
        (["compare", "--data", "sample", "--sizes", "few"], "sizes must be numbers above 0, or all, separated by comm"),
        (["compare", "--train-file", "hole.csv"], "hole.csv, row 3, column 'text': the text is empty"),
        (["compare", "--methods", "majority"], "say what to train on: either --data NAME or --train-file FILE"),
        (
            ["predict", "MODEL", "a", "--engine", "torch"],
            "unknown engine 'torch': expected one of auto, onnx, onnx-int8, ",
        ),
        (
            ["evaluate", "MODEL", "train.csv", "--engine", "onnx-int8"],
            "has no model.int8.onnx for engine 'onnx-int8': ",
        ),
        (["predict", "FOREIGN", "a"], "is damaged: model.onnx is not the file that was saved (its sha256 differs)"),
        (["export", "no"], "no such model folder: no"),
        (
            ["export", "MODEL", "--format", "onyx"],
            "unknown export format 'onyx': did you mean onnx? (there are onnx, sa",
        ),
        (
            ["export", "MODEL", "--quantize", "int4"],
            "can't quantise format 'onnx' to 'int4': there is int8 of format o",
        ),
        (["export", "MODEL", "--check-file", "no.csv"], "no such file: no.csv"),
        (["export", "DAMAGED"], "is damaged: vocab.txt is missing; copy the whole folder again"),
        (["datasets", "busy"], "busy should hold a train file (train.csv|tsv|jsonl|parquet), but has none"),
        (["datasets", "sample", "--plot", "no/counts.png"], "can't draw into no/counts.png: "),
        (["datasets", "sample", "--plot", "counts.xyz"], "can't draw into counts.xyz: "),
        (["convert", "good", "busy", "--to", "stock"], "won't write to busy: it is there already; name a new folder"),
        (["convert", "truncated", "new", "--to", "huggingface"], "truncated/bert_model.ckpt is damaged"),
        (["convert", "good", "new", "--to", "onnx"], "convert: argument --to: invalid choice: 'onnx'"),
        (["trian"], "argument COMMAND: invalid choice: 'trian'"),
        ([], "the following arguments are required: COMMAND (see intent-bert --help)"),
    ],
)
def test_a_mistake_in_the_other_commands_gets_one_sentence(capsys, place, trained, tmp_path, arguments, expected):
    if "DAMAGED" in arguments:
        shutil.copytree(trained.folder, "damaged")
        Path("damaged/vocab.txt").unlink()
    if "FOREIGN" in arguments:
        shutil.copytree(trained.folder, "foreign")
        Path("foreign/model.onnx").write_bytes(b"of another model")
    before = snapshot(place)
    names = {"MODEL": str(trained.folder), "DAMAGED": "damaged", "FOREIGN": "foreign"}
    code, out, err = run(capsys, *(names.get(argument, argument) for argument in arguments))
    assert code == 2
    assert expected in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("intent-bert")
    assert out == "" or arguments[0] == "datasets"
    assert snapshot(place) == before


# --- ends --------------------------------------------------------------------------------------------------------


def test_ctrl_c_is_130(capsys, monkeypatch):
    monkeypatch.setattr(cli, "_run_checkpoints", lambda _: signal.raise_signal(signal.SIGINT))
    assert run(capsys, "checkpoints") == (130, "", "intent-bert: interrupted\n")


def test_a_fault_of_ours_shows_its_traceback_and_exits_with_1():
    script = "import sys; from intent_bert.cli import command_line as cli; cli._run_checkpoints = lambda _: 1 / 0; "
    script += "sys.exit(cli.main(['checkpoints']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_reader_that_leaves_early_is_no_fault():
    process = subprocess.Popen(
        [sys.executable, "-m", "intent_bert.cli", "checkpoints"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert b"Traceback" not in err
    assert b"BrokenPipe" not in err


def test_messages_are_handed_back_to_logging_afterwards(capsys):
    assert run(capsys, "checkpoints")[0] == 0
    assert cli.logger.handlers == []
    assert cli.logger.propagate
    assert {each.name for each in fields(TrainingConfig)} >= set(QUICK)
