"""``intent-bert doctor``: files, exit codes, and what it says."""

import csv

import pytest

from intent_bert.cli import main

ROWS = ["play music,music", "Play music!,music", "play music,weather", "mail jo@firm.com,music", "rain,weather"]


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "table.csv").write_text("\n".join(["text,intent", *ROWS]) + "\n")
    return tmp_path / "table.csv"


@pytest.fixture
def doctor(table, tiny_checkpoint):
    return lambda *more: main(["doctor", str(table), "--checkpoint", str(tiny_checkpoint), "--quick", *map(str, more)])


def test_findings_on_stdout_and_nothing_written(doctor, table, capsys):
    assert doctor() == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{table}: 5 rows, 3 different sentences, 2 intents\n")
    assert "\nerror contradiction row 4 [weather] 'play music'\n" in out
    assert "  -> intent: music\n" in out
    assert "jo@firm.com" not in out
    assert "no label-error, outlier and overlap: they were left out (--quick)" in err
    assert [each.name for each in table.parent.iterdir()] == ["table.csv"]


@pytest.mark.parametrize(("severity", "code"), [("never", 0), ("warning", 3), ("error", 3)])
def test_fail_on(doctor, severity, code):
    assert doctor("--fail-on", severity) == code


def test_remarks_fail_nothing(doctor, table):
    table.write_text("text,intent\n" + "".join(f"play {chr(97 + n)} {chr(98 + n)},i{n % 2}\n" for n in range(12)))
    assert doctor("--fail-on", "warning") == 0


def test_from_findings_to_a_new_table(doctor, table, tmp_path, capsys):
    assert doctor("--output-dir", tmp_path / "found") == 0
    assert sorted(each.name for each in (tmp_path / "found").iterdir()) == ["findings.csv", "report.html"]
    with (tmp_path / "found" / "findings.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [*rows[0]] == ["kind", "severity", "row", "text", "intent", "suggestion", "score", "other_row"]
    assert rows[0]["kind"] == "contradiction"
    assert rows[0]["row"] == "4"
    capsys.readouterr()
    new = tmp_path / "new.csv"
    code = main(["doctor", str(table), "--apply", str(tmp_path / "found" / "findings.csv"), "--output", str(new)])
    assert code == 0
    assert "4 rows; 1 deleted, 1 with another intent, 1 with another text" in capsys.readouterr().out
    assert (
        new.read_text()
        == "text,intent\nplay music,music\nplay music,music\nmail name@example.com,music\nrain,weather\n"
    )


def test_leaks_between_splits_of_a_folder(doctor, table, tmp_path, tiny_checkpoint, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text("text,intent\nplay music,music\nrain,weather\n")
    (folder / "test.csv").write_text("text,intent\nRain?,weather\n")
    code = main(["doctor", str(folder), "--checkpoint", str(tiny_checkpoint), "--quick", "--fail-on", "error"])
    assert code == 3
    assert "error leak row 3 [weather] 'rain'\n  the same text as row test.csv:2 but" in capsys.readouterr().out


def test_several_labels(doctor, table, capsys):
    table.write_text("text,intent\nplay music,music|weather\nplay music,weather|music\nrain,\n")
    assert doctor("--multi-label") == 0
    assert "duplicate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--apply", "findings.csv"], "--apply FINDINGS and --output NEW_TABLE go together"),
        (["--output", "new.csv"], "--apply FINDINGS and --output NEW_TABLE go together"),
        (["--label-column", "topic"], "has no column 'topic'"),
        (["--against", "nothing.csv"], "no such file: nothing.csv"),
        (["--max-seq-len", "2"], "max_seq_len must be 3 to 48 tokens"),
        (["--apply", "a.csv", "--output", "b.csv", "--output-dir", "c"], "--output-dir is not for --apply"),
    ],
)
def test_mistakes_are_one_sentence(doctor, more, sentence, capsys):
    assert doctor(*more) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


def test_the_table_is_never_overwritten(doctor, table, tmp_path, capsys):
    found = tmp_path / "findings.csv"
    found.write_bytes(table.read_bytes())
    assert main(["doctor", str(found), "--quick", "--output-dir", str(tmp_path)]) == 2
    assert "findings.csv would be replaced" in capsys.readouterr().err
    assert found.read_bytes() == table.read_bytes()


def test_where_findings_can_not_go(doctor, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"format_version": 1}')
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    for folder, sentence in (("model", "it is a model folder"), ("taken", "report.html is a folder")):
        before = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert doctor("--output-dir", str(tmp_path / folder)) == 2
        assert sentence in capsys.readouterr().err
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == before
