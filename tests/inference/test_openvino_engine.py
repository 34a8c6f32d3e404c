"""The engine on OpenVINO: what it predicts, when it is taken, what it keeps and what it does after a fork."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from artifacts import artifact_of

from intent_bert.cli.scoring import BYTES_OF_A_SENTENCE
from intent_bert.errors import ModelFolderError, SettingsError
from intent_bert.files.cache import compiled_folder
from intent_bert.inference import agreement, engines
from intent_bert.inference.engines import MANY_SENTENCES, choose_engine
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.folder import ModelFolder
from intent_bert.model.outputs import Outputs

pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install openvino")

from intent_bert.inference import openvino_engine
from intent_bert.inference.openvino_engine import OpenVinoEngine

FORMAT_1 = Path(__file__).parent.parent / "references" / "model_folder_format_1"
TEXTS = ["play my song", "will it rain tomorrow", "", "book a table " * 9, "🎵 unseen wörds", "a"] * 12


@pytest.fixture(scope="module")
def folder(quick_checkpoint, tmp_path_factory) -> Path:
    """A model that was not trained, with its model.onnx; not to be written to."""
    from intent_bert.export.exports import export_model
    from intent_bert.model.saved import save_artifact

    saved = save_artifact(artifact_of(quick_checkpoint, ["a", "b", "c"]), tmp_path_factory.mktemp("saved") / "model")
    export_model(saved)
    return saved


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache") / "compiled"


@pytest.fixture(autouse=True)
def _cache(kept, monkeypatch) -> None:
    monkeypatch.setenv("INTENT_BERT_COMPILED", str(kept))


@pytest.fixture(params=["bf16", "f32"])
def precision(request, monkeypatch) -> str:
    if request.param == "f32":
        monkeypatch.setattr(openvino_engine, "cpu_multiplies_bfloat16", lambda: False)
    elif not engines.cpu_multiplies_bfloat16():
        pytest.skip("this processor does not compute in bfloat16")
    return request.param


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir() if path.is_file()}


# --- what it predicts --------------------------------------------------------------------------------------------


def test_it_predicts_as_onnx_runtime_does_and_leaves_the_folder_alone(folder, kept, precision):
    before = files_of(folder)
    predictor = IntentPredictor.load(folder, engine="openvino", threads=2)
    assert (predictor.engine, predictor._engine.precision) == ("openvino", precision)
    reference = IntentPredictor.load(folder, engine="onnx")
    allowed = 2e-2 if precision == "bf16" else 1e-5
    for name, expected in reference.outputs(TEXTS)._asdict().items():
        found = getattr(predictor.outputs(TEXTS), name)
        assert (found.shape, found.dtype) == (expected.shape, np.float32)
        assert np.abs(found - expected).max() <= allowed * max(1, np.abs(expected).max()), name
    np.testing.assert_allclose(predictor.predict_proba(TEXTS), reference.predict_proba(TEXTS), atol=allowed)
    assert predictor.predict_one("").intent is None
    assert predictor.predict([]) == []
    assert files_of(folder) == before
    (check,) = kept.glob(f"*-{precision}/check.json")
    found = json.loads(check.read_text())
    assert (found["compared_with"], found["precision"], found["sentences"]) == ("onnx", precision, 420)
    assert 0 < found["largest_difference"] <= (0.05 if precision == "bf16" else 1e-4)


def test_predictions_depend_neither_on_batches_nor_on_threads(folder, precision, monkeypatch):
    engine = OpenVinoEngine(ModelFolder(folder), threads=2)
    rng = np.random.default_rng(0)
    ids = [rng.integers(1, 160, length).tolist() for length in rng.integers(2, 24, 60)]
    allowed = 3e-2 if precision == "bf16" else 1e-5
    expected = np.concatenate([engine.outputs([sentence]).logits for sentence in ids])
    monkeypatch.setattr(openvino_engine, "TOKENS_AT_ONCE", 50)
    found: dict[int, Outputs] = {}
    threads = [
        threading.Thread(target=lambda number=number: found.update({number: engine.outputs(ids)}))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for outputs in found.values():
        np.testing.assert_allclose(outputs.logits, expected, atol=allowed)
    assert engine.outputs([]).logits.shape == (0, 3)


def test_an_export_of_format_1_gives_what_it_has():
    predictor = IntentPredictor.load(FORMAT_1, engine="openvino")
    reference = IntentPredictor.load(FORMAT_1, engine="onnx")
    np.testing.assert_allclose(predictor.predict_proba(TEXTS), reference.predict_proba(TEXTS), atol=0.05)
    outputs = predictor.outputs(TEXTS)
    assert [each.shape[1] for each in outputs] == [len(predictor.classes), 0, 0]
    assert np.isnan(predictor.in_scope_score(TEXTS)).all()


# --- when it is taken --------------------------------------------------------------------------------------------


def test_auto_takes_it_for_many_sentences_where_it_is_faster(folder, monkeypatch, caplog):
    opened = ModelFolder(folder)
    monkeypatch.setattr(engines, "cpu_multiplies_bfloat16", lambda: True)
    asked = [1, MANY_SENTENCES - 1, MANY_SENTENCES]
    assert [choose_engine(opened, "auto", number) for number in asked] == ["onnx", "onnx", "openvino"]
    assert choose_engine(opened, "onnx", MANY_SENTENCES) == "onnx"
    with caplog.at_level("INFO", "intent_bert"):
        assert IntentPredictor.load(folder, sentences=MANY_SENTENCES).engine == "openvino"
    assert caplog.messages == ["OpenVINO computes, in bfloat16 (the engine onnx is slower, and computes in float32)"]
    monkeypatch.setattr(engines, "cpu_multiplies_bfloat16", lambda: False)
    assert choose_engine(opened, "auto", MANY_SENTENCES) == "onnx"
    assert choose_engine(opened, "openvino") == "openvino", "who asks for it by name gets it, in float32"


def test_a_missing_package_or_file_is_told(folder, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(engines, "cpu_multiplies_bfloat16", lambda: True)
    assert choose_engine(ModelFolder(folder), "auto", MANY_SENTENCES) == "onnx"
    with pytest.raises(SettingsError) as caught:
        IntentPredictor.load(folder, engine="openvino")
    assert str(caught.value) == ("engine 'openvino' needs a package that is not installed: pip install openvino")
    without = ModelFolder(folder)
    del without.config["sha256"]["model.onnx"]
    without.path = tmp_path
    with pytest.raises(ModelFolderError) as caught:
        choose_engine(without, "openvino")
    assert str(caught.value) == (
        f"{tmp_path} has no model.onnx for engine 'openvino': intent-bert export {tmp_path} writes it"
    )


def test_a_file_that_is_long_enough_is_predicted_by_it(folder, tmp_path, monkeypatch, capsys):
    from intent_bert.cli import main

    table = tmp_path / "in.csv"
    sentence = "play my song now please, and book a table in the park for me"
    table.write_text("text\n" + f'"{sentence}"\n' * (MANY_SENTENCES * BYTES_OF_A_SENTENCE // len(sentence) + 1))
    monkeypatch.setattr(engines, "cpu_multiplies_bfloat16", lambda: True)
    assert main(["predict", str(folder), "--input", str(table), "--output", str(tmp_path / "out.csv")]) == 0
    assert "OpenVINO computes" in capsys.readouterr().err
    (tmp_path / "short.csv").write_text("text\nplay my song\n")
    assert main(["predict", str(folder), "--input", str(tmp_path / "short.csv")]) == 0
    assert "OpenVINO" not in capsys.readouterr().err


# --- compared before it is used ----------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A cache with nothing in it."""
    monkeypatch.setenv("INTENT_BERT_COMPILED", str(tmp_path / "compiled"))
    return compiled_folder()


def test_one_that_predicts_otherwise_is_refused_and_auto_takes_onnx(folder, elsewhere, monkeypatch, caplog):
    monkeypatch.setattr(engines, "cpu_multiplies_bfloat16", lambda: True)
    right = OpenVinoEngine.outputs
    monkeypatch.setattr(
        OpenVinoEngine, "outputs", lambda self, ids: Outputs(*(part * -30 for part in right(self, ids)))
    )
    with pytest.raises(ModelFolderError) as caught:
        IntentPredictor.load(folder, engine="openvino")
    assert f"predicts otherwise than ONNX Runtime from {folder / 'model.onnx'}: on 420 sentences" in str(caught.value)
    assert not elsewhere.exists()
    assert IntentPredictor.load(folder, sentences=MANY_SENTENCES).engine == "onnx"
    assert caplog.messages[-1].startswith("predictions come from ONNX Runtime, for OpenVINO (")


def test_a_file_that_it_cannot_run_is_told(folder, elsewhere, monkeypatch, tmp_path):
    broken = ModelFolder(shutil.copytree(folder, tmp_path / "model"))
    (broken.path / "model.onnx").write_bytes(b"no graph")
    monkeypatch.setattr(ModelFolder, "file", lambda self, name: self.path / name)
    with pytest.raises(ModelFolderError) as caught:
        OpenVinoEngine(broken)
    assert f"can't run {broken.path / 'model.onnx'} (" in str(caught.value)
    assert str(caught.value).endswith("): pip install --upgrade openvino")
    assert "\n" not in str(caught.value)


def test_what_was_compiled_is_opened_again_without_comparing(folder, elsewhere, monkeypatch):
    compared: list[int] = []
    real = agreement.agreement
    monkeypatch.setattr(openvino_engine, "agreement", lambda *given: compared.append(1) or real(*given))
    first = OpenVinoEngine(ModelFolder(folder)).outputs([[2, 9, 10, 3]])
    (entry,) = elsewhere.iterdir()
    assert sorted(path.name for path in entry.iterdir()) == ["check.json", "model.blob"]
    np.testing.assert_array_equal(OpenVinoEngine(ModelFolder(folder)).outputs([[2, 9, 10, 3]]).logits, first.logits)
    assert compared == [1]
    blob = (entry / "model.blob").read_bytes()
    (entry / "model.blob").write_bytes(blob[: len(blob) // 2])
    OpenVinoEngine(ModelFolder(folder))
    assert compared == [1, 1], "what was cut short is compiled anew"
    assert (entry / "model.blob").stat().st_size == len(blob)


def test_the_cache_does_not_grow_without_end(folder, elsewhere, monkeypatch):
    monkeypatch.setattr(openvino_engine, "KEPT", 2)
    for number in range(4):
        (elsewhere / f"old{number}").mkdir(parents=True)
        os.utime(elsewhere / f"old{number}", (number, number))
    OpenVinoEngine(ModelFolder(folder))
    assert sorted(entry.name for entry in elsewhere.iterdir() if entry.name.startswith("old")) == ["old3"]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(folder, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("INTENT_BERT_COMPILED", str(tmp_path / "file" / "compiled"))
    with caplog.at_level("INFO", "intent_bert"):
        assert OpenVinoEngine(ModelFolder(folder)).outputs([[2, 9, 3]]).logits.shape == (1, 3)
    assert caplog.messages[0].startswith("what OpenVINO has compiled is not kept for the next time: ")


# --- other processes ---------------------------------------------------------------------------------------------

FORK = """
import os, sys
from intent_bert import IntentPredictor
from intent_bert.errors import SettingsError

predictor = IntentPredictor.load(sys.argv[1], engine="openvino", threads=2)
first = predictor.predict(["play my song", "rain"] * 20)
child = os.fork()
if not child:
    for ask in (lambda: predictor.predict(["play"]), lambda: IntentPredictor.load(sys.argv[1], engine="openvino")):
        try:
            ask()
        except SettingsError as error:
            print(error, flush=True)
    print(IntentPredictor.load(sys.argv[1], engine="onnx").predict_one("play my song").intent == first[0].intent)
    del predictor
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), predictor.predict(["play my song", "rain"] * 20) == first)
"""


def test_a_forked_process_is_told_and_ends(folder):
    words = [sys.executable, "-c", FORK, folder]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.splitlines() == [openvino_engine._FORKED, openvino_engine._FORKED, "True", "0 True"]
