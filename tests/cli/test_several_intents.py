"""The whole way with several intents on the command line: split, train, evaluate, predict, export."""

import json

import numpy as np
import pandas as pd
import pytest
from commands import check_refusal, run

from intent_bert import Answer, IntentPredictor, export_model
from intent_bert.config import TrainingConfig
from intent_bert.data.tables import read_table

TEXTS = ["play music and will it rain", "book a table", "", "will it be sunny. play a song"]


def test_train_says_what_it_measured(capsys, small_table, quick_checkpoint, tmp_path):
    rows = small_table.assign(
        intent=[f"{intent}|polite" if "please" in text else intent for text, intent in small_table.values]
    )
    rows.to_csv(tmp_path / "table.csv", index=False)
    code, out, err = run(
        capsys, "train", "--train-file", tmp_path / "table.csv", "--multi-label", "--checkpoint", quick_checkpoint,
        "--epochs", 1, "--no-export", "--output-dir", tmp_path / "model",
    )  # fmt: skip
    assert code == 0, err
    assert "validation subset accuracy" in out and "polite" in out
    assert "no row has more than one label" not in err
    settings = json.loads((tmp_path / "model" / "config.json").read_text())["settings"]
    assert (settings["multi_label"], settings["label_separator"], settings["mix"]) == (True, "|", 0.0)


def test_evaluate_gives_the_metrics_of_label_sets(several, capsys, tmp_path):
    code, out, err = run(
        capsys, "evaluate", several.folder, several.folder.parent / "test.csv", "--output-dir", tmp_path / "out"
    )
    assert code == 0, err
    found, expected = json.loads(out), several.evaluations["test"].to_dict()
    assert list(found) == list(expected)
    assert found["subset_accuracy"] == expected["subset_accuracy"]
    assert found["per_intent"].keys() == {"music", "table", "weather"}
    assert {"confusion_matrix.png", "confusion_matrix.csv", "mistakes.csv"} == {
        entry.name for entry in (tmp_path / "out").iterdir()
    }


def test_evaluate_takes_another_separator_and_lists(several, capsys, tmp_path):
    rows = read_table(several.folder.parent / "test.csv", label_separator="|")
    cells = rows.assign(intent=["+".join(each) for each in rows["intent"]])
    cells.to_csv(tmp_path / "plus.csv", index=False)
    rows.assign(intent=[list(each) for each in rows["intent"]]).to_json(
        tmp_path / "l.jsonl", orient="records", lines=True
    )
    found = [
        json.loads(run(capsys, "evaluate", several.folder, *words)[1])["subset_accuracy"]
        for words in ([tmp_path / "plus.csv", "--label-separator", "+"], [tmp_path / "l.jsonl"])
    ]
    assert found == [several.evaluations["test"].subset_accuracy] * 2


def test_a_separator_is_for_a_multi_label_model(trained, several, capsys):
    words = ("evaluate", trained.folder, several.folder.parent / "test.csv", "--label-separator", "|")
    expected = f"--label-separator is for a multi-label model, but {trained.folder} gives one intent a sentence"
    check_refusal(run(capsys, *words), expected)


def test_predict_names_all_intents(several, capsys):
    code, out, _ = run(capsys, "predict", several.folder, *TEXTS)
    assert code == 0
    lines = [line.split("\t") for line in out.splitlines()]
    assert [text for _, text in lines] == TEXTS
    named = [set(answers.split()[::2]) for answers, _ in lines]
    assert named[0] == {"music", "weather"} and named[1] == {"table"} and named[2] == {"-"}


@pytest.mark.parametrize("top_k", [1, 3])
def test_predict_json(several, capsys, top_k):
    code, out, _ = run(capsys, "predict", "--json", "--top-k", top_k, several.folder, *TEXTS)
    assert code == 0
    first, _, wordless, _ = map(json.loads, out.splitlines())
    scope = ["in_scope", "in_scope_score"]
    assert list(first) == ["text", "intent", "confidence", "intents", *scope, "intent_ranking"]
    assert (first["in_scope"], wordless["in_scope"]) == (True, False)  # whether any intent fits
    assert first["in_scope_score"] >= 0 > wordless["in_scope_score"]
    assert set(first["intents"]) == {"music", "weather"}
    assert first["intent"] == first["intents"][0] == first["intent_ranking"][0]["name"]
    assert len(first["intent_ranking"]) == max(top_k, 2)
    assert (wordless["intent"], wordless["confidence"], wordless["intents"]) == (None, 0.0, [])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_predictions_in_a_file_can_be_learnt_from(several, capsys, tmp_path, suffix):
    pd.DataFrame({"text": TEXTS[:2] + TEXTS[3:], "id": [1, 2, 3]}).to_csv(tmp_path / "in.csv", index=False)
    output = tmp_path / f"out.{suffix}"
    code, _, err = run(capsys, "predict", several.folder, "--input", tmp_path / "in.csv", "--output", output)
    assert code == 0, err
    table = read_table(output, label_column="intents", label_separator="|")
    assert table["intent"].tolist() == [("music", "weather"), ("table",), ("music", "weather")]
    if suffix == "csv":
        assert pd.read_csv(output).columns.tolist() == ["id", "text", "intents", "intent", "confidence"]


def test_the_predictor(several):
    predictor = IntentPredictor.load(several.folder)
    intents = predictor.predict_intents(TEXTS)
    assert [{answer.intent for answer in each} for each in intents] == [
        {"music", "weather"}, {"table"}, set(), {"music", "weather"},
    ]  # fmt: skip
    assert predictor.predict(TEXTS) == [each[0] if each else Answer(None, 0.0) for each in intents]
    assert [len(each) for each in predictor.predict(TEXTS, top_k=2)] == [2, 2, 0, 2]
    probabilities = predictor.predict_proba(TEXTS)
    assert probabilities[0].sum() > 1.5 and probabilities[2].tolist() == [0, 0, 0]
    keras = IntentPredictor.load(several.folder, engine="keras")
    np.testing.assert_allclose(keras.predict_proba(TEXTS), probabilities, atol=1e-5)


def test_a_model_of_one_intent_gives_one(trained):
    predictor = IntentPredictor.load(trained.folder)
    assert predictor.predict_intents(TEXTS[1:3]) == [[predictor.predict_one(TEXTS[1])], []]


@pytest.mark.slow
@pytest.mark.parametrize(("format", "quantize"), [("savedmodel", None), ("litert", None), ("onnx", "int8")])
def test_exports_give_the_same_intents(several, tmp_path, format, quantize):
    import shutil

    shutil.copytree(several.folder, tmp_path / "model")
    check = export_model(tmp_path / "model", format, quantize, check_file=several.folder.parent / "test.csv")
    assert check.largest_difference < (1e-4 if quantize is None else 0.2)
    assert check.changed_predictions <= (0 if quantize is None else 2)


def test_split_keeps_label_sets(several, capsys, tmp_path):
    rows = pd.DataFrame({"text": [f"text {n}" for n in range(40)], "intent": ["a+b", "a", "", "b+c"] * 10})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    words = ("split", tmp_path / "rows.csv", tmp_path / "parts", "--multi-label", "--label-separator", "+")
    code, _, err = run(capsys, *words)
    assert code == 0, err
    parts = [pd.read_csv(tmp_path / "parts" / f"{name}.csv", keep_default_na=False) for name in ("train", "test")]
    assert set(parts[0]["intent"]) == set(parts[1]["intent"]) == {"a+b", "a", "", "b+c"}


@pytest.mark.parametrize(
    ("content", "words", "expected"),
    [
        ("text,intent\na,x\nb,|\n", [], "row 3, column 'intent': a label in '|' is empty"),
        ("text,intent\na,x\nb,y\n", ["--strict"], "no row has more than one label, joined by '|'"),
        ("text,intent\na,x\nb,y\n", ["--mix", "2"], "mix must be 0 to 1, a share of the table, not 2.0"),
        ("text,intent\na,x\nb,x\n", [], "has one intent only, 'x'"),
        ("text,intent\na,x|y\nb,x\n", ["--known-acceptance", "0.9"], "known_acceptance is for one intent a sentence"),
        ("text,intent\na,x|y\nb,x\n", ["--class-weight", "balanced"], "class_weight is for one intent a sentence"),
    ],
)
def test_mistakes_get_a_sentence(capsys, tmp_path, quick_checkpoint, content, words, expected):
    (tmp_path / "t.csv").write_text(content)
    words = ["train", "--train-file", tmp_path / "t.csv", "--multi-label", "--checkpoint", quick_checkpoint, *words]
    check_refusal(run(capsys, *words, "--output-dir", tmp_path / "model"), expected)
    assert not (tmp_path / "model").exists()


def test_settings_are_on_the_command_line(capsys):
    _, out, _ = run(capsys, "train", "--help")
    assert all(flag in out for flag in ("--multi-label", "--label-separator SIGN", "--mix SHARE"))
    assert TrainingConfig().separator_to_read is None
