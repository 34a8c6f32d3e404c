"""Tables read, checked and split; sentences as ids and batches. Every message that a user may meet is compared."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.data import (
    IntentDetectionData,
    bucketed_batches,
    check_tables,
    classes_of,
    encode,
    label_ids,
    pad,
    read_table,
    split_off,
    split_table,
)
from intent_bert.errors import DataError, SettingsError

WITH_LINE_FEED = 'text,intent\n"play\na song",music\n"a ""quoted"" word, here",talk\n'


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def message_of(source: object, **columns: str) -> str:
    with pytest.raises(DataError) as caught:
        read_table(source, **columns)
    return str(caught.value)


def table_of(*rows: tuple, source: str = "train.csv") -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["text", "intent"], dtype=object, index=range(2, len(rows) + 2))
    table.attrs["source"] = source
    return table


# --- readers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", WITH_LINE_FEED),
        ("bom.csv", b"\xef\xbb\xbf" + WITH_LINE_FEED.encode()),
        ("upper.CSV", WITH_LINE_FEED),
        ("extra.csv", 'id,intent,text\n1,music,"play\na song"\n2,talk,"a ""quoted"" word, here"\n'),
        ("tabs.tsv", 'text\tintent\n"play\na song"\tmusic\n"a ""quoted"" word, here"\ttalk\n'),
        (
            "lines.jsonl",
            '{"text": "play\\na song", "intent": "music"}\n{"intent": "talk", "text": "a \\"quoted\\" word, here"}\n',
        ),
    ],
)
def test_text_formats_give_the_same_rows(tmp_path, name, content):
    table = read_table(write(tmp_path, name, content))
    assert list(table.columns) == ["text", "intent"]
    assert table["text"].tolist() == ["play\na song", 'a "quoted" word, here']
    assert table["intent"].tolist() == ["music", "talk"]
    assert table.index.tolist() == ([1, 2] if name.endswith("jsonl") else [2, 3])
    assert table.attrs["source"] == str(tmp_path / name)


def test_crlf_non_ascii_and_blank_lines_keep_text_and_row_numbers(tmp_path):
    content = "text,intent\r\nspiel Grüße von José,müsik\r\n\r\n播放音乐 🎵,music\r\n,\r\nlast, x \r\n\r\n"
    table = read_table(write(tmp_path, "a.csv", content))
    assert table["text"].tolist() == ["spiel Grüße von José", "播放音乐 🎵", "last"]
    assert table["intent"].tolist() == ["müsik", "music", "x"]
    assert table.index.tolist() == [2, 4, 6]
    lines = '\ufeff{"text": "a", "intent": 1}\r\n\r\n{"text": "b\u2028c", "intent": true}\r\n'
    table = read_table(write(tmp_path, "a.jsonl", lines))
    assert table.index.tolist() == [1, 3]
    assert table["text"].tolist() == ["a", "b\u2028c"]
    assert [(type(label), label) for label in table["intent"]] == [(int, 1), (bool, True)]


def test_blank_lines_above_the_header_count_as_rows(tmp_path):
    table = read_table(write(tmp_path, "a.csv", "\r\n\r\ntext,intent\r\na,x\r\n"))
    assert table.index.tolist() == [4]
    assert "row 4 has 3 fields, the header has 2" in message_of(write(tmp_path, "b.csv", "\n\ntext,intent\na,x,y\n"))


@pytest.mark.parametrize("word", ["NA", "null", "None", "nan", "N/A", "true", "1"])
def test_words_that_look_like_missing_values_are_text(tmp_path, word):
    table = read_table(write(tmp_path, "a.csv", f"text,intent\n{word},x\nb,{word}\n"))
    assert table["text"].tolist() == [word, "b"]
    assert table["intent"].tolist() == ["x", word]


def test_dataframe_pair_and_parquet_keep_values_and_index(tmp_path):
    frame = pd.DataFrame({"utterance": ["a", "b", "c"], "label": [3, 1, 2]}, index=[10, 20, 30])
    table = read_table(frame, "utterance", "label")
    assert table.index.tolist() == [10, 20, 30]
    assert [(type(label), label) for label in table["intent"]] == [(int, 3), (int, 1), (int, 2)]
    assert table.attrs["source"] == "the DataFrame"
    assert list(frame.columns) == ["utterance", "label"]

    frame.to_parquet(tmp_path / "a.parquet")
    from_parquet = read_table(tmp_path / "a.parquet", "utterance", "label")
    assert from_parquet["intent"].tolist() == [3, 1, 2]
    assert from_parquet["text"].tolist() == ["a", "b", "c"]
    assert all(type(text) is str for text in from_parquet["text"])

    pair = read_table((["a", "b"], np.array([True, False])))
    assert [(type(label), label) for label in pair["intent"]] == [(bool, True), (bool, False)]
    assert read_table((pd.Series(["a"]), ["x"]))["text"].tolist() == ["a"]


def test_without_a_label_column_only_texts_are_read(tmp_path):
    table = read_table(write(tmp_path, "a.csv", "text,intent\na,\nb,\n"), label_column=None)
    assert list(table.columns) == ["text"]
    assert table["text"].tolist() == ["a", "b"]


# --- what a reader refuses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "utterance,label\na,b\n", "{} has no column 'text'; it has: utterance, label"),
        ("a.csv", "text,label\na,b\n", "{} has no column 'intent'; it has: text, label (name one with --label-column)"),
        ("a.csv", "", "{} is empty: expected a header and rows"),
        ("a.csv", "\n\n", "{} is empty: expected a header and rows"),
        ("a.csv", "text,intent\n", "{} is empty: expected at least one row under the header"),
        ("a.jsonl", "\n", "{} is empty: expected one JSON object a line"),
        ("a.csv", "text,intent\na,x\n  ,y\n", "{}, row 3, column 'text': the text is empty; fill it in or delete"),
        ("a.csv", "text,intent\na,x\n\nb, \n", "{}, row 4, column 'intent': the label is empty; fill it in or"),
        ("a.csv", "text,intent\na,x\nb\n", "{}, row 3, column 'intent': the label is empty"),
        ("a.csv", '"text",intent\n"a\nb",x\nc,\n', "{}, row 3, column 'intent': the label is empty"),
        ("a.csv", "text,intent\nplay it, please,x\n", "{} is not a table: row 2 has 3 fields, the header has 2; quote"),
        ("a.csv", 'text,intent\n"a\nb",x\nc,d,e\n', "{} is not a table: row 3 has 3 fields, the header has 2; quote"),
        ("a.csv", 'text,intent\na,x\n"b,y\nc,z\n', "{} is not a table: the quote that opens in row 3 is never closed"),
        ("a.csv", "text,text,intent\na,b,c\n", "{} has several columns 'text': give each a name of its own"),
        ("a.csv", b"text,intent\na,x\nGr\xfc\xdfe,y\n", "{}, line 3: byte 0xFC is not UTF-8; save the file as UTF-8"),
        ("a.csv", "text,intent\n".encode("utf-16"), "{} is UTF-16; save the file as UTF-8"),
        ("a.csv", b"text;intent\nplay;Music\n", "{}: the columns are separated by ';', expected ','; save it so"),
        ("a.tsv", b"text,intent\nplay,Music\n", "{}: the columns are separated by ',', expected '\\t'; save it so"),
        (
            "a.jsonl",
            b'{"text": "a\\ud83d", "intent": "b"}',
            "{}, row 1, column 'text': 'a\\ud83d' holds half a character",
        ),
        ("a.jsonl", b'{"text": "a", "intent": "x"}\n{"text": "\xe9"}\n', "{}, line 2: byte 0xE9 is not UTF-8"),
        ("a.jsonl", '{"text": "a", "intent": "x"}\n{"text": \n', "{}, line 2: not valid JSON (Expecting value"),
        ("a.jsonl", '\n["a", "x"]\n', "{}, line 2: expected a JSON object, found list"),
        ("a.jsonl", '{"text": "a", "intent": "x"}\n{"text": "b"}\n', "{}, row 2, column 'intent': the label is empty"),
        ("a.jsonl", '{"text": 5, "intent": "x"}\n', "{}, row 1, column 'text': expected text, found 5"),
        ("a.jsonl", '{"text": "a", "intent": NaN}\n', "{}, row 1, column 'intent': the label is empty"),
        ("a.jsonl", '{"text": "a", "intent": ["x"]}\n', "{}, row 1, column 'intent': expected a word or a number, fou"),
        ("a.parquet", b"PAR1 not", "{} is not a readable Parquet file: "),
        ("a.xlsx", b"PK", "can't tell how to read {}: expected one of .csv, .tsv, .jsonl, .parquet"),
        ("a", "text,intent\na,b\n", "can't tell how to read {}: expected one of .csv, .tsv, .jsonl, .parquet"),
    ],
)
def test_a_bad_file_is_refused_with_file_row_and_advice(tmp_path, name, content, expected):
    path = write(tmp_path, name, content)
    assert message_of(path).startswith(expected.format(path))


def test_a_file_that_is_not_there_a_folder_and_one_that_cannot_be_read(tmp_path, monkeypatch):
    assert message_of(tmp_path / "no.csv") == f"no such file: {tmp_path / 'no.csv'}"
    assert message_of(tmp_path).startswith(f"expected a file, but {tmp_path} is a folder")
    path = write(tmp_path, "a.csv", "text,intent\na,b\n")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert message_of(path) == f"can't read {path}: Permission denied"


def test_other_sources_are_refused():
    assert message_of(["a", "b"]) == "expected a path, a DataFrame or (texts, labels), got list"
    assert message_of((["a"], ["x"], ["y"])) == "expected a pair (texts, labels), got 3 things"
    assert message_of((["a", "b"], ["x"])) == "expected as many labels as texts, got 2 texts and 1 labels"
    assert message_of((["a", None], ["x", "y"])).startswith("the given texts, row 1, column 'text': the text is empty")
    assert message_of((["a"], [None])).startswith("the given texts, row 0, column 'intent': the label is empty")
    assert message_of((["a"], [float("nan")])).startswith("the given texts, row 0, column 'intent': the label is empty")
    frame = pd.DataFrame({"text": ["a", pd.NA], "intent": ["x", "y"]}, index=["one", "two"])
    assert message_of(frame).startswith("the DataFrame, row two, column 'text': the text is empty")
    with pytest.raises(SettingsError, match="can't both be in the column 'text': name two"):
        read_table(frame, "text", "text")


# --- checks across rows and tables -------------------------------------------------------------------------------


def test_one_class_only_is_an_error():
    with pytest.raises(DataError, match=r"^train\.csv has one intent only, 'x': expected at least two$"):
        check_tables(table_of(("a", "x"), ("b", "x")))


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


def test_labels_are_compared_as_written_and_sorted_by_value():
    assert classes_of([10, 9, 10]) == [9, 10]
    assert classes_of(["b", "a", "B"]) == ["B", "a", "b"]
    assert classes_of([True, False]) == [False, True]
    assert label_ids(["1", 2, "3", np.int64(1)], [1, 2]).tolist() == [0, 1, -1, 0]
    assert label_ids(["True"], [False, True]).tolist() == [1]
    with pytest.raises(DataError, match="the labels 1 and '1' differ in type only: use one of them"):
        classes_of([1, "1"])


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


# --- ids and batches ---------------------------------------------------------------------------------------------


def test_pad_lays_zeros_to_the_right():
    assert pad([[1, 2, 3], [4]]).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert pad([[1]], 3).tolist() == [[1, 0, 0]]
    assert pad([]).shape == (0, 0)
    assert pad([[1]]).dtype == np.int32


def snips_like_lengths(rng: np.random.Generator, number: int) -> list[list[int]]:
    """Token lists as long as SNIPS's sentences: 12.4 on average, 5 to 38."""
    lengths = np.clip(np.round(rng.gamma(9, 1.38, number)), 5, 38).astype(int)
    return [[1] * length for length in lengths]


def test_batches_hold_each_sentence_once_with_little_padding():
    ids = snips_like_lengths(np.random.default_rng(0), 3001)
    batches = list(bucketed_batches(ids, 32, np.random.default_rng(1)))
    assert len(batches) == 94
    assert sorted(np.concatenate(batches).tolist()) == list(range(3001))
    assert all(len(batch) <= 32 for batch in batches)
    padded = sum(len(batch) * max(len(ids[row]) for row in batch) for batch in batches)
    assert padded <= 1.15 * sum(map(len, ids))
    longest = [max(len(ids[row]) for row in batch) for batch in batches]
    assert longest != sorted(longest)


def test_batches_follow_their_seed_and_change_between_passes():
    ids = snips_like_lengths(np.random.default_rng(0), 200)

    def order(rng: np.random.Generator) -> list[int]:
        return np.concatenate(list(bucketed_batches(ids, 16, rng))).tolist()

    assert order(np.random.default_rng(5)) == order(np.random.default_rng(5))
    rng = np.random.default_rng(5)
    assert order(rng) != order(rng)
    assert list(bucketed_batches([], 16, rng)) == []


def test_encode_cuts_once_and_says_how_many(tiny_checkpoint, caplog):
    tokenizer = FullTokenizer(tiny_checkpoint / "vocab.txt")
    with caplog.at_level(logging.WARNING, "intent_bert"):
        ids = encode(["play my song now please", "play", "book a table for me now"], tokenizer, 5)
    assert [record.getMessage() for record in caplog.records] == ["2 sentences were cut to max_seq_len=5 tokens"]
    play = tokenizer.convert_tokens_to_ids(["[CLS]", "play", "my", "song", "[SEP]"])
    assert ids[0] == play
    assert ids[1] == [play[0], play[1], play[-1]]


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
    assert (data.valid, data.valid_x, data.valid_y) == (None, None, None)
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
        path, frame, tokenizer, valid=frame, text_column="utterance", label_column="label", seed=None
    )
    assert data.train["intent"].tolist() == ["music", "weather"]
    assert data.classes == ["music", "weather"]
    assert data.valid_x.tolist() == data.test_x.tolist()
    assert data.valid_y.tolist() == [0]
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


def test_the_real_snips_is_encoded_in_under_a_second(real_data, real_checkpoint):
    import time

    tokenizer = FullTokenizer(real_checkpoint / "vocab.txt")
    train = read_table(real_data / "snips" / "train.csv")
    started = time.perf_counter()
    ids = encode(list(train["text"]), tokenizer, 192)
    seconds = time.perf_counter() - started
    assert len(ids) == 13784
    assert seconds < 3, f"{seconds:.1f} s; the bar is 1 s on an idle machine"
    batches = bucketed_batches(ids, 32, np.random.default_rng(0))
    padded = sum(len(batch) * max(len(ids[row]) for row in batch) for batch in batches)
    assert padded <= 1.15 * sum(map(len, ids))


# --- three parts -------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("shares", [(1.0,), (0.7, 0.3, 0.0), (0.5, -0.1, 0.6), (1, 1, 1, 1), (float("nan"), 1)])
def test_shares_that_cannot_be_meant(shares):
    with pytest.raises(SettingsError, match=r"^expected two or three shares above 0, such as 70, 15, 15, not \["):
        split_table(pd.DataFrame({"text": ["a"], "intent": ["b"]}), shares)
