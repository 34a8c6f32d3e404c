"""Tables read from every kind of source. Every message that a user may meet is compared."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from intent_bert.config import TrainingConfig
from intent_bert.data.datasets import load, read_tables
from intent_bert.data.splits import split_table
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, DiskError, SettingsError

WITH_LINE_FEED = 'text,intent\n"play\na song",music\n"a ""quoted"" word, here",talk\n'


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def message_of(source: object, **columns: str) -> str:
    with pytest.raises(DataError) as caught:
        read_table(source, **columns)
    return str(caught.value)


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
        ("a.csv", "text,intent\na,x\nb\n", "{}, row 3 has 1 field, the header has 2; fill in the missing ones"),
        ("a.csv", '"text",intent\n"a\nb",x\nc,\n', "{}, row 3, column 'intent': the label is empty"),
        ("a.csv", "text,intent\nplay it, please,x\n", "{}, row 2 has 3 fields, the header has 2; quote"),
        ("a.csv", 'text,intent\n"a\nb",x\nc,d,e\n', "{}, row 3 has 3 fields, the header has 2; quote"),
        (
            "a.csv",
            'text,intent\na,x\n"b,y\nc,z\n',
            "{}, row 3: the quote that opens here is never closed; close",
        ),
        ("a.csv", "text,text,intent\na,b,c\n", "{} has several columns 'text': give each a name of its own"),
        (
            "a.csv",
            b"text,intent\na,x\nGr\xfc\xdfe,y\n",
            "{}, row 3, column 'text': byte 0xFC is not UTF-8; save",
        ),
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
    assert message_of(tmp_path / f"{'a' * 300}.csv").endswith("(File name too long)")
    path = write(tmp_path, "a.csv", "text,intent\na,b\n")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DiskError) as caught:
        read_table(path)
    assert str(caught.value) == f"can't read {path}: Permission denied"


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


def test_a_path_is_taken_wherever_a_file_or_folder_is_named(tmp_path):
    write(tmp_path, "train.csv", "text,intent\n" + "".join(f"{n},{'xy'[n % 2]}\n" for n in range(20)))
    for place in (tmp_path, str(tmp_path)):
        file = Path(place) / "train.csv" if isinstance(place, Path) else f"{place}/train.csv"
        assert len(read_tables(TrainingConfig(train_file=file, test_file=file))["test"]) == 20
        assert len(read_tables(TrainingConfig(data=place))["train"]) == len(load(place).train) == 20
        assert [len(part) for part in split_table(file, (80, 20))] == [16, 4]


def test_a_header_of_very_many_columns_is_cut_in_the_sentence(tmp_path):
    path = write(tmp_path, "a.csv", ",".join(map(str, range(3000))) + "\n" + "," * 2998 + "x\n")
    assert message_of(path).endswith("17, 18, 19 and 2980 more (name one with --text-column)")
