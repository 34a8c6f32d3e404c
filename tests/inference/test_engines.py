"""Which engine answers, and the one on ONNX Runtime."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from intent_bert.errors import IntentBertError, ModelFolderError, SettingsError
from intent_bert.export.exports import export_model
from intent_bert.inference import engines
from intent_bert.inference.engines import ENGINES, OnnxEngine, batches_by_length, choose_engine
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import softmax
from intent_bert.model.folder import ModelFolder


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory) -> Path:
    """A trained folder with both kinds of ONNX; not to be written to."""
    copy = shutil.copytree(trained.folder, tmp_path_factory.mktemp("exported") / "model")
    export_model(copy, "onnx", "int8")
    return copy


@pytest.fixture
def ids() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(1, 160, length).tolist() for length in rng.integers(2, 32, 60)]


def lacking(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def message_of(folder: Path, engine: str, kind: type[IntentBertError]) -> str:
    with pytest.raises(kind) as caught:
        choose_engine(ModelFolder(folder), engine)
    return str(caught.value)


# --- which -------------------------------------------------------------------------------------------------------


def test_auto_takes_float32_then_int8_then_keras(folder, tmp_path):
    assert ENGINES == ("onnx", "onnx-int8", "openvino", "keras")
    both = ModelFolder(folder)
    names = ["onnx", "onnx-int8", "keras"]
    assert [choose_engine(both, name) for name in ("auto", *names)] == ["onnx", *names]
    only_int8, neither = ModelFolder(folder), ModelFolder(folder)
    del only_int8.config["sha256"]["model.onnx"]
    only_int8.path = neither.path = tmp_path
    assert choose_engine(only_int8) == "onnx-int8"
    neither.config["sha256"] = {"model.weights.h5": "1"}
    assert choose_engine(neither) == "keras"


def test_an_engine_that_is_not_known_or_not_there_is_told_with_what_to_do(folder, trained, tmp_path):
    assert message_of(folder, "onyx", SettingsError) == (
        "unknown engine 'onyx': expected one of auto, onnx, onnx-int8, openvino, keras"
    )
    assert message_of(trained.folder, "onnx-int8", ModelFolderError) == (
        f"{trained.folder} has no model.int8.onnx for engine 'onnx-int8': intent-bert export {trained.folder} "
        "--quantize int8 writes it"
    )
    foreign = shutil.copytree(trained.folder, tmp_path / "model")
    shutil.copy(folder / "model.int8.onnx", foreign)
    for engine in ("onnx-int8",):
        assert message_of(foreign, engine, ModelFolderError) == (
            f"{foreign}/model.int8.onnx does not belong to this model (config.json names no such file): delete it, or "
            f"write one with intent-bert export {foreign}"
        )


def test_a_file_of_another_model_is_refused_by_its_sha256(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "model")
    shutil.copy(copy / "model.int8.onnx", copy / "model.onnx")
    for engine in ("auto", "onnx"):
        with pytest.raises(ModelFolderError) as caught:
            IntentPredictor.load(copy, engine=engine)
        assert str(caught.value) == (
            f"{copy} is damaged: model.onnx is not the file that was saved (its sha256 differs); copy it again"
        )
    assert IntentPredictor.load(copy, engine="onnx-int8").engine == "onnx-int8"


def test_a_missing_package_is_told_with_its_pip_line(folder, monkeypatch, caplog):
    lacking(monkeypatch, "onnxruntime")
    assert message_of(folder, "onnx", SettingsError) == (
        "engine 'onnx' needs a package that is not installed: pip install onnxruntime"
    )
    assert choose_engine(ModelFolder(folder)) == "keras"
    assert caplog.messages == [
        "onnxruntime is not installed (pip install onnxruntime): predictions come from Keras, more slowly"
    ]
    lacking(monkeypatch, "keras", "tensorflow")
    expected = "engine 'keras' needs what is not installed: pip install keras tensorflow"
    assert message_of(folder, "keras", SettingsError) == message_of(folder, "auto", SettingsError) == expected


def test_an_onnx_runtime_that_would_answer_wrongly_is_refused(folder, monkeypatch):
    """1.20 gives other answers to padded sentences: their padding is attended to in the last layer."""
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "__version__", "1.20.1")
    with pytest.raises(SettingsError) as caught:
        OnnxEngine(folder / "model.onnx")
    assert str(caught.value) == "ONNX Runtime 1.20.1 has a fault in its attention: pip install 'onnxruntime>=1.21'"


def test_int8_is_exact_on_a_processor_whose_int8_products_could_overflow(folder, ids, monkeypatch):
    expected = softmax(OnnxEngine(folder / "model.int8.onnx").outputs(ids).logits)
    monkeypatch.setattr(engines, "int8_may_overflow", lambda: True)
    np.testing.assert_allclose(softmax(OnnxEngine(folder / "model.int8.onnx").outputs(ids).logits), expected, atol=1e-6)


def test_a_file_that_onnx_runtime_cannot_run_is_told(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ModelFolderError) as caught:
        OnnxEngine(path)
    assert str(caught.value).startswith("ONNX Runtime ")
    assert f"can't run {path} (" in str(caught.value)
    assert str(caught.value).endswith("): pip install --upgrade onnxruntime")
    assert "\n" not in str(caught.value)


# --- answers -----------------------------------------------------------------------------------------------------


def test_engines_agree_and_say_which_they_are(folder, small_table):
    texts = [*small_table["text"], "", "🎵 unseen wörds", "play " * 100]
    asked = {name: IntentPredictor.load(folder, engine=name) for name in ("onnx", "onnx-int8", "keras")}
    assert [each.engine for each in asked.values()] == [*asked]
    answers = {name: each.predict_proba(texts) for name, each in asked.items()}
    np.testing.assert_allclose(answers["onnx"], answers["keras"], atol=1e-5)
    np.testing.assert_allclose(answers["onnx-int8"], answers["keras"], atol=0.05)
    assert np.abs(answers["onnx-int8"] - answers["keras"]).max() > 1e-4
    intents = [[answer.intent for answer in each.predict(texts)] for each in asked.values()]
    assert intents[0] == intents[2]


@pytest.mark.parametrize("file", ["model.onnx", "model.int8.onnx"])
def test_answers_depend_neither_on_batches_nor_on_threads(folder, ids, file, monkeypatch):
    engine = OnnxEngine(folder / file, threads=1)
    expected = softmax(np.concatenate([engine.outputs([sentence]).logits for sentence in ids]))
    assert (expected.shape, expected.dtype) == ((60, 3), np.float32)
    np.testing.assert_allclose(softmax(engine.outputs(ids).logits), expected, atol=1e-6)
    np.testing.assert_allclose(softmax(OnnxEngine(folder / file, threads=2).outputs(ids).logits), expected, atol=1e-6)
    monkeypatch.setattr(engines, "TOKENS_AT_ONCE", 40)
    np.testing.assert_allclose(softmax(engine.outputs(ids).logits), expected, atol=1e-6)
    assert engine.outputs([]).logits.shape == (0, 3)

    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda n=number: found.update({n: softmax(engine.outputs(ids).logits)}))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for answers in found.values():
        np.testing.assert_allclose(answers, expected, atol=1e-6)


def test_the_second_single_sentence_opens_a_session_with_all_cores(folder, ids, monkeypatch):
    opened: list[int] = []
    real = engines._open_session
    monkeypatch.setattr(engines, "_open_session", lambda path, threads: opened.append(threads) or real(path, threads))
    engine = OnnxEngine(folder / "model.onnx", threads=2)
    softmax(engine.outputs(ids).logits)
    first = softmax(engine.outputs(ids[:1]).logits)
    assert opened == [1], "who asks once, or only tables, pays for one session"
    for _ in range(2):
        np.testing.assert_allclose(softmax(engine.outputs(ids[:1]).logits), first, atol=1e-6)
    assert opened == [1, 2]
    single = OnnxEngine(folder / "model.onnx", threads=1)
    for _ in range(3):
        softmax(single.outputs(ids[:1]).logits)
    assert opened == [1, 2, 1]


def test_batches_hold_every_sentence_once_and_few_tokens(ids):
    ids = [*ids, list(range(1, 101))]
    seen = []
    for rows, padded in batches_by_length(ids, tokens=90):
        assert padded.dtype == np.int32
        assert padded.size <= 90 or len(rows) == 1
        assert padded.shape == (len(rows), max(len(ids[row]) for row in rows))
        for row, line in zip(rows, padded, strict=True):
            assert line.tolist() == ids[row] + [0] * (padded.shape[1] - len(ids[row]))
        seen += rows.tolist()
    assert sorted(seen) == list(range(61))
    assert [len(ids[row]) for row in seen] == sorted(map(len, ids))
    assert list(batches_by_length([])) == []
    ((rows, padded),) = batches_by_length([[7, 8]] * 256, tokens=512)
    assert (rows.tolist(), padded.shape) == (list(range(256)), (256, 2))


# --- what it needs -----------------------------------------------------------------------------------------------

ASK = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras"):
            raise ImportError(f"{name} was asked for")

if sys.argv[2] == "without":
    sys.meta_path.insert(0, Refuse())
from intent_bert import IntentPredictor

predictor = IntentPredictor.load(sys.argv[1])
answer = predictor.predict_one("play my song")
heavy = ("tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib", "tqdm", "onnx", "requests", "h5py")
print(json.dumps([predictor.engine, answer.intent, [name for name in heavy if name in sys.modules]]))
"""


@pytest.mark.parametrize("packages", ["with", "without"])
def test_an_answer_needs_no_tensorflow_no_keras_and_nothing_else_that_is_heavy(folder, packages):
    done = subprocess.run([sys.executable, "-c", ASK, folder, packages], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["onnx", "music", []]
    assert done.stderr == ""


# --- other processes ---------------------------------------------------------------------------------------------

ASK_ELSEWHERE = """
import multiprocessing, os, sys
from intent_bert import IntentPredictor
from intent_bert.errors import SettingsError

def ask(predictor):
    try:
        print(*[answer.intent for answer in predictor.predict(["play my song", "will it rain"] * 40)[:2]])
        print(*[predictor.predict_one("book a table").intent for _ in range(3)], flush=True)
    except SettingsError as error:
        print(error, flush=True)

def load_and_ask(folder, engine):
    try:
        predictor = IntentPredictor.load(folder, engine=engine, threads=2)
    except SettingsError as error:
        print(error, flush=True)
    else:
        ask(predictor)

if __name__ == "__main__":
    method, folder, engine, used, passed = sys.argv[1:]
    context = multiprocessing.get_context(method)
    predictor = IntentPredictor.load(folder, engine=engine, threads=2) if "used" == used or "passed" == passed else None
    if used == "used":
        ask(predictor)
    if passed == "passed":
        child = context.Process(target=ask, args=(predictor,))
    else:
        child = context.Process(target=load_and_ask, args=(folder, engine))
    child.start()
    child.join()
"""
ANSWER = ["music weather", "table table table"]
REFUSED = [
    "TensorFlow can't compute in a process that was forked from one that has used it: start processes with "
    "multiprocessing.get_context('spawn'), or predict with the engine 'onnx'"
]


def printed_elsewhere(place: Path, *arguments: object) -> list[str]:
    script = place / "ask_elsewhere.py"
    script.write_text(ASK_ELSEWHERE)
    words = [sys.executable, script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        words, capture_output=True, text=True, check=True, timeout=240, env=environment
    ).stdout.splitlines()


@pytest.mark.parametrize("engine", ["onnx", "onnx-int8"])
@pytest.mark.parametrize("used", ["used", "unused"])
@pytest.mark.parametrize("passed", ["passed", "loaded there"])
def test_onnx_runtime_answers_in_a_forked_process(folder, tmp_path, engine, used, passed):
    printed = printed_elsewhere(tmp_path, "fork", folder, engine, used, passed)
    assert printed == ANSWER * (2 if used == "used" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("used", ["used", "unused"])
@pytest.mark.parametrize("passed", ["passed", "loaded there"])
def test_keras_answers_in_a_forked_process_or_refuses_where_it_would_wait_for_ever(folder, tmp_path, used, passed):
    printed = printed_elsewhere(tmp_path, "fork", folder, "keras", used, passed)
    expected = {("unused", "passed"): REFUSED, ("unused", "loaded there"): ANSWER}
    assert printed == expected.get((used, passed), [*ANSWER, *REFUSED])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnx", "onnx-int8", "keras"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_every_engine_answers_in_a_spawned_process(folder, tmp_path, engine, method):
    assert printed_elsewhere(tmp_path, method, folder, engine, "used", "passed") == ANSWER * 2


FORK_AND_LEAVE = """
import os, sys, threading
from intent_bert import IntentPredictor

predictor = IntentPredictor.load(sys.argv[1], engine="onnx", threads=2)
for _ in range(3):
    predictor.predict_one("play my song")
child = os.fork()
if not child:
    del predictor
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), predictor.predict_one("play my song").intent)
"""


def test_a_forked_process_ends(folder):
    """ONNX Runtime waits at its end, or when a session goes, for threads that a forked process does not have."""
    words = [sys.executable, "-c", FORK_AND_LEAVE, folder]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "0 music\n"
