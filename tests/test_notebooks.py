"""The notebooks run from top to bottom on part of the sample, and what is kept in them is a whole run on all of it."""

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
FAST = "INTENT_BERT_FAST"  # the notebooks read it in their first cell and take few sentences


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed_by(notebook: nbformat.NotebookNode) -> str:
    """All that the cells printed or gave as text."""
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    return "\n".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)


def pictures_of(notebook: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for cell in code_of(notebook) for output in cell.outputs)


def number_after(words: str, printed: str) -> float:
    """The number behind the first place where these words stand."""
    found = re.search(rf"{re.escape(words)}\s+([0-9.]+)", printed)
    assert found, f"{words!r} was not printed"
    return float(found[1])


def accuracies(printed: str) -> dict[str, float]:
    """The first table of ``compare``: method -> accuracy."""
    rows = re.findall(r"^ *([a-z0-9-]+)(?: +[a-z].*?)? +([0-9.]+)% +[0-9.]+% - ", printed, re.MULTILINE)
    return {method: float(percent) / 100 for method, percent in reversed(rows)}


# --- what each notebook must have found ---------------------------------------------------------------------------


def check_intent_recognition_with_bert(printed: str, full: bool) -> None:
    assert number_after("test acc", printed) > (0.9 if full else 0.6)
    assert "intent: PlayMusic" in printed and "intent: RateBook" in printed
    assert f"{2800 if full else 420} sentences to train on" in printed


def check_bert_features_with_scikit_learn(printed: str, full: bool) -> None:
    assert f"{2800 if full else 210} sentences to learn from" in printed
    assert "(1, 384) float32" in printed
    assert "['PlayMusic' 'RateBook']" in printed
    floor = 0.85 if full else 0.6
    for name in ("linear SVM: validation accuracy", "cross-validated accuracy", "test accuracy"):
        assert number_after(name, printed) > floor
    by_pooling = {name: number_after(f"\n{name}", printed) for name in ("cls", "mean", "concat_last_four")}
    assert by_pooling["concat_last_four"] > by_pooling["mean"] > by_pooling["cls"] > 0.5
    assert number_after("\nboth", printed) > number_after("\nwords", printed)
    assert "chosen: {'bert__pooling': " in printed
    assert re.search(r"Play our song now\n    PlayMusic \(0\.\d{3}\), then", printed)
    assert "Play our song now\n  prediction: PlayMusic" in printed


def check_which_classifier(printed: str, full: bool) -> None:
    reached = accuracies(printed)
    assert reached["majority"] == pytest.approx(1 / 7, abs=1e-4)
    assert reached["bert-mean-logreg"] > reached["tfidf-svm"] > (0.7 if full else 0.5)
    if full:
        assert reached["fine-tuning"] > 0.9
        assert set(reached) > {"bert-sum4-svm", "bert-tfidf-svm", "frozen-rnn", "last-2"}
    assert 0 < number_after("p =", printed) < 1
    assert "is the most accurate with" in printed and "On these sentences" in printed


CHECKS: dict[str, Callable[[str, bool], None]] = {
    name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")
}


# --- the tests ----------------------------------------------------------------------------------------------------


def test_each_notebook_is_checked():
    assert [path.stem for path in NOTEBOOKS] == sorted(CHECKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_kept(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [output.output_type for cell in cells for output in cell.outputs]
    assert "error" not in kinds
    assert "stderr" not in [output.get("name") for cell in cells for output in cell.outputs]
    assert pictures_of(notebook) >= 3
    printed = printed_by(notebook)
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|usr|work|Users|opt|mnt)/\S*", printed) == [], "a machine's path"
    CHECKS[path.stem](printed, True)


@pytest.mark.slow
@pytest.mark.real_weights
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path, tmp_path: Path, real_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv(FAST, "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # scikit-learn's threads would wait for each other on a busy machine
    notebook = nbformat.read(path, as_version=4)
    kept = pictures_of(notebook)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert pictures_of(notebook) == kept
    CHECKS[path.stem](printed_by(notebook), False)
