"""Methods on one split: the metrics, the files, what is kept when it is interrupted, what is refused."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from intent_bert.config import CompareConfig
from intent_bert.data.splits import split_off
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, DiskError, IntentBertError, SettingsError
from intent_bert.estimators import baselines, classifier, comparison_result, shared_encoder
from intent_bert.estimators.baselines import Method
from intent_bert.estimators.comparison import compare
from intent_bert.evaluation.significance import mcnemar
from intent_bert.files.lock import one_writer

METHODS = "majority,tfidf-svm,bert-mean-logreg"


@pytest.fixture(scope="module")
def files(small_table, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tables")
    rest, test = split_off(small_table, 0.3, 0)
    rest.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    return {"train_file": str(folder / "train.csv"), "test_file": str(folder / "test.csv")}


@pytest.fixture
def config(files, tiny_checkpoint, tmp_path) -> Any:
    def make(**settings: Any) -> CompareConfig:
        defaults = {"methods": METHODS, "checkpoint": str(tiny_checkpoint), "max_seq_len": 48,
                    "output_dir": str(tmp_path / "out")}  # fmt: skip
        return CompareConfig.of(**{**files, **defaults, **settings})

    return make


def test_metrics_and_files(config, files):
    result = compare(config(sizes="3,all"))
    folder = result.folder
    assert list(result.table["method"]) == METHODS.split(",") * 2
    assert list(result.table["size"]) == ["3"] * 3 + ["all"] * 3
    assert list(result.table["train_rows"]) == [9] * 3 + [len(pd.read_csv(files["train_file"]))] * 3

    test = pd.read_csv(files["test_file"])
    predictions = pd.read_csv(folder / "predictions.csv")
    assert list(predictions.columns) == [
        "text",
        "label",
        "fold",
        *(f"{m}@{s}" for s in ("3", "all") for m in METHODS.split(",")),
    ]
    assert list(predictions["label"]) == list(test["intent"])
    assert set(predictions["fold"]) == {1}
    rights = {}
    for row in result.table.to_dict("records"):
        predicted = predictions[f"{row['method']}@{row['size']}"]
        right = rights[row["method"], row["size"]] = (predicted == test["intent"]).to_numpy()
        assert row["accuracy"] == right.mean()
        assert row["low"] <= row["accuracy"] <= row["high"]
        assert row["macro_f1"] == pytest.approx(f1_score(test["intent"], predicted, average="macro"))
        assert row["train_seconds"] > 0 and row["ms_per_sentence"] > 0 and row["megabytes"] > 0
    for size, part in result.table.groupby("size"):
        best = part.loc[part["accuracy"].idxmax(), "method"]
        for row in part.to_dict("records"):
            if row["method"] == best:
                assert np.isnan(row["p_value"])
            else:
                assert row["p_value"] == mcnemar(rights[row["method"], size], rights[best, size])
    floor = result.table[result.table["method"] == "majority"]
    assert (floor["accuracy"] == test["intent"].value_counts(normalize=True).max()).all()
    assert result.table["accuracy"].max() > 0.9

    per_intent = pd.read_csv(folder / "per_intent.csv", index_col=["size", "intent"])
    predicted = predictions["tfidf-svm@all"]
    expected = f1_score(test["intent"], predicted, average=None, labels=sorted(set(test["intent"])))
    np.testing.assert_allclose(per_intent.loc["all", "tfidf-svm"], expected)
    kept = json.loads((folder / "comparison.json").read_text())
    assert kept["advice"] == result.advice and len(kept["advice"]) == 2
    assert [row["method"] for row in kept["methods"]] == list(result.table["method"])
    pd.testing.assert_frame_equal(pd.read_csv(folder / "comparison.csv", dtype={"size": str}), result.table)
    for plot in ("cost.png", "per_intent.png", "learning_curve.png"):
        assert (folder / plot).read_bytes()[:4] == b"\x89PNG"
    assert not list(folder.parent.glob(".out*"))
    assert [word in result.report() for word in ("accuracy", "best", "all", "baseline: frozen BERT")] == [True] * 4


def test_bert_features_are_charged_their_vectors_and_their_encoder(config):
    result = compare(config())
    rows = result.table.set_index("method")
    encoder = 4 * (160 + 2 + 48) * 32
    assert rows.loc["bert-mean-logreg", "megabytes"] * 1e6 > encoder > rows.loc["tfidf-svm", "megabytes"] * 1e6 / 3
    assert rows.loc["bert-mean-logreg", "ms_per_sentence"] > rows.loc["majority", "ms_per_sentence"]


def test_vectors_that_the_process_knows_already_are_timed_all_the_same(config, files, monkeypatch):
    compare(config(methods="bert-mean-logreg"))
    computed = []
    original = shared_encoder.predict_in_batches
    monkeypatch.setattr(
        shared_encoder,
        "predict_in_batches",
        lambda predict, ids, *rest: computed.append(ids) or original(predict, ids, *rest),
    )
    compare(config(methods="bert-mean-logreg", sizes="3,all"))
    sentences = {text for name in files.values() for text in pd.read_csv(name)["text"]}
    assert len(sentences) in map(len, computed)


@pytest.mark.slow
def test_the_methods_that_train_bert_take_part(config):
    result = compare(config(methods="last-1,frozen-rnn", epochs=1))
    assert list(result.table["method"]) == ["frozen-rnn", "last-1"]
    assert (result.table["megabytes"] > 0.1).all()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the methods that were made, as they come; make "stop" one of them to be interrupted there."""
    names: list[str] = []

    def recorded(method: Method) -> Method:
        def make(config: CompareConfig) -> Any:
            if method.name in names[:1]:
                raise KeyboardInterrupt
            names.append(method.name)
            return method.make(config)

        return replace(method, make=make)

    monkeypatch.setattr(baselines, "METHODS", {name: recorded(each) for name, each in baselines.METHODS.items()})
    return names


def test_an_interrupted_comparison_goes_on(config, ran):
    ran.append("bert-mean-logreg")  # where it is interrupted
    with pytest.raises(KeyboardInterrupt):
        compare(config())
    assert ran[1:] == ["majority", "tfidf-svm"]
    assert [path.name for path in Path(config().output_dir).iterdir()] == ["outcomes.json"]
    ran.clear()
    first = compare(config())
    assert ran == ["bert-mean-logreg"]
    ran.clear()
    more = compare(config(methods=f"{METHODS},tfidf-logreg"))
    assert ran == ["tfidf-logreg"]
    assert list(more.table["method"]) == ["majority", "tfidf-logreg", "tfidf-svm", "bert-mean-logreg"]
    for name in METHODS.split(","):
        kept = more.table.set_index("method").loc[name, "train_seconds"]
        assert kept == first.table.set_index("method").loc[name, "train_seconds"]


KILLED = """
import os, signal, sys
from intent_bert import CompareConfig, compare
from intent_bert.estimators import comparison, comparison_result

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

keep = comparison.Outcomes.keep
if sys.argv[1] == "after the first method":
    comparison.Outcomes.keep = lambda *arguments: (keep(*arguments), kill())
else:
    comparison_result.save_plot = kill
compare(CompareConfig(train_file=sys.argv[2], test_file=sys.argv[3], methods=sys.argv[4], output_dir=sys.argv[5]))
"""


class _CtrlC(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_method_that_was_interrupted_in_its_fit_is_no_outcome(config, tmp_path, monkeypatch):
    asked = config(methods="majority,fine-tuning", epochs=2)
    real = classifier.fit
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(classifier, "fit", lambda prepared, **_: real(prepared, callbacks=[_CtrlC()], verbose=0))
        compare(asked)
    kept = json.loads((tmp_path / "out" / "outcomes.json").read_text())["values"]
    assert list(kept) == ["majority@all"]
    assert list(compare(asked).table["method"]) == ["majority", "fine-tuning"]


def test_a_comparison_that_was_killed_goes_on_to_the_same_predictions(config, files, ran, tmp_path):
    methods, folder = "majority,tfidf-svm", Path(config().output_dir)
    undisturbed = compare(config(methods=methods, output_dir=str(tmp_path / "undisturbed")))
    for moment, done in (
        ("after the first method", ["majority@all"]),
        ("while plotting", ["majority@all", "tfidf-svm@all"]),
    ):
        command = [sys.executable, "-c", KILLED, moment, *files.values(), methods, folder]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert list(json.loads((folder / "outcomes.json").read_text())["values"]) == done
        assert not (folder / "comparison.csv").exists()
    ran.clear()
    result = compare(CompareConfig(**files, methods=methods, output_dir=str(folder)))
    assert ran == []
    pd.testing.assert_frame_equal(result.predictions, undisturbed.predictions)
    assert not list(folder.parent.glob(".*"))


LIGHT = """
import sys
from intent_bert import CompareConfig
from intent_bert.estimators.comparison import compare

result = compare(CompareConfig(data="sample", methods="tfidf-svm", output_dir=sys.argv[1]))
print(result.report())
print([name for name in ("tensorflow", "keras") if name in sys.modules])
"""


def test_words_alone_load_neither_tensorflow_nor_keras(tmp_path):
    command = [sys.executable, "-c", LIGHT, tmp_path / "out"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "baseline: words without BERT" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_two_at_once_in_one_folder(config):
    with one_writer(config().output_dir), pytest.raises(DiskError, match="is writing to"):
        compare(config(methods="majority"))


def test_cross_validation_predicts_every_sentence_once(config, files):
    result = compare(config(folds=4, methods="tfidf-svm"))
    train = pd.read_csv(files["train_file"])
    assert sorted(result.predictions["text"]) == sorted(train["text"])
    labels = dict(zip(train["text"], train["intent"], strict=True))
    assert [labels[text] for text in result.predictions["text"]] == list(result.predictions["label"])
    assert result.table["train_rows"].iloc[0] == round(len(train) * 3 / 4)
    assert result.table["accuracy"].iloc[0] > 0.8


@pytest.mark.slow
def test_the_same_seed_gives_the_same_predictions(config, tmp_path):
    settings = {"methods": "last-1", "epochs": 1, "sizes": "4"}
    first = compare(config(**settings))
    again = compare(config(**settings, output_dir=str(tmp_path / "again")))
    pd.testing.assert_frame_equal(first.predictions, again.predictions)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"methods": "svm"}, "unknown method 'svm': did you mean"),
        ({"sizes": "10,many"}, "sizes must be numbers above 0, or all, separated by commas, not '10,many'"),
        ({"sizes": "0"}, "sizes must be numbers above 0, or all, separated by commas, not '0'"),
        ({"folds": 1}, "folds must be 0, or at least 2, not 1"),
        ({"folds": 1000}, "folds must be at most "),
        ({"methods": "majority,last-99"}, "last-99 is one of 5 or more layers, but "),
        ({"test_split": 0.0}, "test_split must be above 0 and below 1, not 0.0"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"seed": -1}, "seed must be 0 to 4294967295, not -1"),
        ({"class_weight": "even"}, "class_weight must be 'balanced', None or a weight for each label, not 'even'"),
        ({"class_weight": {"music": 2}}, "class_weight must have a weight for each label and no other: see 'table'"),
        ({"checkpoint": "all-MiniLM-L6-v3"}, "'all-MiniLM-L6-v3' is"),
        ({"max_seq_len": 500}, "max_seq_len must be 3 to 48 tokens for this checkpoint, not 500"),
        ({"methods": "word2vec-svm", "word_vectors": "nowhere.vec"}, "the file of word vectors nowhere.vec can't be"),
        ({"train_file": None}, "say what to train on: either --data NAME or --train-file FILE, and not both"),
    ],
)
def test_a_mistake_is_told_and_leaves_nothing(config, settings, expected):
    with pytest.raises(IntentBertError) as caught:
        compare(config(**settings))
    assert str(caught.value).startswith(expected)
    assert not (Path(CompareConfig().output_dir) if "output_dir" in settings else Path(config().output_dir)).exists()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            "tfidf-svm",
            "TF-IDF needs a word of two or more letters, but none of the 4 training sentences has one: leave out the "
            "methods with tfidf",
        ),
        ("word2vec-svm", "expected texts to learn word vectors from, but no word stands in these 4"),
    ],
)
def test_sentences_without_a_word_are_told_before_anything_runs(config, ran, tmp_path, method, expected):
    if method == "word2vec-svm":
        pytest.importorskip("gensim")
    sign = "x" if method == "tfidf-svm" else "?"
    rows = pd.DataFrame(
        {"text": [sign * (number if sign == "?" else 1) for number in range(1, 5)], "intent": list("abab")}
    )
    if sign == "x":
        rows["text"] = list("wxyz")
    rows.to_csv(tmp_path / "short.csv", index=False)
    file = str(tmp_path / "short.csv")
    with pytest.raises(DataError) as caught:
        compare(config(train_file=file, test_file=file, methods=f"majority,{method}"))
    assert str(caught.value) == expected
    assert ran == []


def test_no_label_of_the_test_table_is_known(config, tmp_path):
    pd.DataFrame({"text": ["play", "rain"], "intent": ["x", "y"]}).to_csv(tmp_path / "other.csv", index=False)
    result = compare(config(methods="majority,tfidf-svm", test_file=str(tmp_path / "other.csv")))
    assert result.advice == [
        "No method has a single prediction right.",
        "See whether the test table has the labels of the training table.",
    ]


def test_labels_and_texts_are_text_in_every_file(config, small_table, tmp_path):
    labels = {"music": "costs $x_{$ a", "weather": "a\rb", "table": 'quoted "|" <b>,'}
    table = small_table.assign(intent=small_table["intent"].map(labels))
    table.loc[0, "text"] = "play\rmusic"
    table.to_parquet(tmp_path / "table.parquet")
    file = str(tmp_path / "table.parquet")
    result = compare(config(train_file=file, test_file=file, methods="majority,tfidf-svm", sizes="3,all"))
    again = pd.read_csv(result.folder / "predictions.csv")
    assert list(again["text"]) == list(table["text"])
    assert list(again["label"]) == list(table["intent"])
    pd.testing.assert_frame_equal(again, result.predictions, check_dtype=False)
    read = read_table(result.folder / "predictions.csv", label_column="tfidf-svm@all")
    assert list(read["intent"]) == list(result.predictions["tfidf-svm@all"])
    assert set(pd.read_csv(result.folder / "per_intent.csv")["intent"]) == set(labels.values())


def test_weights_of_labels_that_are_whole_numbers(config, small_table, tmp_path):
    numbers = {"music": 0, "weather": 1, "table": 10}
    small_table.assign(intent=small_table.intent.map(numbers)).to_csv(tmp_path / "numbers.csv", index=False)
    methods = "tfidf-svm,tfidf-logreg"
    weights = {0: 1.0, 1: np.float64(2), 10: 1}
    result = compare(config(train_file=tmp_path / "numbers.csv", test_file=None, methods=methods, class_weight=weights))
    assert set(result.predictions["tfidf-svm@all"]) <= {"0", "1", "10"}


def test_settings_of_numpy_and_paths(config, files, tmp_path):
    settings = {name: Path(file) for name, file in files.items()}
    result = compare(
        config(**settings, methods="majority,tfidf-svm", folds=np.int64(2), seed=np.int32(1),
               test_split=np.float32(0.5),
               class_weight={np.str_(name): np.float64(2) for name in ("music", "weather", "table")},
               output_dir=tmp_path / "paths")
    )  # fmt: skip
    kept = json.loads((result.folder / "comparison.json").read_text())["settings"]
    assert (kept["folds"], kept["seed"], kept["class_weight"]["music"]) == (2, 1, 2.0)
    assert kept["train_file"] == files["train_file"]
    assert set(result.predictions["fold"]) == {1, 2}


def test_a_folder_of_something_else_is_refused(config, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(IntentBertError, match=r"other: it holds other things \(letter\.txt\); name a new"):
        compare(config(output_dir=str(other)))
    assert [path.name for path in other.iterdir()] == ["letter.txt"]
    compare(config(methods="majority"))
    with pytest.raises(IntentBertError, match=r"out had seed=0, not 1: name another folder, or delete that one$"):
        compare(config(methods="majority", seed=1))


def test_a_folder_of_an_earlier_version_is_refused(config, tmp_path):
    (tmp_path / "out" / "outcomes").mkdir(parents=True)
    (tmp_path / "out" / "outcomes" / "settings.json").write_text("{}")
    with pytest.raises(SettingsError) as caught:
        compare(config(methods="majority"))
    assert str(caught.value) == (
        f"{tmp_path / 'out'} holds a comparison that an earlier version of intent_bert wrote: name another folder, or "
        "delete that one"
    )


@pytest.mark.parametrize("content", ["{", '{"settings": {}, "values": {"majority@all": {"answers": []}}}'])
def test_damaged_outcomes_are_told(config, content):
    folder = compare(config(methods="majority")).folder
    if content != "{":
        kept = json.loads((folder / "outcomes.json").read_text())
        content = json.dumps({**kept, "values": json.loads(content)["values"]})
    (folder / "outcomes.json").write_text(content)
    with pytest.raises(DiskError) as caught:
        compare(config(methods="majority"))
    assert str(caught.value) == f"{folder / 'outcomes.json'} is damaged: delete {folder} to start from the beginning"


def test_a_disk_that_is_full_keeps_what_is_done(config, ran, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(comparison_result, "save_plot", full)
        with pytest.raises(DiskError, match=r"can't write .*out: No space left on device; nothing was changed"):
            compare(config(methods="majority"))
    ran.clear()
    assert list(compare(config(methods="majority")).table["method"]) == ["majority"]
    assert ran == []


def test_methods_are_looked_up_before_anything_is_read(monkeypatch, config):
    monkeypatch.setattr(baselines, "METHODS", {})
    with pytest.raises(IntentBertError, match="unknown method 'majority'"):
        compare(config(train_file="nowhere.csv"))
