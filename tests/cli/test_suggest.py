"""The commands suggest and discover: their files, the way back with --merge, mistakes; without TensorFlow."""

import shutil

import pandas as pd
import pytest
from commands import check_refusal, run, run_apart

from intent_bert import calibrate
from intent_bert.data.tables import read_table


@pytest.fixture(scope="module")
def rejecting(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rejecting") / "model"
    shutil.copytree(trained.folder, folder)
    calibrate(folder, read_table(trained.folder.parent / "train.csv"))
    return folder


@pytest.fixture
def tables(tmp_path, trained):
    known = pd.read_csv(trained.folder.parent / "train.csv")
    known.to_csv(tmp_path / "labelled.csv", index=False)
    strange = [f"zx{'qk' * (n % 4)} {n % 3}{n % 4} vv" for n in range(40)]
    pd.DataFrame({"text": ["=play a rain", *strange, *known["text"]]}).to_csv(tmp_path / "new.csv", index=False)
    return tmp_path


def test_suggest_fill_in_and_merge(rejecting, tables, capsys):
    words = ("suggest", rejecting, tables / "new.csv", "--number", 5, "--output", tables / "fill.csv")
    code, out, err = run(capsys, *words, "--labelled", tables / "labelled.csv", "--guard-formulas")
    assert code == 0, err
    assert "5 sentences of" in out and "--merge" in err
    rows = pd.read_csv(tables / "fill.csv")
    assert len(rows) == 5 and rows["intent"].isna().all()
    assert not set(rows["text"]) & set(pd.read_csv(tables / "labelled.csv")["text"])
    rows["intent"] = ["music", "jukebox", *[None] * 3]
    rows.to_csv(tables / "fill.csv", index=False)
    words = ("suggest", tables / "labelled.csv", "--merge", tables / "fill.csv", "--output", tables / "more.csv")
    code, out, err = run(capsys, *words)
    assert code == 0 and "and 2 more" in out and "new intent: jukebox" in err
    table = read_table(tables / "more.csv")
    assert len(table) == len(read_table(tables / "labelled.csv")) + 2


def test_discover_name_and_merge(rejecting, tables, capsys):
    code, out, err = run(capsys, "discover", rejecting, tables / "new.csv", "--output-dir", tables / "found")
    assert code == 0, err
    assert "sentences are refused, in" in out.splitlines()[0]
    groups = pd.read_csv(tables / "found" / "groups.csv")
    groups["intent"] = groups["intent"].astype(object)
    groups.loc[0, "intent"] = "noise"
    groups.to_csv(tables / "found" / "groups.csv", index=False)
    words = ("discover", tables / "labelled.csv", "--merge", tables / "found", "--output", tables / "more.csv")
    code, out, err = run(capsys, *words)
    assert code == 0 and "new intent: noise" in err
    assert (read_table(tables / "more.csv")["intent"] == "noise").sum() == len(
        set(pd.read_csv(tables / "found" / "sentences.csv").query("group == 1")["text"])
    )


@pytest.mark.parametrize("command", ["suggest", "discover"])
def test_they_need_no_tensorflow(rejecting, tables, command):
    place = ("--number", 3, "--output", tables / "f.csv") if command == "suggest" else ("--output-dir", tables / "d")
    code, imported, _, err = run_apart(["tensorflow", "keras"], command, rejecting, tables / "new.csv", *place)
    assert (code, imported) == (0, []), err


def test_mistakes_get_a_sentence(rejecting, trained, tables, capsys):
    new, labelled = tables / "new.csv", tables / "labelled.csv"
    for words, expected in (
        (("suggest", rejecting, new), "say --output FILE.csv"),
        (("suggest", rejecting, "--output", tables / "f.csv"), "expected MODEL_DIR and TABLE, got"),
        (("suggest", rejecting, new, "--output", new), "it is the table that is read; name another file"),
        (("suggest", rejecting, new, "--output", tables / "f.xlsx"), "expected a name that ends in .csv or .tsv"),
        (("suggest", rejecting, new, "--output", tables / "f.csv", "--number", 0), "number must be"),
        (("suggest", labelled, new, "--merge", labelled, "--output", tables / "f.csv"), "--merge takes one table"),
        (("discover", rejecting, new), "say --output-dir DIR"),
        (("discover", rejecting, new, "--output-dir", rejecting), "it is a model folder"),
        (("discover", labelled, "--merge", tables / "nowhere", "--output", tables / "f.csv"), "no such file"),
        (("discover", trained.folder, new, "--output-dir", tables / "d"), "can't tell which sentences are in scope"),
    ):
        check_refusal(run(capsys, *words), expected)
    assert not (tables / "f.csv").exists() and not (tables / "d").exists()
