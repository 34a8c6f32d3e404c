"""The model in its folder: carried away, damaged, overwritten, cut off while it is written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from artifacts import artifact_of
from full_disk import largest_file

from intent_bert.errors import DiskError, ModelFolderError
from intent_bert.export.exports import export_model
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.saved import Artifact, load_artifact, load_model, save_artifact

TEXTS = ["Play my song now", "will it rain TOMORROW?", "book", "", "🎵 unseen wörds", "play " * 100]
LOADED = ("config.json", "labels.json", "model.weights.h5", "tokenizer_config.json", "vocab.txt")


@pytest.fixture(scope="module")
def quick_artifact(quick_checkpoint) -> Artifact:
    return artifact_of(quick_checkpoint, ["a", "b", "c"])


@pytest.fixture
def saved(quick_artifact, tmp_path) -> Path:
    return save_artifact(quick_artifact, tmp_path / "model")


def message_of(folder: Path) -> str:
    with pytest.raises(ModelFolderError) as caught:
        load_artifact(folder)
    return str(caught.value)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- carried away ------------------------------------------------------------------------------------------------

ASK_FOLDERS = """
import json, sys

def no_network(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise RuntimeError("the network was asked for")

sys.addaudithook(no_network)
import numpy
from intent_bert import IntentPredictor

texts = json.loads(sys.argv[1])
for number, folder in enumerate(sys.argv[2:]):
    predictor = IntentPredictor.load(folder)
    numpy.save(f"answers-{number}.npy", predictor.predict_proba(texts))
    print(json.dumps([predictor.classes, predictor.tokenizer.do_lower_case, predictor.max_seq_len]))
"""


@pytest.mark.slow
def test_a_copied_folder_answers_the_same_in_a_fresh_process_with_no_network(
    tiny_checkpoint, quick_checkpoint, tmp_path
):
    cased = tmp_path / "cased_quick"
    shutil.copytree(quick_checkpoint, cased)
    artifacts = [
        artifact_of(quick_checkpoint, ["música", "b", "c, d"]),
        artifact_of(tiny_checkpoint, [1, 5, 20], pooling="concat_last_four", adapter_size=3, dropout=0),
        artifact_of(cased, [False, True], pooling="mean", dropout=0.1),
        artifact_of(quick_checkpoint, [0.5, 1.5], pooling="max", precision="mixed_bfloat16"),
        artifact_of(quick_checkpoint, ["a", "b"], head="rnn", train_layers="head"),
        artifact_of(tiny_checkpoint, ["a", "b"], head="linear", train_layers=2, pooling="sum_last_four"),
    ]
    places = []
    for number, artifact in enumerate(artifacts):
        there = save_artifact(artifact, tmp_path / "here" / f"model {number}")
        places.append(shutil.copytree(there, tmp_path / f"uncased cased é {number}"))
    shutil.rmtree(tmp_path / "here")
    shutil.rmtree(cased)
    environment = {**os.environ, "INTENT_BERT_CACHE": str(tmp_path / "no-cache"), "HOME": str(tmp_path / "no-home")}
    done = subprocess.run(
        [sys.executable, "-c", ASK_FOLDERS, json.dumps(TEXTS), *map(str, places)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for number, (artifact, line) in enumerate(zip(artifacts, done.stdout.splitlines(), strict=True)):
        assert json.loads(line) == [artifact.classes, number != 2, 24]
        assert [type(label) for label in json.loads(line)[0]] == [type(label) for label in artifact.classes]
        answers = np.load(tmp_path / f"answers-{number}.npy")
        np.testing.assert_allclose(
            answers, IntentPredictor(artifact, KerasEngine(artifact.model)).predict_proba(TEXTS), atol=1e-6
        )
        assert np.ptp(answers[:3], axis=0).max() > 1e-4


@pytest.mark.parametrize("extra", [{}, {"adapter_size": 3}, {"train_layers": 1}, {"pooling": "sum_last_four"}])
def test_a_model_trained_in_mixed_precision_is_kept_in_float32(tiny_checkpoint, monkeypatch, extra):
    trained: list[keras.Model] = []
    monkeypatch.setattr(Artifact, "trained", remember(trained, Artifact.trained))
    artifact = artifact_of(tiny_checkpoint, ["a", "b"], precision="mixed_bfloat16", dropout=0, **extra)
    (mixed,) = trained
    assert (mixed.get_layer("bert").compute_dtype, artifact.model.get_layer("bert").compute_dtype) == (
        "bfloat16", "float32"
    )  # fmt: skip
    for ours, theirs in zip(artifact.model.weights, mixed.weights, strict=True):
        assert ours.dtype == "float32"
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    ids = np.array([[2, 5, 7, 3]], "int32")
    difference = np.abs(artifact.model(ids).numpy() - mixed(ids).numpy()).max()
    assert 1e-6 < difference < 0.05


def remember(trained: list, make: Any) -> Any:
    return classmethod(lambda cls, model, *rest: (trained.append(model), make(model, *rest))[1])


def test_settings_survive_and_the_folder_holds_no_code(quick_checkpoint, tmp_path):
    artifact = artifact_of(quick_checkpoint, [3, 4], pooling="mean", adapter_size=2, dropout=0)
    folder = save_artifact(artifact, tmp_path / "model")
    loaded = load_artifact(folder)
    for name in ("classes", "encoder", "architecture", "decision", "settings"):
        assert getattr(loaded, name) == getattr(artifact, name), name
    assert loaded.tokenizer.vocab_lines == artifact.tokenizer.vocab_lines
    assert sorted(contents(folder)) == sorted(LOADED)
    assert (folder / "model.weights.h5").read_bytes().startswith(b"\x89HDF")
    for name in ("config.json", "labels.json", "tokenizer_config.json"):
        json.loads((folder / name).read_text())
    assert oct(folder.stat().st_mode)[-3:] == "755"


# --- damaged -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOADED[1:])
def test_a_missing_truncated_or_changed_file_is_refused_by_name(saved, name):
    path, content = saved / name, (saved / name).read_bytes()
    differs = f"{saved} is damaged: {name} is not the file that was saved (its sha256 differs); copy it again"
    path.write_bytes(content[: len(content) // 2])
    assert message_of(saved) == differs
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    assert message_of(saved) == differs
    path.unlink()
    assert message_of(saved) == f"{saved} is damaged: {name} is missing; copy the whole folder again"
    path.write_bytes(content)
    load_artifact(saved)


def test_a_weight_that_keras_would_leave_as_it_is_is_missed(saved, monkeypatch):
    """Keras only warns where a weight file has no group for a layer; an answer would then be noise."""
    load_weights = keras.Model.load_weights

    def skip_some(model: keras.Model, path: Path) -> None:
        kernel = model.get_layer("dense").kernel
        as_it_was = kernel.numpy()
        load_weights(model, path)
        kernel.assign(as_it_was)

    monkeypatch.setattr(keras.Model, "load_weights", skip_some)
    assert message_of(saved) == f"{saved} is damaged: model.weights.h5 lacks dense/kernel"


# --- overwritten -------------------------------------------------------------------------------------------------


def test_a_new_model_replaces_the_old_and_keeps_logs_and_other_files(saved, quick_checkpoint):
    (saved / "logs" / "run").mkdir(parents=True)
    (saved / "logs" / "run" / "events").write_text("events")
    (saved / "notes.txt").write_text("mine")
    (saved / "mistakes.csv").write_text("of the old model")
    save_artifact(artifact_of(quick_checkpoint, ["x", "y"]), saved, lambda work: (work / "README.md").write_text("new"))
    assert load_artifact(saved).classes == ["x", "y"]
    assert (saved / "logs" / "run" / "events").read_text() == "events"
    assert (saved / "notes.txt").read_text() == "mine"
    assert (saved / "README.md").read_text() == "new"
    assert not (saved / "mistakes.csv").exists()
    assert [entry.name for entry in saved.parent.iterdir()] == ["model"]


# --- cut off -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 500, 20_000, 100_000])
def test_a_full_disk_leaves_the_old_folder_and_nothing_else(saved, quick_checkpoint, size):
    before = contents(saved)
    assert len(before["model.weights.h5"]) > 100_000
    new = artifact_of(quick_checkpoint, ["x", "y"])
    with largest_file(size), pytest.raises(DiskError) as caught:
        save_artifact(new, saved)
    assert str(caught.value) == (
        f"can't write {saved}: File too large; nothing was changed: free some space, or choose another place"
    )
    with largest_file(size), pytest.raises(DiskError):
        save_artifact(new, saved.parent / "second")
    assert contents(saved.parent) == {f"model/{name}": content for name, content in before.items()}
    assert [entry.name for entry in saved.parent.iterdir()] == ["model"]


def test_a_disk_that_fills_up_late_leaves_the_old_folder(saved, quick_artifact):
    before = contents(saved)

    def fail(work: Path) -> None:
        (work / "README.md").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskError, match=f"^can't write {saved}: No space left on device; nothing was changed"):
        save_artifact(quick_artifact, saved, fail)
    assert contents(saved.parent) == {f"model/{name}": content for name, content in before.items()}


def test_what_hdf5_could_not_write_is_the_disks_matter_and_no_other_runtime_error_is(
    saved, quick_artifact, monkeypatch
):
    before = contents(saved)

    def fail(*_: object) -> None:
        raise RuntimeError("No space left on device")

    with pytest.raises(RuntimeError, match=r"^No space left on device$") as caught:
        save_artifact(quick_artifact, saved, fail)
    assert not isinstance(caught.value, DiskError)
    monkeypatch.setattr(keras.Model, "save_weights", fail)
    with pytest.raises(DiskError, match=f"^can't write {saved}: No space left on device; nothing was changed"):
        save_artifact(quick_artifact, saved)
    assert contents(saved.parent) == {f"model/{name}": content for name, content in before.items()}


def test_an_interrupt_while_saving_leaves_the_old_folder(saved, quick_artifact):
    before = contents(saved.parent)

    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_artifact(quick_artifact, saved, interrupt)
    assert contents(saved.parent) == before


SAVE_AND_BE_KILLED = """
import json, os, random, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
from intent_bert.files.lock import one_writer
from intent_bert.model import saved as folders
from intent_bert.model import folder as model_folder
from intent_bert.bert.config import params_from_pretrained_ckpt
from intent_bert.config import Architecture
from intent_bert.model.decision import Decision
from intent_bert.bert.tokenization import FullTokenizer

checkpoint, target, first, second, kills = sys.argv[1:]
weights = {name: (Path(name) / "model.weights.h5").read_bytes() for name in (first, second)}

class Model:  # its weights are bytes written before, so that the children need nothing of TensorFlow
    inputs = outputs = None
    weights = ()
    def __init__(self, name): self.name = name
    def save_weights(self, path): path.write_bytes(weights[self.name])

def artifact(name):
    classes = json.loads((Path(name) / "labels.json").read_text())
    return folders.Artifact(Model(name), tokenizer, classes, params, Architecture(max_seq_len=24), Decision(), {})

folders.keras = SimpleNamespace(Model=lambda inputs, outputs: Model(current))
tokenizer, params = FullTokenizer(checkpoint + "/vocab.txt"), params_from_pretrained_ckpt(checkpoint)
random.seed(0)
for number in range(int(kills)):
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        current = first
        folders.save_artifact(artifact(current), target)
        os.write(tell, b"!")
        while True:
            for current in (first, second):
                folders.save_artifact(artifact(current), target)
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    time.sleep(random.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    config = model_folder.read_config(Path(target))
    for name in model_folder.LOADED_FILES:
        model_folder.check_file(Path(target) / name, config["sha256"].get(name))
    cut_off = [entry for entry in Path(target).parent.iterdir() if entry.name.startswith(".")]
    print(json.loads((Path(target) / "labels.json").read_text())[0], bool(cut_off))
    with one_writer(target):  # the next writer clears that away
        pass
    assert os.listdir(Path(target).parent) == ["model"]
"""


@pytest.mark.slow
def test_a_run_killed_while_it_saves_leaves_the_old_folder_or_the_new_one(quick_checkpoint, tmp_path):
    names = {}
    for name in ("old", "new"):
        names[name] = save_artifact(artifact_of(quick_checkpoint, [name, "b"]), tmp_path / name)
    target = tmp_path / "place" / "model"
    shutil.copytree(names["old"], target)
    done = subprocess.run(
        [sys.executable, "-c", SAVE_AND_BE_KILLED, quick_checkpoint, target, names["old"], names["new"], "25"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    assert len(found) == 25
    assert {name for name, _ in found} == {"old", "new"}
    assert "True" in {cut_off for _, cut_off in found}, done.stdout  # killed in the middle of a save
    left = load_artifact(target)
    np.testing.assert_array_equal(
        left.model.get_weights()[0], load_artifact(names[left.classes[0]]).model.get_weights()[0]
    )


# --- format 1 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_a_folder_of_format_1_still_answers(engine):
    """It was written by version 0.1.0: mean pooling, adapters of 8."""
    folder = Path(__file__).parents[1] / "references" / "model_folder_format_1"
    expected = json.loads(folder.with_suffix(".json").read_text())
    predictor = IntentPredictor.load(folder, engine=engine)
    np.testing.assert_allclose(predictor.predict_proba(expected["texts"]), expected["probabilities"], atol=1e-5)
    assert predictor.outputs(expected["texts"]).vectors.shape == (4, 32 if engine == "keras" else 0)


def test_a_folder_of_format_1_becomes_one_of_format_2_when_it_is_exported(tmp_path):
    folder = Path(__file__).parents[1] / "references" / "model_folder_format_1"
    expected = json.loads(folder.with_suffix(".json").read_text())
    copied = tmp_path / "model"
    shutil.copytree(folder, copied)
    export_model(copied)
    assert json.loads((copied / "config.json").read_text())["format_version"] == 2
    predictor = IntentPredictor.load(copied, engine="onnx")
    np.testing.assert_allclose(predictor.predict_proba(expected["texts"]), expected["probabilities"], atol=1e-5)
    assert predictor.outputs(expected["texts"]).vectors.shape == (4, 32)


def test_load_model_gives_the_keras_model(quick_checkpoint, tmp_path):
    artifact = artifact_of(quick_checkpoint, ["a", "b", "c"], pooling="mean")
    model = load_model(save_artifact(artifact, tmp_path / "model"))
    ids = np.array([[2, 9, 10, 3]], "int32")
    assert isinstance(model, keras.Model)
    np.testing.assert_allclose(model(ids), artifact.model(ids), atol=1e-6)
