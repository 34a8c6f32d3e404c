"""Labels that were filled in come to the labelled table: which rows count, what is kept, what is a mistake."""

import pandas as pd
import pytest

from intent_bert.data.tables import read_table
from intent_bert.errors import DataError
from intent_bert.workbench.merging import filled_rows, merge, named_groups


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labelled.csv"
    path.write_text('id,text,intent\n1,play a song,music\n2,"rain, tomorrow?",weather\n')
    return path


@pytest.fixture
def filled(tmp_path):
    path = tmp_path / "filled.csv"
    path.write_text(
        "row,text,guess,intent\n4,is it sunny,weather,weather\n9,who knows,music,\n5,play a song,music,music\n"
        "7,'=play it,music, jukebox \n"
    )
    return path


def test_rows_with_an_intent_are_added_once(table, filled, tmp_path):
    done = merge(filled_rows(filled), table, tmp_path / "new.csv")
    assert (done.added, done.had, done.new_intents) == (2, 1, {"jukebox": "music"})
    assert (tmp_path / "new.csv").read_text() == (
        'id,text,intent\n1,play a song,music\n2,"rain, tomorrow?",weather\n,is it sunny,weather\n,=play it,jukebox\n'
    )
    assert len(read_table(tmp_path / "new.csv")) == 4


def test_other_names_and_another_format(filled, tmp_path):
    pd.DataFrame({"q": ["a"], "topic": ["music"]}).to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    merge(filled_rows(filled), tmp_path / "t.jsonl", tmp_path / "new.tsv", "q", "topic")
    assert (tmp_path / "new.tsv").read_text().splitlines()[:2] == ["q\ttopic", "a\tmusic"]
    assert len(read_table(tmp_path / "new.tsv", "q", "topic")) == 4


def test_groups_with_a_name_bring_their_sentences(table, tmp_path):
    folder = tmp_path / "found"
    folder.mkdir()
    (folder / "groups.csv").write_text("group,size,intent\n1,2,taxi\n2,1,\n3,1,taxi\n")
    (folder / "sentences.csv").write_text("group,row,text\n1,3,call a cab\n1,5,get me a cab\n2,8,hm\n3,9,taxi\n0,2,x\n")
    rows = named_groups(folder)
    assert [(row.text, row.intent) for row in rows] == [
        ("call a cab", "taxi"), ("get me a cab", "taxi"), ("taxi", "taxi"),
    ]  # fmt: skip
    assert merge(rows, table, tmp_path / "new.csv").added == 3
    (folder / "groups.csv").write_text("group,size,intent\n1,2,\n")
    with pytest.raises(DataError, match=r"groups\.csv has no group with a name"):
        named_groups(folder)


def test_two_intents_for_one_sentence_are_a_mistake_and_nothing_is_written(table, tmp_path):
    path = tmp_path / "filled.csv"
    path.write_text("text,intent\nplay a song,weather\n")
    expected = r"filled\.csv, row 2: 'play a song' is 'weather' here, and 'music' in .*labelled\.csv, row 2"
    with pytest.raises(DataError, match=expected):
        merge(filled_rows(path), table, tmp_path / "new.csv")
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text,intent\nis it sunny,\n", "has no intent filled in"),
        ("sentence,intent\nx,y\n", "has no column 'text'; it has: sentence, intent"),
    ],
)
def test_what_was_not_filled_in(tmp_path, content, expected):
    (tmp_path / "filled.csv").write_text(content)
    with pytest.raises(DataError, match=expected):
        filled_rows(tmp_path / "filled.csv")


def test_an_intent_without_a_text_is_a_mistake(tmp_path):
    (tmp_path / "filled.csv").write_text("row,text,intent\n4,play it,music\n5,,music\n")
    with pytest.raises(DataError, match=r"filled\.csv, row 3: the text is empty"):
        filled_rows(tmp_path / "filled.csv")


def test_groups_that_a_program_has_made_fractions(tmp_path):
    (tmp_path / "groups.csv").write_text("group,size,intent\n1,1,refund\n2,1,\n")
    (tmp_path / "sentences.csv").write_text("group,row,text\n1.0,4,money back\n2.0,5,hello\n")
    assert [row.text for row in named_groups(tmp_path)] == ["money back"]
