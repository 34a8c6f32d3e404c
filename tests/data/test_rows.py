"""The one reader of rows: every format, every fault of a file with its sentence, and the same rows on both roads."""

import csv
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from intent_bert.data import formats
from intent_bert.data.rows import Row, RowReader
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, IntentBertError, SettingsError

TEXTS = ["play music", 'a "quoted", text', "two\nlines", "Grüße 🎵", "bare\rreturn", "will it rain"]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def texts_of(reader: RowReader, column: str = "text") -> list[Any]:
    return [row.values[column] for row in reader.with_text(column)]


# --- what is read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_its_rows_in_order(tmp_path, suffix):
    table, path = pd.DataFrame({"id": range(6), "question": TEXTS}), tmp_path / f"t.{suffix}"
    separated = {"index": False, "quoting": 1, "lineterminator": "\r\n"}
    {
        "csv": lambda: table.to_csv(path, encoding="utf-8-sig", **separated),
        "tsv": lambda: table.to_csv(path, sep="\t", **separated),
        "jsonl": lambda: table.to_json(path, orient="records", lines=True),
        "parquet": lambda: table.to_parquet(path),
    }[suffix]()
    reader = RowReader(str(path))
    assert reader.columns == ["id", "question"]
    first = {"csv": 2, "tsv": 2, "jsonl": 1, "parquet": 0}[suffix]
    ids = [str(number) if suffix in ("csv", "tsv") else number for number in range(6)]
    expected = [Row(first + n, {"id": ids[n], "question": TEXTS[n]}) for n in range(6)]
    assert list(reader) == expected
    assert list(reader.with_text("question")) == expected
    assert reader.position == reader.size == path.stat().st_size
    reader.select("question")
    assert next(iter(reader)) == Row(first, {"question": TEXTS[0]})


def test_blank_rows_are_left_out_and_counted(tmp_path):
    reader = RowReader(write(tmp_path, "a.csv", "\r\n,\r\n text , intent\r\n\r\na,x\r\n,\r\nb,\r\n"))
    assert list(reader) == [Row(5, {"text": "a", "intent": "x"}), Row(7, {"text": "b", "intent": ""})]
    assert [row.number for row in RowReader(write(tmp_path, "a.jsonl", '\n{"text": "a"}\n  \n{"text": "b"}'))] == [2, 4]
    with pytest.raises(DataError, match="row 3, column 'text': the text is empty"):  # a quoted nothing is a row
        texts_of(RowReader(write(tmp_path, "b.csv", 'text\na\n""\n')))


def test_lines_that_end_in_carriage_returns_alone(tmp_path):
    """As old Macs wrote them, if the file has no line feed."""
    reader = RowReader(write(tmp_path, "a.csv", 'text,intent\rplay,x\r"two\rlines",y\r'))
    assert list(reader) == [
        Row(2, {"text": "play", "intent": "x"}),
        Row(3, {"text": "two\rlines", "intent": "y"}),
    ]
    assert texts_of(RowReader(write(tmp_path, "a.jsonl", '{"text": "a"}\r{"text": "b"}'))) == ["a", "b"]
    path = write(tmp_path, "b.csv", "text,intent\nplay\rmusic,x\nb,y\n")
    with pytest.raises(DataError) as caught:
        list(RowReader(path))
    assert str(caught.value) == (
        f"{path}, row 2 holds a bare carriage return outside quotes; quote the cell, or end the lines with line feeds"
    )
    assert [row.number for row in RowReader(path, "skip")] == [3]


def test_columns_of_one_name(tmp_path):
    path = write(tmp_path, "a.csv", "id,text,id,id (2),text,,\n1,a,2,3,b,,\n")
    reader = RowReader(path)
    assert reader.columns == ["id", "text", "id (3)", "id (2)", "text (2)", "", " (2)"]
    assert next(iter(reader)).values["id (3)"] == "2"
    reader.select("id (2)")
    assert next(reader.with_text("text (2)")).values == {"id (2)": "3", "text (2)": "b"}
    with pytest.raises(DataError, match=r"has no column 'label'"):
        reader.with_text("label")
    with pytest.raises(DataError) as caught:
        reader.require("text")
    assert str(caught.value) == f"{path} has several columns 'text': give each a name of its own"
    with pytest.raises(DataError) as caught:
        reader.require("label", "label")
    assert str(caught.value) == (
        f"{path} has no column 'label'; it has: id, text, id, id (2), text, ,  (name one with --label-column)"
    )


def test_columns_of_json_lines_are_those_of_its_beginning(tmp_path):
    lines = ["", '{"text": "a"}', '{"text": "b", "id": 1}', "{}", '{"id": 2, "text": "c"}']
    reader = RowReader(write(tmp_path, "a.jsonl", "\n".join(lines)))
    assert reader.columns == ["text", "id"]
    assert [row.values["id"] for row in reader] == [None, 1, None, 2]


def test_parquet_of_every_kind_of_column(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    table = pyarrow.table(
        {
            "text": pyarrow.array(["a", "b", None]).dictionary_encode(),
            "list": [[1], [], None],
            "struct": [{"x": 1}, None, {"x": 2}],
            "bytes": [b"\xff", b"", None],
            "moment": pyarrow.array([1, 2**62, None], pyarrow.timestamp("us")),
        }
    )
    pyarrow.parquet.write_table(table, path)
    reader = RowReader(path, "skip")
    assert [(row.number, row.values["text"]) for row in reader] == [(0, "a"), (2, None)]
    reader.select("text", "list")
    assert list(reader.with_text("text")) == [
        Row(0, {"text": "a", "list": [1]}),
        Row(1, {"text": "b", "list": []}),
    ]
    assert reader.skipped == [2]
    with pytest.raises(DataError, match=r"a\.parquet, row 1, column 'moment': can't be read \("):
        list(RowReader(path))
    for column, found in (("list", r"\[1\]"), ("struct", "{'x': 1}"), ("bytes", r"b'\\xff'")):
        with pytest.raises(DataError, match=f"row 0, column '{column}': expected text, found {found}"):
            read_table(path, text_column=column, label_column=None)
    frame = pd.DataFrame({"text": ["a", "b"]}, index=[3, 7])
    frame.to_parquet(path)
    assert RowReader(path).columns == ["text"]


# --- broken rows -------------------------------------------------------------------------------------------------

BROKEN = {  # name -> content, what is said after the file's name
    "empty.csv": (
        b'text\na\n""\nb\n',
        ", row 3, column 'text': the text is empty; fill it in or delete the row",
    ),
    "much.csv": (
        b"text,x\na,1\nb,2,3\nc,1\n",
        ", row 3 has 3 fields, the header has 2; quote the fields that hold a separator or a quote",
    ),
    "little.csv": (b"text,x\na,1\nb\nc,1\n", ", row 3 has 1 field, the header has 2; fill in the missing ones"),
    "bytes.csv": (
        b"text,x\na,1\n\xff,2\nc,1\n",
        ", row 3, column 'text': byte 0xFF is not UTF-8; save the file as UTF-8",
    ),
    "bytes in two lines.csv": (
        b'text,x\na,1\n"\n\xff",2\n"c",1\n',
        ", row 3, column 'text': byte 0xFF is not UTF-8; save the file as UTF-8",
    ),
    "bytes elsewhere.csv": (
        b'text,x\na,1\n"b",\xed\xa0\x80\n"c",1\n',
        ", row 3, column 'x': byte 0xED is not UTF-8; save the file as UTF-8",
    ),
    "unclosed.csv": (
        b'text,x\na,1\n"b,2\nc,1\n',
        ", row 3: the quote that opens here is never closed; close it, or double it",
    ),
    "unclosed before another.csv": (
        b'text,x\na,1\n"b,2\n"c",1\n',
        ", row 3: the quote that opens here is not closed where its cell ends; close it, or double it",
    ),
    "unpaired.tsv": (
        b'text\tx\na\t1\n"b\t2\nc\t1\n',
        ", row 3: the quote that opens here is never closed; close it, or double it",
    ),
    "behind.csv": (
        b'text,x\na,1\n"b" now,2\nc,1\n',
        ", row 3: a cell goes on behind its closing quote; quote the whole cell and double the quotes in it",
    ),
    "number.jsonl": (
        b'{"text": "a"}\n{"text": 3}\n{"text": "c"}\n',
        ", row 2, column 'text': expected text, found 3; mend it or delete the row",
    ),
    "torn.jsonl": (
        b'{"text": "a"}\n{"text"\n{"text": "c"}\n',
        ", line 2: not valid JSON (Expecting ':' delimiter: line 2 column 1 (char 8))",
    ),
    "list.jsonl": (b'{"text": "a"}\n[1]\n{"text": "c"}\n', ", line 2: expected a JSON object, found list"),
    "other.jsonl": (
        b'{"text": "a"}\n{"x": "b"}\n{"text": "c"}\n',
        ", row 2, column 'text': the text is empty; fill it in or delete the row",
    ),
    "bytes.jsonl": (
        b'{"text": "a"}\n{"text": "\xff"}\n{"text": "c"}\n',
        ", line 2: byte 0xFF is not UTF-8; save the file as UTF-8",
    ),
    "half.jsonl": (
        b'{"text": "a"}\n{"text": "\\ud83d"}\n{"text": "c"}\n',
        ", row 2, column 'text': '\\ud83d' holds half a character (a lone surrogate); mend it or delete the row",
    ),
    "deep.jsonl": (
        b'{"text": "a"}\n{"text": ' + b"[" * 100_000 + b'\n{"text": "c"}\n',
        ", line 2: the JSON is nested too deep; expected an object of texts and numbers",
    ),
    "digits.jsonl": (
        b'{"text": "a"}\n{"text": ' + b"1" * 1000 + b'}\n{"text": "c"}\n',
        f", row 2, column 'text': expected text, found {'1' * 80}...; mend it or delete the row",
    ),
    "too many digits.jsonl": (
        b'{"text": "a"}\n{"text": ' + b"1" * 5000 + b'}\n{"text": "c"}\n',
        ", line 2: not valid JSON (Exceeds the limit (4300 digits) for integer string conversion: value has 5000 "
        "digits; use sys.set_int_max_str_digits() to increase the limit)",
    ),
    "not a number.jsonl": (
        b'{"text": "a"}\n{"text": NaN}\n{"text": "c"}\n',
        ", row 2, column 'text': the text is empty; fill it in or delete the row",
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_row_is_named_or_left_out_alone(tmp_path, name):
    content, expected = BROKEN[name]
    path = write(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        texts_of(RowReader(path, advice=", or skip it"))
    assert str(caught.value) == f"{path}{expected}, or skip it"
    with pytest.raises(DataError) as caught:
        read_table(path, label_column=None)
    assert str(caught.value) == f"{path}{expected}"
    skipping = RowReader(path, on_error="skip")
    assert texts_of(skipping) in (["a", "b"], ["a", "c"])
    assert len(skipping.skipped) == 1 and skipping.skipped[0] in (2, 3)


def test_a_torn_row_takes_no_other_with_it(tmp_path):
    """Good rows behind an open quote are given back, however many lines it has swallowed."""
    good = [f'"line {n}, with\na feed and ""quotes""",{n}' for n in range(3000)]
    torn = {7: '"never closed,7', 500: '"gone on" and on,500', 501: b"\xe9,501", 2000: '"a\n\xff\nb",2000', 2999: '"x'}
    lines = [torn.get(n, line) for n, line in enumerate(good)]
    raw = [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    reader = RowReader(write(tmp_path, "a.csv", b"text,n\n" + b"\n".join(raw) + b"\n"), "skip")
    kept = [int(row.values["n"]) for row in reader.with_text("text")]
    assert kept == [n for n in range(3000) if n not in torn]
    assert len(reader.skipped) == len(torn)


def test_a_huge_cell_is_read_and_a_boundless_one_refused(tmp_path, monkeypatch):
    huge = "a" * 3_000_000
    assert texts_of(RowReader(write(tmp_path, "a.csv", f'text\n"{huge}"\nb\n'))) == [huge, "b"]
    with pytest.raises(DataError) as caught:
        list(RowReader(write(tmp_path, "b.jsonl", f'{{"text": "a", "x": {huge}'), "skip"))
    assert len(str(caught.value)) < 500
    monkeypatch.setattr(formats, "LONGEST_CELL", 100)
    limit = csv.field_size_limit(100)
    try:
        path = write(tmp_path, "c.csv", "text\na\n" + "b" * 101 + "\nc\n")
        with pytest.raises(DataError) as caught:
            list(RowReader(path))
        assert str(caught.value) == (
            f"{path}, row 3 has a cell of more than 100 characters, or a quote that is never closed; cut or close it"
        )
        assert texts_of(RowReader(path, "skip")) == ["a", "c"]
    finally:
        csv.field_size_limit(limit)


def test_a_file_whose_rows_are_all_broken(tmp_path):
    path = write(tmp_path, "a.csv", "text,x\na\nb\n")
    with pytest.raises(DataError) as caught:
        list(RowReader(path, "skip"))
    assert str(caught.value) == (
        f"all 2 rows are broken, the first: {path}, row 2 has 1 field, the header has 2; fill in the missing ones"
    )


# --- what is no table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", b"", "{} is empty: expected a header and rows"),
        ("t.csv", b"\xef\xbb\xbf", "{} is empty: expected a header and rows"),
        ("t.csv", b"\r\n\n", "{} is empty: expected a header and rows"),
        ("t.csv", b"text\n", "{} is empty: expected at least one row under the header"),
        ("t.tsv", b"text\tintent\n\n\n", "{} is empty: expected at least one row under the header"),
        ("t.csv", b"t\xe9xt,x\na,b\n", "{}, row 1: byte 0xE9 is not UTF-8; save the file as UTF-8"),
        ("t.csv", b'text,"x\na,b\n', "{}, row 1: the quote that opens here is never closed; close it, or double it"),
        ("t.csv", b"text;x\na;b\n", "{}: the columns are separated by ';', expected ','; save it so"),
        ("t.csv", b'"text";"x"\n"a";"b"\n', "{}: the columns are separated by ';', expected ','; save it so"),
        ("t.tsv", b"text,x\na,b\n", "{}: the columns are separated by ',', expected '\\t'; save it so"),
        ("t.csv", "text,x\na,b\n".encode("utf-16"), "{} is UTF-16; save the file as UTF-8"),
        ("t.csv", "text,x\na,b\n".encode("utf-16-le"), "{} is UTF-16; save the file as UTF-8"),
        ("t.jsonl", '{"text": "a"}\n'.encode("utf-16-be"), "{} is UTF-16; save the file as UTF-8"),
        ("t.jsonl", b"\n \n", "{} is empty: expected one JSON object a line"),
        ("t.jsonl", b"text,x\n", "{}, line 1: not valid JSON (Expecting value: line 1 column 1 (char 0))"),
        ("t.jsonl", b"{}\n", "{} is empty: expected one JSON object a line"),
        ("t.txt", b"a", "can't tell how to read {}: expected one of .csv, .tsv, .jsonl, .parquet"),
    ],
)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_file_that_is_no_table(tmp_path, name, content, expected, on_error):
    path = write(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        list(RowReader(path, on_error))
    assert str(caught.value) == expected.format(path)
    with pytest.raises(DataError) as caught:
        read_table(path, label_column=None)
    assert str(caught.value) == expected.format(path)


def test_a_missing_file_a_folder_and_an_unknown_way_to_go_on(tmp_path):
    with pytest.raises(DataError, match=r"no such file: .*nowhere\.csv$"):
        RowReader(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="is a folder"):
        RowReader(tmp_path)
    with pytest.raises(SettingsError, match=r"^on_error must be stop or skip, not 'ignore'$"):
        RowReader(write(tmp_path, "a.csv", "text\na\n"), "ignore")


def test_a_damaged_parquet_file_is_an_error_wherever_the_damage_is(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": [f"sentence number {n}" for n in range(2000)], "x": 1}).to_parquet(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        damaged = bytearray(whole)
        start = int(rng.integers(len(whole)))
        damaged[start : start + 50] = rng.bytes(50)
        path.write_bytes(damaged[: len(whole)])
        try:
            list(RowReader(path))
        except IntentBertError as error:
            assert f"{path} is not a readable Parquet file: " in str(error) or "can't be read (" in str(error)
            refused += 1
    assert refused > 20


# --- both roads --------------------------------------------------------------------------------------------------

NASTY = {
    "marks.csv": b'\xef\xbb\xbf\r\n"text",intent\r\n"a, b",x\r\n\r\n"two\r\nlines",y\r\n',
    "returns.csv": b"text,intent\ra,x\rb,y",
    "zeros.csv": b"text,intent\na\0b,x\nc,y\n",
    "more.csv": b"id,text,id,intent\n1,a,2,x\n,,,\n3,b,4,y\n",
    "blanks.tsv": b'\n\ntext\tintent\n a \tx\n"b\tc"\t y \n\t\n',
    "quotes.csv": b'text,intent\n"say ""hi""",x\nsay "hi",y\n"""",z\n',
    "separators.csv": "text,intent\nplay\u2028music\x0b\x0c\x1c\x85now,x\nb,y\n".encode(),
    "order.jsonl": b'{"intent": "x", "text": "a\\u2028b"}\r\n\r\n{"text": "c\\nd", "intent": "y", "n": 1}\r\n',
    "numbers.jsonl": b'{"text": "1", "intent": 1}\n{"text": "2", "intent": 2.5, "n": Infinity}\n',
    "torn.csv": b'text,intent\na,x\n"b,y\nc,z\n',
    "short.csv": b"text,intent\na,x\nb\n",
    "bytes.csv": b'text,intent\na,x\n"b\n\xff",y\n',
    "empty.csv": b"text,intent\na,x\n \0 ,y\n",
    "half.jsonl": b'{"text": "\\udfff", "intent": "x"}\n',
}


@pytest.mark.parametrize("name", list(NASTY))
def test_both_roads_give_the_same_texts_or_the_same_sentence(tmp_path, name):
    path = write(tmp_path, name, NASTY[name])

    def outcome(read: Any) -> Any:
        try:
            return read()
        except DataError as error:
            return str(error)

    def streamed() -> list[tuple[Any, Any]]:
        return [(row.number, row.values["text"]) for row in RowReader(path).with_text("text")]

    collected = outcome(lambda: list(read_table(path)["text"].items()))
    assert collected == outcome(streamed)
    assert isinstance(collected, str) == (name in ("torn.csv", "short.csv", "bytes.csv", "empty.csv", "half.jsonl"))


def test_random_tables_come_back_as_they_were_written(tmp_path):
    from intent_bert.files.tables_out import write_csv

    rng = np.random.default_rng(0)
    letters = np.array(list("ab ,;\"\t\r\n\0'é🎵\u2028=-"))
    for number in range(60):
        rows = [["".join(rng.choice(letters, rng.integers(1, 8))) + "x" for _ in range(2)] for _ in range(5)]
        for suffix, separator in ((".csv", ","), (".tsv", "\t")):
            path = tmp_path / f"{number}{suffix}"
            write_csv(path, ["text", "other"], rows, separator)
            assert [list(row.values.values()) for row in RowReader(path)] == rows
            assert list(read_table(path, label_column=None)["text"]) == [text for text, _ in rows]


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("w") as stream:
        stream.write("id,text\n")
        for number in range(60_000):
            stream.write(f"{number},sentence number {number}\n")
    tracemalloc.start()
    assert sum(1 for _ in RowReader(path).with_text("text")) == 60_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5e6 < path.stat().st_size
