"""Damaged tables through the commands: a sample of what scripts/mutate_tables.py does two thousand times."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "mutate_tables.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutate_tables", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_sixty_damaged_tables_end_in_an_answer_or_a_sentence(script, trained, tmp_path):
    counts, faults = script.run(str(trained.folder), 60, seed=7, keep=None)
    assert faults == []
    for command in ("train", "split", "evaluate", "predict"):
        assert counts[f"{command}: exit 0"] and counts[f"{command}: exit 2"]
        assert counts[f"{command}: exit 0"] + counts[f"{command}: exit 2"] == 60


def test_faults_would_be_seen(script, trained, tmp_path, monkeypatch, capsys):
    def fail(*_: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("intent_bert.data.rows.RowReader.require", fail)
    code = script.main([str(trained.folder), "--number", "3", "--keep", str(tmp_path / "kept")])
    out, err = capsys.readouterr()
    assert code == 1
    assert "exit -1: Traceback" in err and "RuntimeError: ours" in err
    assert out.splitlines()[-1].startswith("3 mutations, ") and list((tmp_path / "kept").iterdir())


@pytest.mark.parametrize(
    ("code", "errors", "fault"),
    [
        (0, "warning: a\n", None),
        (2, "warning: a\nintent-bert: x is empty\n", None),
        (2, "intent-bert: x\nintent-bert: y\n", "not one sentence"),
        (2, "intent-bert: x\nand more\n", "not one sentence"),
        (2, "intent-bert: " + "x" * 2000, "not one sentence"),
        (2, "said\nintent-bert: x\n", "also says 'said'"),
        (1, "", "exit 1"),
        (0, "Traceback (most recent call last)", "exit 0"),
    ],
)
def test_what_counts_as_a_fault(script, code, errors, fault):
    faults = list(script.faults_of_one("split", code, errors))
    assert faults == [] if fault is None else fault in faults[0]
