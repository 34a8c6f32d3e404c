"""The command ``check`` on real folders: exit codes, JUnit, the first file of ``--init``, what it refuses."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from commands import check_refusal, run, run_apart, snapshot

from intent_bert.data.tables import read_table
from intent_bert.export.calibrate import calibrate
from intent_bert.workbench.cases import read_cases

CASES = """\
capabilities:
  music:
    must:
      play my song: {intent}
    same:
      play my song: [case, punctuation]
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(CASES.format(intent="music"))
    Path("bad.yaml").write_text(CASES.format(intent="weather"))
    return tmp_path


def test_exit_codes_json_and_junit(capsys, trained, here):
    code, out, err = run(capsys, "check", trained.folder, "good.yaml")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "passed: 3 of 3 cases passed"
    code, out, err = run(capsys, "check", trained.folder, "bad.yaml", "--json", "--junit", "junit.xml")
    assert (code, err) == (3, "")
    found = json.loads(out)
    assert (found["passed"], found["capabilities"][0]["passes"]) == (False, 2)
    assert found["capabilities"][0]["outcomes"][0] | {"found": ""} == {
        "kind": "must", "text": "play my song", "line": 4, "perturbation": None, "passed": False, "asked": "weather",
        "found": "", "variants": 0, "changed": [],
    }  # fmt: skip
    root = ElementTree.parse("junit.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("3", "1")


def test_no_tensorflow(trained, here):
    code, imported, out, _ = run_apart(
        ["tensorflow", "keras", "matplotlib", "pandas"], "check", trained.folder, "good.yaml"
    )
    assert (code, imported) == (0, [])
    assert "passed" in out


def test_several_intents(capsys, several, here):
    Path("s.yaml").write_text("must:\n  play music and will it rain: [music, weather]\n  a: []\npass-rate: 0%\n")
    code, out, _ = run(capsys, "check", several.folder, "s.yaml", "--json")
    assert (code, len(json.loads(out)["capabilities"][0]["outcomes"])) == (0, 2)
    code, _, err = run(capsys, "check", "--init", several.folder, "first.yaml")
    assert (code, err.splitlines()[-1].split(":")[0]) == (0, "wrote first.yaml")
    assert run(capsys, "check", several.folder, "first.yaml")[0] == 0


def test_a_first_file_passes_and_comes_from_the_models_own_table(capsys, trained, here):
    code, out, err = run(capsys, "check", "--init", trained.folder)
    assert (code, out) == (0, "")
    assert f"cases from {trained.folder.parent / 'test.csv'}, a table of the model's own run" in err
    assert "the model can't tell (intent-bert calibrate adds what it needs)" in err
    cases = read_cases("cases.yaml")
    assert [each.name for each in cases.capabilities][:3] == ["music", "table", "weather"]
    test = dict(read_table(trained.folder.parent / "test.csv").itertuples(index=False))
    for capability in cases.capabilities:
        kinds = [case.kind for case in capability.cases]
        assert kinds.count("must") >= 1
        assert all(test[case.text] == case.intents[0] for case in capability.cases if case.kind == "must")
    assert run(capsys, "check", trained.folder, "cases.yaml")[0] == 0
    before = Path("cases.yaml").read_bytes()
    check_refusal(run(capsys, "check", "--init", trained.folder), "won't replace cases.yaml: it is there already")
    assert Path("cases.yaml").read_bytes() == before


def test_a_first_file_without_the_tables_of_the_run(capsys, trained, small_table, here):
    moved = here / "moved" / "model"
    shutil.copytree(trained.folder.parent, moved.parent)
    config = json.loads((moved / "config.json").read_text())
    assert str(trained.folder.parent) in config["settings"]["test_file"]
    calibrate(moved, read_table(small_table))
    table = here / "table.csv"
    small_table.rename(columns={"text": "say", "intent": "what"}).to_csv(table, index=False)
    options = ["--table", table, "--text-column", "say", "--label-column", "what"]
    code, _, err = run(capsys, "check", "--init", moved, "given.yaml", *options)
    assert (code, f"cases from {table}\n" in err) == (0, True)
    assert run(capsys, "check", moved, "given.yaml")[0] == 0


def test_a_first_file_of_mistakes_alone(capsys, trained, here, monkeypatch):
    monkeypatch.setattr("intent_bert.workbench.first_cases._own_tables", lambda settings: [])
    model = here / "model"
    shutil.copytree(trained.folder, model)
    rows = "text,label,prediction,confidence,runner_up\nplay it,weather,music,0.9,table\nodd,sport,music,0.8,table\n"
    (model / "mistakes.csv").write_text(rows)
    code, _, err = run(capsys, "check", "--init", model)
    assert (code, "name labelled sentences with --table TABLE" in err) == (0, True)
    (capability,) = read_cases("cases.yaml").capabilities
    assert (capability.name, capability.pass_rate) == ("known mistakes", 0)
    assert [(case.text, case.intents) for case in capability.cases] == [("play it", ("weather",))]
    assert run(capsys, "check", model, "cases.yaml")[0] == 0
    (model / "mistakes.csv").write_text("text,label,prediction,confidence,runner_up\n")
    result = run(capsys, "check", "--init", model, "none.yaml")
    assert result[0] == 2
    assert "holds no sentence to make cases of, and no table of its run is here: name one with --table" in result[2]
    assert not Path("none.yaml").exists()


def test_mistakes(capsys, trained, here):
    model = trained.folder
    Path("typo.yaml").write_text("mist: {a: b}\n")
    Path("musik.yaml").write_text(CASES.format(intent="musik"))
    Path("idle.yaml").write_text("same: {play my song: contractions}\n")
    Path("unknown.yaml").write_text("unknown: [what]\n")
    Path("t.csv").write_text("text,intent\nplay,sport\n")
    before = snapshot(here)
    for arguments, expected in (
        ([model], "expected a file of cases behind the model folder"),
        ([model, "none.yaml"], "no such file: none.yaml"),
        ([model, "typo.yaml"], "typo.yaml, line 1: unknown key 'mist': did you mean must?"),
        ([model, "musik.yaml"], "musik.yaml, line 4: the model has no intent 'musik': did you mean music?"),
        ([model, "idle.yaml"], "idle.yaml, line 1: the perturbation contractions changes nothing in 'play my song'"),
        ([model, "unknown.yaml"], "unknown.yaml, line 1: the model can't tell which sentences are in scope"),
        (["none", "good.yaml"], "none"),
        ([model, "good.yaml", "--junit", "good.yaml"], "won't write to good.yaml: it is what is read"),
        ([model, "good.yaml", "--junit", "no/j.xml"], "there is no folder"),
        ([model, "good.yaml", "--table", "t.csv"], "--table is for --init"),
        (["--init", model, "--junit", "j.xml"], "--junit is for a check"),
        (["--init", model, "x.yaml", "--label-column", "y"], "are for --table TABLE"),
        (
            ["--init", model, "x.yaml", "--table", "t.csv"],
            "t.csv has no sentence of at most 100 characters that the model",
        ),
        (["--init", model, "x.yaml", "--table", "no.csv"], "no such file: no.csv"),
    ):
        check_refusal(run(capsys, "check", *arguments), expected)
    assert snapshot(here) == before
