"""Tables checked and split, and the tutorial's preprocessor. Every message that a user may meet is compared."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.data.checks import check_tables
from intent_bert.data.preprocessing import IntentDetectionData
from intent_bert.data.splits import split_off, split_table
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, SettingsError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def table_of(*rows: tuple, source: str = "train.csv") -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["text", "intent"], dtype=object, index=range(2, len(rows) + 2))
    table.attrs["source"] = source
    return table


# --- checks across rows and tables -------------------------------------------------------------------------------


def test_one_class_only_is_an_error():
    with pytest.raises(DataError, match=r"^train\.csv has one intent only, 'x': expected at least two$"):
        check_tables(table_of(("a", "x"), ("b", "x")))


def test_a_label_of_its_own_in_each_row_asks_for_the_right_column(tmp_path, caplog):
    rows = [f"{number},sentence {number},{'ab'[number % 2]},{number % 5}" for number in range(40)]
    path = write(tmp_path, "a.csv", "\n".join(["id,text,intent,week day", *rows]))
    with pytest.raises(DataError) as caught:
        check_tables(read_table(path, label_column="id"))
    assert str(caught.value) == (
        f"{path} has 40 intents in 40 rows; did you mean --label-column intent or --label-column week day? "
        "Nothing can be learnt where each row has an intent of its own"
    )
    assert check_tables(read_table(path)) == []
    alone = write(tmp_path, "b.csv", "\n".join(["id,text", *(f"{n},sentence {n}" for n in range(40))]))
    expected = f"{alone} has 40 intents in 40 rows; did you mean another --label-column?"
    assert check_tables(read_table(alone, label_column="id")) == [expected]  # a sentence an intent may be meant
    assert caplog.messages == [expected]
    few = write(tmp_path, "c.csv", "\n".join(["id,text", *(f"{n},sentence {n}" for n in range(19))]))
    assert check_tables(read_table(few, label_column="id")) == []


def test_very_many_labels_are_a_warning_or_an_error():
    texts = [f"sentence {number}" for number in range(2000)]
    question = "the given texts has 1,200 intents in 2,000 rows; did you mean another --label-column?"
    assert check_tables(read_table((texts, [number % 1200 for number in range(2000)]))) == [question]
    assert check_tables(read_table((texts, [number % 1000 for number in range(2000)]))) == []
    with pytest.raises(DataError, match=r"2,000 intents in 2,000 rows; did you mean .*\? Nothing can be learnt"):
        check_tables(read_table((texts, range(2000))))


def test_sentences_stay_short_when_there_is_much_to_tell():
    train = table_of(*[("a" * 1000, f"{number} {'x' * 200}") for number in range(50)])
    test = table_of(*[("b", f"new {number}") for number in range(500)], source="test.csv")
    contradiction, unknown = check_tables(train, test=test)[-2:]
    assert contradiction.endswith("... and 40 more)") and len(contradiction) < 1500
    assert unknown.endswith("new 9 (1) and 490 more")


def test_one_text_under_two_intents_is_a_warning_with_rows_and_an_error_when_strict(caplog):
    train = table_of(("a", "x"), ("b", "y"), ("a", "y"), ("c", "x"))
    expected = "train.csv: 1 text stands under more than one intent, such as 'a' (row 2: x, row 4: y)"
    with caplog.at_level(logging.WARNING, "intent_bert"):
        assert check_tables(train) == [expected]
    assert [record.getMessage() for record in caplog.records] == [expected]
    with pytest.raises(DataError) as caught:
        check_tables(train, strict=True)
    assert str(caught.value) == f"{expected} (an error because of --strict)"
    assert check_tables(table_of(("a", "x"), ("a", "x"), ("b", "y")), strict=True) == []


def test_overlap_and_unknown_labels_of_other_tables_are_counted(caplog):
    train = table_of(("a", "x"), ("b", "y"), ("c", "x"))
    validation = table_of(("d", "x"), source="valid.csv")
    test = table_of(("a", "x"), ("e", "new"), ("c", "x"), ("f", "new"), ("g", "other"), source="test.csv")
    with caplog.at_level(logging.WARNING, "intent_bert"):
        warnings = check_tables(train, validation, test)
    assert warnings == [
        "test.csv: 2 of 5 test texts also stand in train, such as row 2: 'a'",
        "test.csv: test has labels that train never had, counted as mistakes: new (2), other (1)",
    ]
    assert [record.getMessage() for record in caplog.records] == warnings
    with pytest.raises(DataError, match="2 of 5 test texts also stand in train"):
        check_tables(train, validation, test, strict=True)


# --- splitting ---------------------------------------------------------------------------------------------------


def test_split_is_stratified_seeded_and_loses_nothing(small_table):
    rest, held_out = split_off(small_table, 0.2, seed=1)
    assert held_out["intent"].value_counts().tolist() == [6, 6, 6]
    assert sorted([*rest.index, *held_out.index]) == list(small_table.index)
    again = split_off(small_table, 0.2, seed=1)[1]
    assert again.index.equals(held_out.index)
    assert not split_off(small_table, 0.2, seed=2)[1].index.equals(held_out.index)


def test_split_keeps_singletons_and_every_intent_in_the_first_table():
    table = table_of(("a", "one"), ("b", "two"), ("c", "two"), *((f"text {n}", "many") for n in range(10)))
    for share in (0.01, 0.1, 0.9, 0.99):
        rest, held_out = split_off(table, share, seed=0)
        assert set(rest["intent"]) == {"one", "two", "many"}
        assert set(held_out["intent"]) == {"two", "many"}
    with pytest.raises(SettingsError, match=r"^the validation share must be between 0 and 1, not 1\.5$"):
        split_off(table, 1.5, seed=0)


def test_split_puts_all_rows_of_a_text_on_one_side():
    rows = [(f"text {n % 20}", "x" if n % 20 < 10 else "y") for n in range(60)]
    rest, held_out = split_off(table_of(*rows), 0.3, seed=0)
    assert not set(rest["text"]) & set(held_out["text"])
    assert len(held_out) == 3 * 6
    contested = table_of(("both", "x"), ("both", "y"), *((f"text {n}", "y") for n in range(5)))
    rest, held_out = split_off(contested, 0.5, seed=0)
    assert "both" not in set(held_out["text"])
    assert set(rest["intent"]) == {"x", "y"}


def test_a_table_becomes_train_validation_and_test(small_table):
    train, validation, test = split_table(small_table, (60, 20, 20), seed=1)
    for part, size in ((train, 18), (validation, 6), (test, 6)):
        assert part["intent"].value_counts().to_dict() == {"music": size, "weather": size, "table": size}
        assert part.index.is_monotonic_increasing
        assert part.attrs["source"] == "the DataFrame"
    assert sorted([*train.index, *validation.index, *test.index]) == list(small_table.index)
    for again, part in zip(split_table(small_table, (0.6, 0.2, 0.2), 1), (train, validation, test), strict=True):
        pd.testing.assert_frame_equal(again, part)
    assert not split_table(small_table, (60, 20, 20), seed=2)[2].equals(test)
    in_two = split_table(small_table, (80, 20), seed=1)
    assert len(in_two) == 2
    pd.testing.assert_frame_equal(in_two[1], test)
    assert [len(part) for part in split_table(small_table)] == [63, 15, 12]  # of 30 each: 21, 5, 4


@pytest.mark.parametrize("shares", [(0.7, 0.15, 0.15), (70, 15, 15)])
def test_a_table_is_split_in_three_with_every_intent_in_each(shares):
    table = pd.DataFrame({"text": [f"text {n}" for n in range(400)], "intent": ["a"] * 200 + ["b"] * 100 + ["c"] * 100})
    parts = split_table(table, shares, seed=1)
    assert [part["intent"].value_counts().to_dict() for part in parts] == [
        {"a": 140, "b": 70, "c": 70}, {"a": 30, "b": 15, "c": 15}, {"a": 30, "b": 15, "c": 15},
    ]  # fmt: skip
    assert sorted(pd.concat(parts).index) == list(table.index)
    pd.testing.assert_frame_equal(parts[2], split_table(table, shares, seed=1)[2])
    assert not parts[2].equals(split_table(table, shares, seed=2)[2])


def test_repeated_texts_stay_together_and_rare_intents_in_train():
    rows = [(f"text {n % 50}", "a") for n in range(100)] + [("only one", "rare"), ("first", "two"), ("second", "two")]
    table = pd.DataFrame(rows, columns=["text", "intent"])
    train, validation, test = split_table(table, (0.6, 0.2, 0.2))
    for one, other in ((train, validation), (train, test), (validation, test)):
        assert not set(one["text"]) & set(other["text"])
    assert "only one" in set(train["text"])
    assert {"two"} <= set(train["intent"]) & set(test["intent"])
    assert [len(part) for part in split_table(table, (0.5, 0.5))] == [52, 51]


def test_thirds_are_thirds(small_table):
    assert [len(part) for part in split_table(small_table, (1 / 3, 1 / 3, 1 / 3))] == [30, 30, 30]


def test_rare_intents_go_to_train_then_to_test_then_to_validation():
    rare = [("a", "one"), ("b", "two"), ("c", "two"), ("d", "three"), ("e", "three"), ("f", "three")]
    table = table_of(*rare, *((f"text {n}", "many") for n in range(20)))
    for shares in ((70, 15, 15), (30, 40, 30), (98, 1, 1)):
        train, validation, test = (set(part["intent"]) for part in split_table(table, shares))
        assert (train, validation, test) == (
            {"one", "two", "three", "many"},
            {"three", "many"},
            {"two", "three", "many"},
        )


def test_rows_of_a_text_stay_together_in_three_parts_and_contested_ones_in_train():
    rows = [(f"text {n % 20}", "x" if n % 20 < 10 else "y") for n in range(60)]
    table = table_of(*rows, ("both", "x"), ("both", "y"))
    for seed in range(5):
        parts = [set(part["text"]) for part in split_table(table, (50, 25, 25), seed)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 21
        assert "both" in parts[0]


@pytest.mark.parametrize(
    "shares", [(), (1,), (70, 15), (70, 15, 16), (0.7, 0.3, 0), (1.2, -0.2), (25, 25, 25, 25), "70", (float("nan"), 1)]
)
def test_shares_that_cannot_be_meant_are_refused(small_table, shares):
    with pytest.raises(SettingsError) as caught:
        split_table(small_table, shares)
    assert str(caught.value) == (
        "expected three shares (train, validation, test) or two (train, test) above 0 that add up to 1 or to 100, "
        f"such as 70, 15, 15, not {', '.join(map(str, shares))}"
    )


def test_a_table_that_cannot_be_split_is_refused(small_table, tmp_path):
    pairs = table_of(("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"))
    assert [len(part) for part in split_table(pairs, (50, 50))] == [2, 2]
    with pytest.raises(DataError) as caught:
        split_table(pairs)
    assert str(caught.value) == (
        "train.csv is too small to split so: validation would be empty; add sentences, or give other shares"
    )
    with pytest.raises(DataError, match=r"^train\.csv is too small to split so: test would be empty; add"):
        split_table(table_of(("a", "x"), ("b", "y")), (50, 50))
    with pytest.raises(DataError, match="the DataFrame has no column 'intent'; it has: text, label"):
        split_table(small_table.rename(columns={"intent": "label"}))
    with pytest.raises(DataError, match="no such file"):
        split_table(tmp_path / "no.csv")
    with pytest.raises(SettingsError, match=r"^seed must be 0 to 4294967295, not -1$"):
        split_table(small_table, seed=-1)


# --- IntentDetectionData -----------------------------------------------------------------------------------------


@pytest.fixture
def tokenizer(tiny_checkpoint) -> FullTokenizer:
    return FullTokenizer(vocab_file=str(tiny_checkpoint / "vocab.txt"))


def test_the_tutorials_call_gives_its_attributes(tokenizer, small_table):
    train, test = small_table.iloc[:-9], small_table.iloc[-9:]
    classes = train.intent.unique().tolist()
    data = IntentDetectionData(train, test, tokenizer, classes, max_seq_len=128)
    longest = max(len(tokenizer.tokenize(text)) for text in small_table["text"]) + 2
    assert data.max_seq_len == longest < 128
    assert data.train_x.shape == (len(train), longest)
    assert data.test_x.shape == (9, longest)
    assert data.train_y.shape == (len(train),)
    assert {array.dtype for array in (data.train_x, data.train_y, data.test_x, data.test_y)} == {np.dtype("int32")}
    assert data.classes == classes == ["music", "weather", "table"]
    assert data.tokenizer is tokenizer
    assert (data.validation, data.validation_x, data.validation_y) == (None, None, None)
    for row, (text, intent) in enumerate(zip(data.train["text"], data.train["intent"], strict=True)):
        tokens = ["[CLS]", *tokenizer.tokenize(text), "[SEP]"]
        ids = tokenizer.convert_tokens_to_ids(tokens)
        assert data.train_x[row].tolist() == ids + [0] * (longest - len(ids))
        assert classes[data.train_y[row]] == intent
    assert sorted(data.train.index) == sorted(train.index)


def test_the_last_tenth_of_the_training_rows_has_every_intent(tokenizer, small_table):
    """What ``fit(validation_split=0.1)`` holds out; a table sorted by intent would give it one intent only."""
    assert len(set(small_table["intent"][-9:])) == 1
    data = IntentDetectionData(small_table, None, tokenizer)
    assert set(data.train_y[-9:]) == {0, 1, 2}
    unshuffled = IntentDetectionData(small_table, None, tokenizer, seed=None)
    assert unshuffled.train["text"].tolist() == small_table["text"].tolist()
    assert (data.test, data.test_x) == (None, None)


def test_truncation_keeps_cls_and_sep_and_is_told_once(tokenizer, small_table, caplog):
    with caplog.at_level(logging.WARNING, "intent_bert"):
        data = IntentDetectionData(
            small_table, (["play " * 40, "rain"], ["music", "weather"]), tokenizer, max_seq_len=4
        )
    lengths = [len(tokenizer.tokenize(text)) for text in [*small_table["text"], "play " * 40, "rain"]]
    cut = sum(length > 2 for length in lengths)
    assert [record.getMessage() for record in caplog.records] == [f"{cut} sentences were cut to max_seq_len=4 tokens"]
    cls_id, play, sep_id = tokenizer.convert_tokens_to_ids(["[CLS]", "play", "[SEP]"])
    assert data.test_x.tolist()[0] == [cls_id, play, play, sep_id]
    assert data.max_seq_len == 4


def test_a_path_own_columns_and_a_validation_table(tokenizer, tmp_path):
    path = write(tmp_path, "train.csv", "utterance,label\nplay music,music\nrain,weather\n")
    frame = pd.DataFrame({"utterance": ["play"], "label": ["music"]})
    data = IntentDetectionData(
        path, frame, tokenizer, validation=frame, text_column="utterance", label_column="label", seed=None
    )
    assert data.train["intent"].tolist() == ["music", "weather"]
    assert data.classes == ["music", "weather"]
    assert data.validation_x.tolist() == data.test_x.tolist()
    assert data.validation_y.tolist() == [0]
    with pytest.raises(DataError, match="has no column 'text'; it has: utterance, label"):
        IntentDetectionData(path, None, tokenizer)


def test_test_labels_that_train_never_had_are_minus_one_and_told(tokenizer, small_table, caplog):
    test = (["play", "jump", "run"], ["music", "sport", "sport"])
    with caplog.at_level(logging.WARNING, "intent_bert"):
        data = IntentDetectionData(small_table, test, tokenizer)
    assert data.test_y.tolist() == [0, -1, -1]
    assert "test has labels that train never had, counted as mistakes: sport (2)" in caplog.text
    with pytest.raises(DataError, match=r"the training label 'table' is not among the classes \['music', 'weather'\]"):
        IntentDetectionData(small_table, None, tokenizer, ["music", "weather"], seed=None)


def test_number_labels_and_a_csv_meet(tokenizer, tmp_path):
    path = write(tmp_path, "test.csv", "text,intent\nplay,2\nrain,1\n")
    data = IntentDetectionData((["play music", "rain"], [2, 1]), path, tokenizer)
    assert data.classes == [1, 2]
    assert data.test_y.tolist() == [1, 0]
