"""The command ``diff`` on real folders: exit codes, what it prints and writes, what it refuses."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from commands import check_refusal, run, run_apart, snapshot

from intent_bert.model.folder import LABELS_FILE, read_config, write_config, write_json


@pytest.fixture(scope="module")
def relabelled(trained, tmp_path_factory):
    """Makes a copy of the trained model whose outputs have other names."""

    def make(*names: str) -> Path:
        folder = tmp_path_factory.mktemp("relabelled") / "model"
        shutil.copytree(trained.folder, folder)
        write_json(folder / LABELS_FILE, list(names))
        write_config(folder, read_config(folder), [LABELS_FILE])
        return folder

    assert json.loads((trained.folder / LABELS_FILE).read_text()) == ["music", "table", "weather"]
    return make


@pytest.fixture(scope="module")
def test_table(trained) -> Path:
    return trained.folder.parent / "test.csv"


def test_exit_codes_and_json(capsys, trained, relabelled, test_table):
    swapped = relabelled("music", "weather", "table")
    code, out, err = run(capsys, "diff", trained.folder, swapped, test_table)
    assert (code, err) == (3, "")
    assert "NEW is worse: on all" in out.splitlines()[-1]
    code, out, _ = run(capsys, "diff", trained.folder, swapped, test_table, "--json")
    found = json.loads(out)
    assert (code, found["worse"], found["all"]["mended"]) == (3, True, 0)
    metrics = json.loads((trained.folder / "metrics.json").read_text())["test"]
    assert found["old"]["accuracy"] == pytest.approx(metrics["accuracy"])
    assert found["old"]["macro_f1"] == pytest.approx(metrics["macro_f1"])
    assert found["old"]["ece"] == pytest.approx(metrics["ece"], abs=1e-5)
    assert found["old"]["bytes"] > (trained.folder / "model.onnx").stat().st_size
    table = pd.read_csv(test_table)
    assert {each["row"] for each in found["changes"]} <= set(range(2, len(table) + 2))
    for each in found["changes"]:
        assert table["text"][each["row"] - 2] == each["text"]
    code, out, _ = run(capsys, "diff", swapped, trained.folder, test_table)
    assert code == 0
    assert out.splitlines()[-1].startswith("NEW is better, by more than chance explains")
    code, out, _ = run(capsys, "diff", trained.folder, trained.folder, test_table)
    assert (code, out.splitlines()[-1]) == (0, "NEW is not worse")
    options = ["--tolerance", "1", "--significance", "0"]
    assert run(capsys, "diff", trained.folder, swapped, test_table, *options)[0] == 0


def test_added_and_removed_intents(capsys, trained, relabelled, test_table):
    renamed = relabelled("songs", "table", "weather")
    code, out, _ = run(capsys, "diff", trained.folder, renamed, test_table)
    assert code == 3
    assert "intents added: songs (0 of 0 rows found)" in out
    assert "intents removed: music (" in out


def test_the_rows_that_changed_as_a_table(capsys, trained, relabelled, test_table, tmp_path):
    swapped = relabelled("music", "weather", "table")
    code, out, err = run(
        capsys, "diff", trained.folder, swapped, test_table, "--output", tmp_path / "changed.csv", "--json"
    )
    changes = json.loads(out)["changes"]
    assert (code, err) == (3, f"{len(changes)} rows that changed are in {tmp_path / 'changed.csv'}\n")
    written = pd.read_csv(tmp_path / "changed.csv")
    assert written["row"].tolist() == [each["row"] for each in changes]
    assert list(written.columns) == list(changes[0])


def test_several_intents(capsys, several):
    test = several.folder.parent / "test.csv"
    code, out, _ = run(capsys, "diff", several.folder, several.folder, test, "--json")
    metrics = json.loads((several.folder / "metrics.json").read_text())["test"]
    found = json.loads(out)
    assert (code, found["multi_label"]) == (0, True)
    assert found["old"]["accuracy"] == pytest.approx(metrics["subset_accuracy"])
    assert found["old"]["macro_f1"] == pytest.approx(metrics["macro_f1"])


def test_no_tensorflow(trained, test_table):
    names = ["tensorflow", "keras", "torch", "matplotlib"]
    code, imported, out, _ = run_apart(names, "diff", trained.folder, trained.folder, test_table)
    assert (code, imported) == (0, [])
    assert "NEW is not worse" in out


def test_mistakes(capsys, trained, several, relabelled, test_table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = relabelled("a", "b", "c")
    Path("labels.csv").write_text("text,intent\nplay,sport\n")
    Path("hole.csv").write_text("text,intent\nplay,music\n,music\n")
    Path("empty.csv").write_text("text,intent\n")
    before = snapshot(tmp_path)
    model = trained.folder
    for arguments, expected in (
        (
            [model, other, test_table],
            "have no intent in common (music, table, weather; a, b, c): name two models of one task",
        ),
        ([model, several.folder, test_table], "gives several intents a sentence (multi-label)"),
        (
            [model, model, "labels.csv"],
            "labels.csv has no label that a model knows: it has sport, they know music, table",
        ),
        ([model, model, "hole.csv"], "hole.csv, row 3, column 'text': the text is empty"),
        ([model, model, "empty.csv"], "empty.csv is empty"),
        ([model, model, "none.csv"], "no such file: none.csv"),
        ([model, "none", test_table], "none"),
        ([model, model, test_table, "--tolerance", "2"], "tolerance must be a share from 0 to 1"),
        ([model, model, test_table, "--tolerance", "5%"], "invalid float value: '5%'"),
        ([model, model, test_table, "--output", "x.xlsx"], "can't tell how to write x.xlsx: expected .csv or .tsv"),
        ([model, model, "hole.csv", "--output", "hole.csv"], "won't write to hole.csv: it is what is read"),
        ([model, model, test_table, "--output", "no/x.csv"], "there is no folder"),
        ([model, model, test_table, "--text-column", "utterance"], "has no column 'utterance'"),
        ([model, model, test_table, "--label-column", "text"], "can't both be in the column"),
        ([model, model, test_table, "--unknown-label", "x"], "has the label 'x'"),
        ([model, model], "the following arguments are required: TABLE"),
    ):
        check_refusal(run(capsys, "diff", *arguments), expected)
    assert snapshot(tmp_path) == before
