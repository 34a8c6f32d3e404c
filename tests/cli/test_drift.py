"""The command drift: what it prints and writes, its exit codes, without TensorFlow."""

import json
import shutil

import pandas as pd
import pytest
from commands import check_refusal, run, run_apart

from intent_bert import learn_usual

STRANGE = ["qq zz xx vv", "k j h g f d s", "12 34 56 78 90 12", "zzzz", "what for is it will be of the a"] * 12


@pytest.fixture(scope="module")
def watched(trained, small_table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched") / "model"
    shutil.copytree(trained.folder, folder)
    learn_usual(folder, small_table)
    return folder


@pytest.fixture
def tables(tmp_path, small_table):
    small_table[["text"]].to_csv(tmp_path / "usual.csv", index=False)
    pd.DataFrame({"text": STRANGE}).to_csv(tmp_path / "strange.csv", index=False)
    return tmp_path


def test_no_drift_is_0_and_drift_is_3(watched, tables, capsys):
    code, out, err = run(capsys, "drift", watched, tables / "usual.csv")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].endswith("sentences: no drift")
    code, out, err = run(capsys, "drift", watched, tables / "strange.csv", "--output-dir", tables / "out")
    assert code == 3
    assert "all rows: 60 sentences: DRIFT" in out and "  drifted" in out
    assert {path.name for path in (tables / "out").iterdir()} == {"drift.png", "tests.csv", "changes.csv"}
    assert pd.read_csv(tables / "out" / "tests.csv")["drifted"].any()
    code, out, _ = run(capsys, "drift", watched, tables / "strange.csv", "--json")
    assert code == 3 and json.loads(out)["drift"] is True


def test_learning_changes_what_is_usual(watched, tables, capsys):
    shutil.copytree(watched, tables / "model")
    code, out, _ = run(capsys, "drift", tables / "model", tables / "strange.csv", "--learn")
    assert code == 0 and "keeps a sketch of 60 sentences" in out
    assert run(capsys, "drift", tables / "model", tables / "strange.csv")[0] == 0
    assert run(capsys, "drift", tables / "model", tables / "usual.csv")[0] == 3


def test_it_needs_no_tensorflow(watched, tables):
    code, imported, _, err = run_apart(["tensorflow", "keras"], "drift", watched, tables / "usual.csv")
    assert (code, imported, err) == (0, [], "")


def test_mistakes_get_a_sentence(watched, trained, tables, capsys):
    check_refusal(run(capsys, "drift", trained.folder, tables / "usual.csv"), "has no sketch of usual sentences")
    words = ("drift", watched, tables / "usual.csv")
    check_refusal(run(capsys, *words, "--learn", "--json"), "--learn compares nothing: leave")
    check_refusal(run(capsys, *words, "--output-dir", trained.folder), "it is a model folder; name another")
    check_refusal(run(capsys, *words, "--output-dir", tables / "usual.csv"), "it is a file; name a folder")
    check_refusal(run(capsys, *words, "--false-alarms", "2"), "false_alarms must be a share")
