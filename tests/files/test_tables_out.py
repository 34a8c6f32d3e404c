"""Written tables: what Python, pandas and this package read back is what was written."""

import csv
import math
from pathlib import Path

import pandas as pd
import pytest

from intent_bert.data.rows import RowReader
from intent_bert.files.tables_out import csv_text, guarded, write_csv

CELLS = ["plain", "a,b", 'say "hi"', "two\nlines", "bare\rreturn", "both\r\nends", "tab\there", "é🎵", " spaces ", "'"]


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_every_reader_gives_back_the_rows(tmp_path, suffix, separator):
    path, rows = tmp_path / f"t{suffix}", [[cell, f"{number}"] for number, cell in enumerate(CELLS)]
    write_csv(str(path), ["text", "n"], iter(rows), separator)
    with path.open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream, delimiter=separator)) == [["text", "n"], *rows]
    assert pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False).to_numpy().tolist() == rows
    assert [list(row.values.values()) for row in RowReader(path)] == rows
    assert b"\r\n" not in path.read_bytes().replace(b"both\r\nends", b"")


def test_cells_that_are_no_text():
    assert csv_text([(None, math.nan, 1.5, True, -3)]) == ",,1.5,True,-3\n"
    assert csv_text([("",)]) == '""\n'


def test_half_characters_are_written_as_escapes(tmp_path):
    write_csv(tmp_path / "t.csv", ["text"], [["a\ud83d"]])
    assert (tmp_path / "t.csv").read_text() == "text\na\\ud83d\n"


def test_formulas_are_guarded_where_that_is_asked_for(tmp_path):
    texts = ["=1+1", "+a", "-b", "@c", "\tx", "\r=1", "a=1", "-0.5", -0.5, "+3", None]
    expected = ["'=1+1", "'+a", "'-b", "'@c", "'\tx", "'\r=1", "a=1", "-0.5", -0.5, "+3", None]
    assert [guarded(text) for text in texts] == expected
    write_csv(tmp_path / "plain.csv", ["text"], [["=1+1"]])
    write_csv(tmp_path / "guarded.csv", ["text"], [["=1+1"]], guard_formulas=True)
    assert Path(tmp_path / "plain.csv").read_text() == "text\n=1+1\n"
    assert Path(tmp_path / "guarded.csv").read_text() == "text\n'=1+1\n"
