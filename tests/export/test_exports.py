"""Exports: written, compared with Keras, kept or refused; the folder is the old one or the new one."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from artifacts import artifact_of
from full_disk import largest_file

from intent_bert.errors import DataError, DiskError, ModelFolderError, SettingsError
from intent_bert.export import exports as export
from intent_bert.export.exports import ExportCheck, export_model, export_with_the_run, write_export
from intent_bert.inference import agreement
from intent_bert.inference.agreement import sentences_for
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.folder import ModelFolder
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.saved import Artifact, load_artifact, load_model, save_artifact

TEXTS = ["play my song", "will it rain tomorrow", "book a table", "🎵", "play " * 40]


@pytest.fixture(scope="module")
def quick_artifact(quick_checkpoint) -> Artifact:
    return artifact_of(quick_checkpoint, ["a", "b", "c"])


@pytest.fixture
def saved(quick_artifact, tmp_path) -> Path:
    return save_artifact(quick_artifact, tmp_path / "model")


@pytest.fixture
def questions(tmp_path) -> Path:
    (tmp_path / "questions.csv").write_text("question\n" + "\n".join(TEXTS) + "\n", encoding="utf-8")
    return tmp_path / "questions.csv"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- written -----------------------------------------------------------------------------------------------------


def test_an_export_is_compared_counted_to_the_model_and_described_beside_it(saved, questions):
    (saved / "notes.txt").write_text("mine")
    before = contents(saved)
    check = export_model(saved, "onnx", check_file=questions, text_column="question")
    assert json.loads((saved / "model.onnx.json").read_text()) == vars(check)
    assert (check.file, check.format, check.quantize) == ("model.onnx", "onnx", None)
    assert (check.sentences, check.sentences_from, check.changed_predictions) == (5, "questions.csv", 0)
    assert 0 < check.largest_difference < 1e-5
    assert check.megabytes == round((saved / "model.onnx").stat().st_size / 1e6, 1)
    after = contents(saved)
    assert set(after) - set(before) == {"model.onnx", "model.onnx.json"}
    assert {name for name in before if after[name] != before[name]} == {"config.json"}
    assert ModelFolder(saved).holds("model.onnx")
    assert IntentPredictor.load(saved).engine == "onnx"
    assert [entry.name for entry in saved.parent.iterdir() if entry.is_dir()] == ["model"]

    first = (saved / "model.onnx").read_bytes()
    check = export_model(saved, "onnx", "int8", questions, "question")
    assert (check.file, check.quantize) == ("model.int8.onnx", "int8")
    assert 0 < check.largest_difference < 0.1
    assert (saved / "model.onnx").read_bytes() == first
    export_model(saved)
    assert (saved / "model.onnx").read_bytes() == first
    for engine in ("onnx", "onnx-int8", "keras"):
        assert IntentPredictor.load(saved, engine=engine).engine == engine
    assert load_artifact(saved).classes == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("format", "name"), [("onnx", "model.onnx"), ("onnx", "model.onnx.json"), ("savedmodel", "savedmodel")]
)
def test_a_link_in_place_of_an_export_is_replaced_and_not_followed(saved, questions, tmp_path, format, name):
    other = tmp_path / "other"
    other.mkdir()
    (other / "saved_model.pb").write_text("mine")
    (saved / name).symlink_to(other if format == "savedmodel" else other / "saved_model.pb")
    export_model(saved, format, check_file=questions, text_column="question")
    assert contents(other) == {"saved_model.pb": b"mine"}
    assert not (saved / name).is_symlink()
    assert (saved / name).exists()


def test_without_a_table_the_runs_mistakes_and_the_sample_are_compared(saved):
    sample = sentences_for(saved)
    assert len(sample) == 420
    (saved / "mistakes.csv").write_text("text,truth,answer,confidence,runner_up\nplay rain,a,b,0.9,c\n")
    assert sentences_for(saved) == ["play rain", *sample]
    (saved / "mistakes.csv").write_text("text,truth,answer,confidence,runner_up\n")
    assert sentences_for(saved) == sample


def test_a_large_table_is_compared_in_part_evenly(quick_artifact, tmp_path, monkeypatch):
    monkeypatch.setattr(agreement, "MOST_SENTENCES", 3)
    asked: list[str] = []
    encode = quick_artifact.tokenizer.encode
    monkeypatch.setattr(
        quick_artifact.tokenizer, "encode", lambda texts, length: asked.extend(texts) or encode(texts, length)
    )
    assert write_export(quick_artifact, tmp_path, [f"play {n}" for n in range(11)], "numbers").sentences == 3
    assert asked == ["play 0", "play 5", "play 10"]


@pytest.mark.slow
def test_savedmodel_and_litert_answer_as_keras_does(saved, questions):
    import tensorflow as tf

    for format, name in (("savedmodel", "savedmodel"), ("litert", "model.tflite")):
        check = export_model(saved, format, check_file=questions, text_column="question")
        assert (check.file, check.changed_predictions) == (name, 0)
        assert check.largest_difference < 1e-5
        assert json.loads((saved / f"{name}.json").read_text())["format"] == format
        assert ModelFolder(saved).holds(name)
    ids = np.array([[2, 9, 10, 3, 0], [2, 7, 7, 7, 3]], "int32")
    loaded = tf.saved_model.load(saved / "savedmodel")
    served, engine = loaded.serve(ids), KerasEngine(load_model(saved))
    np.testing.assert_allclose(served["probabilities"], load_model(saved)(ids), atol=1e-5)
    for name, expected in engine.outputs([[*ids[0, :4]], ids[1]])._asdict().items():
        np.testing.assert_allclose(served[name.removesuffix("s") if name == "vectors" else name], expected, atol=1e-5)
    export_model(saved, "savedmodel", check_file=questions, text_column="question")
    parts = {name for name in ModelFolder(saved).config["sha256"] if name.startswith("savedmodel/")}
    assert parts == {f"savedmodel/{name}" for name in contents(saved / "savedmodel")}
    assert "savedmodel/saved_model.pb" in parts


# --- not kept ----------------------------------------------------------------------------------------------------


@pytest.fixture
def wrong_graph(monkeypatch) -> None:
    """A graph drawn from other weights than the model's, as a fault in the drawing would make."""
    from intent_bert.export import onnx_graph

    drawn = onnx_graph.onnx_model

    def draw(model: keras.Model, quantize: str | None = None) -> Any:
        weights = model.get_weights()
        model.set_weights([weight[::-1] for weight in weights])
        graph = drawn(model, quantize)
        model.set_weights(weights)
        return graph

    monkeypatch.setattr(onnx_graph, "onnx_model", draw)


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_an_export_that_answers_otherwise_is_not_kept(saved, wrong_graph, quantize):
    before = contents(saved.parent)
    with pytest.raises(ModelFolderError) as caught:
        export_model(saved, "onnx", quantize)
    name = "model.int8.onnx" if quantize else "model.onnx"
    assert str(caught.value).startswith(
        f"{name} was not kept, for it predicts otherwise than the Keras model: on 420 s"
    )
    assert str(caught.value).endswith("are allowed)" if quantize else "(0.0001 at most is allowed)")
    assert contents(saved.parent) == before


def test_what_is_allowed_differs_for_int8():
    figures: dict[str, Any] = {"file": "model.onnx", "format": "onnx", "megabytes": 1.0, "sentences": 400}
    figures |= {"sentences_from": "here", "changed_predictions": 40, "sure_predictions": 300}
    for quantize, largest, mean, sure, kept in (
        (None, 9e-5, 1e-5, 0, True),
        (None, 2e-4, 1e-5, 0, False),
        (None, float("nan"), float("nan"), 0, False),
        ("int8", 0.4, 0.05, 3, True),
        ("int8", 0.4, 0.05, 4, False),
        ("int8", 0.4, 0.06, 3, False),
        ("int8", float("nan"), float("nan"), 0, False),
    ):
        figures |= {"quantize": quantize, "largest_difference": largest, "mean_difference": mean}
        check = ExportCheck(**figures, sure_predictions_changed=sure)
        assert (check.complaint() is None) is kept, check


def test_mistakes_are_refused_before_anything_is_written(saved, tmp_path, monkeypatch):
    before = contents(tmp_path)
    for arguments, kind, expected in (
        (("onyx",), SettingsError, "unknown export format 'onyx': did you mean onnx?"),
        (("savedmodel", "int8"), SettingsError, "can't quantise format 'savedmodel' to 'int8': there is int8 of fo"),
        (("onnx", None, tmp_path / "no.csv"), DataError, f"no such file: {tmp_path}/no.csv"),
    ):
        with pytest.raises(kind) as caught:
            export_model(saved, *arguments)
        assert str(caught.value).startswith(expected)
    with pytest.raises(ModelFolderError, match=r"^no such model folder: "):
        export_model(tmp_path / "no")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnx", None)
        patch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(SettingsError) as caught:
            export_model(saved)
        assert str(caught.value) == "exporting to onnx needs what is not installed: pip install onnx onnxruntime"
    disk = type("Disk", (), {"free": 10})
    monkeypatch.setattr("intent_bert.model.folder.shutil.disk_usage", lambda _: disk)
    with pytest.raises(DiskError, match=r"^not enough disk space at .*: about 0 MB are needed, 0 MB are free$"):
        export_model(saved)
    assert contents(tmp_path) == before


def test_a_format_that_keras_cannot_write_is_told_in_its_words(saved, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise NotImplementedError("no such thing\nat all")

    before = contents(saved.parent)
    monkeypatch.setattr(keras.Model, "export", refuse)
    with pytest.raises(SettingsError) as caught:
        export_model(saved, "litert")
    assert str(caught.value) == f"Keras {keras.__version__} can't export this model to litert: no such thing"
    assert contents(saved.parent) == before


def test_what_litert_cannot_run_is_told_in_its_words(saved, monkeypatch):
    class Interpreter:
        def get_signature_runner(self) -> Any:
            raise RuntimeError("Select ops are not supported by this interpreter. Make sure that\nmore")

    before = contents(saved.parent)
    monkeypatch.setattr(keras.Model, "export", lambda *_, **__: None)
    monkeypatch.setattr(export, "_litert_interpreter", lambda _: Interpreter())
    with pytest.raises(SettingsError) as caught:
        export_model(saved, "litert")
    assert str(caught.value) == (
        "LiteRT can't run this model: Select ops are not supported by this interpreter; export it to onnx or savedmodel"
    )
    assert contents(saved.parent) == before


# --- a full disk -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["onnx", "savedmodel"])
def test_a_full_disk_leaves_the_old_folder_and_nothing_else(saved, format):
    before = contents(saved.parent)
    with largest_file(20_000), pytest.raises(DiskError) as caught:
        export_model(saved, format)
    assert str(caught.value).startswith(f"can't write {saved}: ")
    assert str(caught.value).endswith("; nothing was changed: free some space, or choose another place")
    assert "\n" not in str(caught.value)
    assert contents(saved.parent) == before
    assert [entry.name for entry in saved.parent.iterdir()] == ["model"]


def test_a_run_without_room_for_its_export_is_saved_without_it(quick_artifact, tmp_path, caplog):
    size = sum(weight.numpy().nbytes for weight in quick_artifact.model.weights)
    with largest_file(size // 2):
        assert export_with_the_run(quick_artifact, tmp_path, TEXTS, "five") == []
    assert caplog.messages == ["no model.onnx (File too large): predictions will come from Keras"]
    assert list(tmp_path.iterdir()) == []
    assert export_with_the_run(quick_artifact, tmp_path, TEXTS, "five") == ["model.onnx"]
    assert {entry.name for entry in tmp_path.iterdir()} == {"model.onnx", "model.onnx.json"}


def test_a_model_that_no_graph_can_hold_is_saved_without_one(quick_artifact, tmp_path, caplog, wrong_graph):
    folder = save_artifact(
        quick_artifact,
        tmp_path / "model",
        write_exports=lambda work: export_with_the_run(quick_artifact, work, TEXTS, "five"),
    )
    assert caplog.messages[0].startswith("no model.onnx (model.onnx was not kept, for it predicts otherwise than")
    assert not list(folder.glob("model.onnx*"))
    assert IntentPredictor.load(folder).engine == "keras"
    shutil.rmtree(folder)
