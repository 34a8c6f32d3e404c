"""Methods on one split: the figures, the folder, what is kept when it is interrupted, what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from intent_bert.config import CompareConfig
from intent_bert.data.splits import split_off
from intent_bert.errors import IntentBertError
from intent_bert.estimators import baselines as rivals
from intent_bert.estimators import bert_features as features
from intent_bert.estimators import comparison
from intent_bert.estimators.comparison import Outcome, _Runner, _Split, compare
from intent_bert.evaluation.significance import mcnemar

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


def test_figures_and_files(config, files):
    result = compare(config(sizes="3,all"))
    folder = result.folder
    assert list(result.table["method"]) == METHODS.split(",") * 2
    assert list(result.table["size"]) == ["3"] * 3 + ["all"] * 3
    assert list(result.table["train_rows"]) == [9] * 3 + [len(pd.read_csv(files["train_file"]))] * 3

    test = pd.read_csv(files["test_file"])
    predictions = pd.read_csv(folder / "predictions.csv")
    assert list(predictions["truth"]) == list(test["intent"])
    rights = {}
    for row in result.table.to_dict("records"):
        answers = predictions[f"{row['method']}@{row['size']}"]
        right = rights[row["method"], row["size"]] = (answers == test["intent"]).to_numpy()
        assert row["accuracy"] == right.mean()
        assert row["low"] <= row["accuracy"] <= row["high"]
        assert row["macro_f1"] == pytest.approx(f1_score(test["intent"], answers, average="macro"))
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
    answers = predictions["tfidf-svm@all"]
    expected = f1_score(test["intent"], answers, average=None, labels=sorted(set(test["intent"])))
    np.testing.assert_allclose(per_intent.loc["all", "tfidf-svm"], expected)
    kept = json.loads((folder / "comparison.json").read_text())
    assert kept["advice"] == result.advice and len(kept["advice"]) == 2
    assert [row["method"] for row in kept["methods"]] == list(result.table["method"])
    pd.testing.assert_frame_equal(pd.read_csv(folder / "comparison.csv", dtype={"size": str}), result.table)
    for picture in ("cost.png", "per_intent.png", "learning_curve.png"):
        assert (folder / picture).read_bytes()[:4] == b"\x89PNG"
    assert "accuracy" in result.report() and "best" in result.report() and "all" in result.report()


def test_bert_features_are_charged_their_vectors_and_their_encoder(config):
    result = compare(config())
    rows = result.table.set_index("method")
    encoder = 4 * (160 + 2 + 48) * 32
    assert rows.loc["bert-mean-logreg", "megabytes"] * 1e6 > encoder > rows.loc["tfidf-svm", "megabytes"] * 1e6 / 3
    assert rows.loc["bert-mean-logreg", "ms_per_sentence"] > rows.loc["majority", "ms_per_sentence"]


def test_vectors_that_the_process_knows_already_are_timed_all_the_same(config, files, monkeypatch):
    compare(config(methods="bert-mean-logreg"))
    computed = []
    original = features.predict_in_batches
    monkeypatch.setattr(
        features,
        "predict_in_batches",
        lambda predict, ids, *rest: computed.append(ids) or original(predict, ids, *rest),
    )
    compare(config(methods="bert-mean-logreg", sizes="3,all"))
    sentences = {text for name in files.values() for text in pd.read_csv(name)["text"]}
    assert len(sentences) in map(len, computed)


def test_the_methods_that_train_bert_take_part(config):
    result = compare(config(methods="last-1,frozen-rnn", epochs=1))
    assert list(result.table["method"]) == ["frozen-rnn", "last-1"]
    assert (result.table["megabytes"] > 0.1).all()


def test_an_interrupted_comparison_goes_on(config, monkeypatch):
    ran = []
    original = _Runner.run

    def run(self: _Runner, rival: Any, size: str) -> Outcome:
        if rival.name == "bert-mean-logreg" and not ran.count("interrupted"):
            ran.append("interrupted")
            raise KeyboardInterrupt
        ran.append(rival.name)
        return original(self, rival, size)

    monkeypatch.setattr(_Runner, "run", run)
    with pytest.raises(KeyboardInterrupt):
        compare(config())
    folder = Path(config().output_dir)
    assert sorted(path.name for path in (folder / "outcomes").glob("*@*")) == [
        "majority@all.json",
        "tfidf-svm@all.json",
    ]
    first = compare(config())
    assert ran == ["majority", "tfidf-svm", "interrupted", "bert-mean-logreg"]
    more = compare(config(methods=f"{METHODS},tfidf-logreg"))
    assert ran[4:] == ["tfidf-logreg"]
    assert list(more.table["method"]) == ["majority", "tfidf-logreg", "tfidf-svm", "bert-mean-logreg"]
    for name in METHODS.split(","):
        kept = more.table.set_index("method").loc[name, "train_seconds"]
        assert kept == first.table.set_index("method").loc[name, "train_seconds"]


def test_cross_validation_answers_every_sentence_once(config, files):
    result = compare(config(folds=4, methods="tfidf-svm"))
    train = pd.read_csv(files["train_file"])
    assert sorted(result.predictions["text"]) == sorted(train["text"])
    truth = dict(zip(train["text"], train["intent"], strict=True))
    assert [truth[text] for text in result.predictions["text"]] == list(result.predictions["truth"])
    assert result.table["train_rows"].iloc[0] == round(len(train) * 3 / 4)
    assert result.table["accuracy"].iloc[0] > 0.8


def test_folds_and_samples_are_what_they_should_be(small_table):
    doubled = pd.concat([small_table, small_table.iloc[:20]], ignore_index=True)
    split = _Split.of({"train": doubled}, CompareConfig(folds=5))
    for train, test in split.folds:
        assert not set(train["text"]) & set(test["text"])
    held_out = _Split.of({"train": small_table}, CompareConfig(test_split=0.25, seed=3))
    assert held_out.folds[0][1]["intent"].value_counts().nunique() == 1
    small, large = (held_out.sampled(size, 3)[0][0] for size in ("2", "5"))
    assert set(small["text"]) < set(large["text"])
    assert list(large["intent"].value_counts()) == [5, 5, 5]
    assert not large.equals(held_out.sampled("5", 4)[0][0])
    assert held_out.sampled("1000", 3)[0][0].equals(held_out.folds[0][0])


def test_the_same_seed_gives_the_same_answers(config, tmp_path):
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
        ({"test_split": 0.0}, "test_split must be above 0 and below 1, not 0.0"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"seed": -1}, "seed must be 0 to 4294967295, not -1"),
        ({"class_weight": "even"}, "class_weight must be 'balanced', None or a weight for each label, not 'even'"),
        ({"checkpoint": "all-MiniLM-L6-v3"}, "'all-MiniLM-L6-v3' is"),
        ({"max_seq_len": 500}, "max_length must be 3 to 48 tokens for this checkpoint, not 500"),
        ({"methods": "word2vec-svm", "word_vectors": "nowhere.vec"}, "the file of word vectors nowhere.vec can't be"),
        ({"train_file": None}, "say what to train on: either --data NAME or --train-file FILE, and not both"),
    ],
)
def test_a_mistake_is_told_and_leaves_nothing(config, settings, expected):
    with pytest.raises(IntentBertError) as caught:
        compare(config(**settings))
    assert str(caught.value).startswith(expected)
    assert not (Path(CompareConfig().output_dir) if "output_dir" in settings else Path(config().output_dir)).exists()


def test_a_folder_of_something_else_is_refused(config, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(IntentBertError, match=r"other: it holds other things \(letter\.txt\); name a new"):
        compare(config(output_dir=str(other)))
    assert [path.name for path in other.iterdir()] == ["letter.txt"]
    compare(config(methods="majority"))
    with pytest.raises(IntentBertError, match=r"out holds a comparison with seed=0, not 1: name another folder"):
        compare(config(methods="majority", seed=1))
    outcome = Path(config().output_dir) / "outcomes" / "majority@all.json"
    outcome.write_text("{")
    with pytest.raises(
        IntentBertError, match=r"majority@all\.json is damaged: delete it to have this method run again"
    ):
        compare(config(methods="majority"))


def test_a_disk_that_is_full_keeps_what_is_done(config, monkeypatch):
    compare(config(methods="majority"))
    monkeypatch.setattr(comparison, "write_json", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(IntentBertError, match=r"can't write to .*: No space left; what is done so far is kept"):
        compare(config(methods="majority,tfidf-svm"))
    assert (Path(config().output_dir) / "outcomes" / "majority@all.json").is_file()


def test_rivals_are_looked_up_before_anything_is_read(monkeypatch, config):
    monkeypatch.setattr(rivals, "RIVALS", {})
    with pytest.raises(IntentBertError, match="unknown method 'majority'"):
        compare(config(train_file="nowhere.csv"))
