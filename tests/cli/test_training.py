"""The commands `train` and `compare`: what they print and write, and what a mistake gets."""

import json
import shutil
from typing import Any

import pytest
from commands import check_mistake, check_refusal, run, run_apart, snapshot

TRAIN = ["train", "--max-seq-len", "32", "--epochs", "1", "--batch-size", "32", "--dropout", "0"]

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


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["1", "head"])
def test_train_takes_heads_frozen_layers_and_class_weights(capsys, small_table, quick_checkpoint, tmp_path, layers):
    small_table.to_csv(tmp_path / "table.csv", index=False)
    code, _, err = run(
        capsys, *TRAIN, "--train-file", tmp_path / "table.csv", "--checkpoint", quick_checkpoint, "--output-dir",
        tmp_path / "model", "--head", "rnn", "--train-layers", layers, "--class-weight", "balanced",
    )  # fmt: skip
    assert code == 0, err
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["architecture"]["head"] == "rnn"
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


def test_compare_without_bert_imports_no_tensorflow(small_table, tmp_path):
    small_table.to_csv(tmp_path / "table.csv", index=False)
    command = ("compare", "--train-file", tmp_path / "table.csv", "--output-dir", tmp_path / "out")
    code, imported, _, err = run_apart(("tensorflow", "keras"), *command, "--methods", "majority,tfidf-svm")
    assert (code, imported) == (0, []), err


# --- mistakes ----------------------------------------------------------------------------------------------------

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
        (
            {"train-file": "latin.csv"},
            "latin.csv, row 2, column 'text': byte 0xFC is not UTF-8; save the file as",
        ),
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
        ({"max-seq-len": "2"}, "max_seq_len must be at least 3, for [CLS], a token and [SEP], not 2"),
        ({"output-dir": "train.csv"}, "can't write the model to {place}/train.csv: it is a file; name a folder"),
        ({"output-dir": "busy"}, "won't write the model to {place}/busy: it holds other things (thesis.doc); name a n"),
        (
            {"output-dir": "train.csv/model"},
            "can't write {place}/train.csv/model: Not a directory; nothing",
        ),
        ({"log-dir": "train.csv/logs"}, "can't write the TensorBoard logs to train.csv/logs: Not a directory"),
        ({"epochs": "0"}, "epochs must be at least 1, not 0"),
        ({"epochs": "many"}, "train: argument --epochs: invalid int value: 'many' (see intent-bert train --help)"),
        ({"seed": "-1"}, "seed must be 0 to 4294967295, not -1"),
        ({"adapter-size": "0"}, "adapter_size must be at least 1, not 0"),
        (
            {"adapter-size": "10000000"},
            "adapter_size must be at most 64, the width of this checkpoint's feed-forward layers, not 10000000",
        ),
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


def test_no_disk_space_is_told_before_training(capsys, place, monkeypatch):
    monkeypatch.setattr("intent_bert.model.folder.shutil.disk_usage", lambda _: type("Disk", (), {"free": 10}))
    before = snapshot(place)
    check_refusal(run(capsys, "train", *GOOD), f"not enough disk space at {place}/new: about 1 MB are needed")
    assert snapshot(place) == before


@pytest.mark.slow
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
        f"intent-bert: can't write {place}/model: No space left on device; nothing was changed: free some space, or "
        "choose another place"
    )
    after = {name: content for name, content in snapshot(place / "model").items() if not name.startswith("logs")}
    assert {name: content for name, content in after.items() if not name.startswith("unfinished")} == before
    assert not [entry for entry in place.iterdir() if entry.name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["compare", "--data", "sample", "--methods", "svm"], "unknown method 'svm': did you mean"),
        (["compare", "--data", "sample", "--sizes", "few"], "sizes must be numbers above 0, or all, separated by comm"),
        (["compare", "--train-file", "hole.csv"], "hole.csv, row 3, column 'text': the text is empty"),
        (["compare", "--methods", "majority"], "say what to train on: either --data NAME or --train-file FILE"),
    ],
)
def test_a_mistake_gets_one_sentence_and_writes_nothing(capsys, place, trained, arguments, expected):
    check_mistake(capsys, place, trained, arguments, expected)
