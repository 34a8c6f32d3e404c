"""The command `report`."""

import re

import pytest
from commands import check_refusal, run, run_apart


def test_a_page_is_written_without_tensorflow(trained, tmp_path):
    test, page = trained.folder.parent / "test.csv", tmp_path / "report.html"
    code, imported, out, err = run_apart(["tensorflow", "keras"], "report", trained.folder, test, "--output", page)
    assert (code, imported, err) == (0, [], f"the page is {page}\n")
    assert re.fullmatch(r"accuracy \d\.\d{4}  macro F1 \d\.\d{4}  loss \d\.\d{4}\n", out)
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>") and "model on " in html


def test_an_unknown_label_and_training_sentences(capsys, trained, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text((trained.folder.parent / "test.csv").read_text() + "zzz qqq,none\nplay my song,weather\n")
    page, train = tmp_path / "a.html", trained.folder.parent / "train.csv"
    code, _, err = run(
        capsys, "report", trained.folder, table, "--output", page, "--unknown-label", "none", "--train-file", train
    )
    assert code == 0, err
    html = page.read_text(encoding="utf-8")
    assert "unknown: AUROC" in html and "nearest training sentences" in html


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nowhere/a.html", "there is no folder nowhere"),
        (".", "can't write .: it is a folder; name a file, such as report.html"),
        ("a.pdf", "expected a name that ends in .html, not 'a.pdf'"),
    ],
)
def test_a_place_that_can_t_take_the_page(capsys, trained, tmp_path, monkeypatch, place, told):
    monkeypatch.chdir(tmp_path)
    check_refusal(run(capsys, "report", trained.folder, trained.folder.parent / "test.csv", "--output", place), told)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_the_model_never_had(capsys, trained, tmp_path):
    (tmp_path / "t.csv").write_text("text,intent\njump,sport\nrun,sport\n")
    told = "no label of {} is an intent of {}: the table has 'sport', the model knows 'music', 'table', 'weather'"
    found = run(capsys, "report", trained.folder, tmp_path / "t.csv", "--output", tmp_path / "r.html")
    check_refusal(found, told.format(tmp_path / "t.csv", trained.folder))
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]
    found = run(capsys, "report", tmp_path, tmp_path / "t.csv", "--output", tmp_path / "r.html")
    check_refusal(found, "is no model folder")
