"""findings.csv back into a table: what is accepted, what is not, and every mistake in one sentence."""

import csv
import json

import pandas as pd
import pytest

from intent_bert.errors import DataError, SettingsError
from intent_bert.workbench.applying import apply_findings
from intent_bert.workbench.findings import COLUMNS, Finding, write_findings

TABLE = "id,text,intent\n1,play it,music\n2,=1+1,sum\n3,mail jo@firm.com,mail\n4,stop,music\n"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "table.csv").write_text(TABLE)
    return tmp_path


def findings(place, *rows: Finding, extra: dict | None = None):
    path = place / "findings.csv"
    write_findings(path, rows)
    if extra:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False).assign(**extra)
        frame.to_csv(path, index=False)
    return path


def proposal(row, text, suggestion, **more):
    return Finding("label-error", "warning", "", row, text, suggestion=suggestion, **more)


def test_each_proposal(place):
    path = findings(
        place,
        proposal(2, "play it", "intent: video"),
        proposal(3, "=1+1", "delete"),
        proposal(4, "mail name@example.com", "text: mail me"),
        proposal(5, "stop", "(think about it)"),
        proposal(None, "", "(write more)"),
    )
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    done = apply_findings(place / "table.csv", path, place / "new.csv")
    assert (done.deleted, done.intents, done.texts, done.written) == (1, 1, 1, 3)
    assert (place / "new.csv").read_text() == "id,text,intent\n1,play it,video\n3,mail me,mail\n4,stop,music\n"
    assert (place / "table.csv").read_text() == TABLE


def test_a_column_accept_decides(place):
    rows = [proposal(2, "play it", "delete"), proposal(3, "=1+1", "delete"), proposal(5, "stop", "delete")]
    path = findings(place, *rows, extra={"accept": ["x", "", "no"]})
    apply_findings(place / "table.csv", path, place / "new.csv")
    with (place / "new.csv").open() as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == ["2", "3", "4"]


def test_two_proposals_for_a_row_go_together_unless_they_contradict(place):
    both = [proposal(2, "play it", "intent: video"), proposal(2, "play it", "text: play that")]
    apply_findings(place / "table.csv", findings(place, *both), place / "new.csv")
    assert "1,play that,video" in (place / "new.csv").read_text()
    path = findings(place, *both, proposal(2, "play it", "intent: song"))
    with pytest.raises(DataError, match=r"line 4: 'song' contradicts 'video' of line 2, on one row: keep one"):
        apply_findings(place / "table.csv", path, place / "other.csv")


@pytest.mark.parametrize(
    ("row", "text", "suggestion", "sentence"),
    [
        (2, "play it", "intnet: video", r"line 2: expected 'delete', 'intent: NAME'.*found 'intnet: video'"),
        (2, "play it", "intent:", "line 2: nothing stands behind 'intent:'"),
        (2, "stop", "delete", "line 2 is about 'stop', but row 2 of .*table.csv is 'play it'"),
        (99, "stop", "delete", "line 2: .*table.csv has no row 99"),
        (None, "stop", "delete", "'delete' names no row of the table"),
        ("test.csv:3", "stop", "delete", "'delete' names no row of the table"),
    ],
)
def test_mistakes(place, row, text, suggestion, sentence):
    path = findings(place, proposal(row, text, suggestion))
    with pytest.raises(DataError, match=sentence):
        apply_findings(place / "table.csv", path, place / "new.csv")
    assert sorted(each.name for each in place.iterdir()) == ["findings.csv", "table.csv"]


def test_nothing_is_overwritten_and_other_files_are_refused(place):
    path = findings(place, proposal(2, "play it", "delete"))
    refused = {"table.csv": "it is there already", "new.txt": "can't tell how to", "no/new.csv": "there is no folder"}
    for output, sentence in refused.items():
        with pytest.raises(SettingsError, match=sentence):
            apply_findings(place / "table.csv", path, place / output)
    with pytest.raises(DataError, match="lacks the column 'row'"):
        apply_findings(place / "table.csv", place / "table.csv", place / "new.csv")


def test_types_and_columns_of_other_formats_stay(place):
    rows = [{"text": "play it", "intent": 1, "more": [1, 2]}, {"text": "stop", "intent": 2, "more": None}]
    (place / "table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = findings(place, proposal(2, "stop", "intent: 1"))
    apply_findings(place / "table.jsonl", path, place / "new.jsonl")
    written = [json.loads(line) for line in (place / "new.jsonl").read_text().splitlines()]
    assert written == [rows[0], rows[1] | {"intent": 1}]


def test_parquet_keeps_its_types(place):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"text": ["play it", "stop"], "intent": ["a", "b"], "n": [1, 2]}).to_parquet(place / "table.parquet")
    apply_findings(place / "table.parquet", findings(place, proposal(0, "play it", "delete")), place / "new.parquet")
    assert pd.read_parquet(place / "new.parquet").to_dict("list") == {"text": ["stop"], "intent": ["b"], "n": [2]}


def test_rows_that_a_program_has_made_fractions(place):
    path = findings(place, proposal(2, "play it", "intent: video"), proposal(None, "", "(write more)"))
    pd.read_csv(path).to_csv(path, index=False)  # an empty cell makes the column one of floats: 2.0
    assert "2.0" in path.read_text()
    assert apply_findings(place / "table.csv", path, place / "new.csv").intents == 1


@pytest.mark.parametrize("text", ["-", "=+", "@@"])
def test_a_text_of_signs_alone_that_was_guarded(place, text):
    (place / "table.csv").write_text(f"text,intent\n{text},music\nstop,music\n")
    path = findings(place, proposal(2, text, "delete"))
    assert f"'{text}" in path.read_text()
    assert apply_findings(place / "table.csv", path, place / "new.csv").deleted == 1
