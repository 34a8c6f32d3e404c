"""What computes a prediction: which engine a model folder can use here, and the one on ONNX Runtime.

    onnx        model.onnx on ONNX Runtime, float32
    onnx-int8   model.int8.onnx on ONNX Runtime
    openvino    model.onnx on OpenVINO, bfloat16 where the processor computes it
    keras       model.weights.h5 in Keras on TensorFlow

The third is openvino_engine.py, the last model/keras_engine.py; each imports its library for itself alone. What logits
mean is model/decision.py's business.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar
from weakref import WeakSet

import numpy as np

from intent_bert.errors import ModelFolderError, SettingsError, reason
from intent_bert.machine import cpu_multiplies_bfloat16
from intent_bert.model.folder import ONNX_FILE, ONNX_INT8_FILE, WEIGHTS_FILE, ModelFolder
from intent_bert.model.outputs import OUTPUTS, Outputs, only_logits

if TYPE_CHECKING:
    import onnxruntime

logger = logging.getLogger("intent_bert")

ENGINE_FILES = {"onnx": ONNX_FILE, "onnx-int8": ONNX_INT8_FILE}
OPENVINO = "openvino"
KERAS = "keras"
AUTO = "auto"
ENGINES = (*ENGINE_FILES, OPENVINO, KERAS)
MANY_SENTENCES = 2000  # from here on OpenVINO has saved more time than it needs to be ready
_TINY = np.finfo("float32").tiny
TOKENS_AT_ONCE = 512  # padding included: what they become fits a core's cache
Found = TypeVar("Found")
LEAST_ONNX_RUNTIME = (1, 21)  # before, its attention took the padding for words where only [CLS] asks


def choose_engine(folder: ModelFolder, engine: str = AUTO, sentences: int = 1) -> str:
    """The engine for this folder; "auto" takes the first of onnx, onnx-int8 and keras that is there.

    For ``MANY_SENTENCES`` and more ``sentences`` "auto" takes openvino where it is installed and faster than onnx.

    Raises:
        SettingsError: no engine is called so, or its package is not installed.
        ModelFolderError: the folder has no file for it, or has one that it does not count to its own.
    """
    if engine not in (AUTO, *ENGINES):
        raise SettingsError(f"unknown engine {engine!r}: expected one of {', '.join((AUTO, *ENGINES))}")
    needed = {**ENGINE_FILES, OPENVINO: ONNX_FILE, KERAS: WEIGHTS_FILE}
    if folder.sealed and not (engine == AUTO or folder.holds(needed[engine])):
        raise ModelFolderError(
            f"{folder.path} is a sealed file, which holds {ONNX_FILE} alone: engine {engine!r} needs the model "
            "folder that it was made from"
        )
    if engine == OPENVINO:
        _holds(folder, ONNX_FILE, OPENVINO, asked=True)
        missing = [name for name in ("openvino", "onnxruntime") if not _is_installed(name)]
        if missing:
            raise SettingsError(
                f"engine {engine!r} needs a package that is not installed: pip install {' '.join(missing)}"
            )
        return OPENVINO
    if engine == AUTO and sentences >= MANY_SENTENCES and _openvino_is_faster(folder):
        return OPENVINO
    for name, file in ENGINE_FILES.items():
        if engine not in (AUTO, name) or not _holds(folder, file, name, asked=engine == name):
            continue
        if _is_installed("onnxruntime"):
            return name
        if engine == name or folder.sealed:
            raise SettingsError(f"engine {name!r} needs a package that is not installed: pip install onnxruntime")
        logger.warning(
            "onnxruntime is not installed (pip install onnxruntime): predictions come from Keras, more slowly"
        )
        break
    missing = [name for name in ("keras", "tensorflow") if not _is_installed(name)]
    if missing:
        raise SettingsError(f"engine 'keras' needs what is not installed: pip install {' '.join(missing)}")
    return KERAS


def _holds(folder: ModelFolder, file: str, engine: str, asked: bool) -> bool:
    """Whether a folder has the file of an engine; that it lacks it is an error where the engine was ``asked`` for."""
    if folder.holds(file):
        return True
    if (folder.path / file).exists():
        raise ModelFolderError(
            f"{folder.path / file} does not belong to this model (config.json names no such file): delete it, or "
            f"write one with intent-bert export {folder.path}"
        )
    if asked:
        quantize = " --quantize int8" if file == ONNX_INT8_FILE else ""
        raise ModelFolderError(
            f"{folder.path} has no {file} for engine {engine!r}: intent-bert export {folder.path}{quantize} writes it"
        )
    return False


def _openvino_is_faster(folder: ModelFolder) -> bool:
    """In float32 it is not: docs/speed.md has the figures."""
    installed = _is_installed("openvino") and _is_installed("onnxruntime")
    return installed and folder.holds(ONNX_FILE) and cpu_multiplies_bfloat16()


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None


class Engine(Protocol):
    """What computes outputs: ``name`` says which."""

    name: str

    def outputs(self, ids: Sequence[Sequence[int]]) -> Outputs:
        """Ids of sentences of any length -> what the model computes for each, in their order."""

    def logits(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        """Their logits alone, float32 (N, C), in less time where that can be had."""


class OnnxEngine:
    """A model file in ONNX Runtime. It may be called from several threads, and in a process that is forked.

    Many sentences are computed in batches side by side, each on one core: the many small steps of one batch would not
    keep two cores busy. A single sentence has all cores to itself, in a session of its own that is opened for the
    second such sentence, so that one question, or only tables, need no memory for it.

    Args:
        path: the file.
        name: how the engine is called.
        threads: cores to use; all that this process may use by default.

    Raises:
        SettingsError: the installed ONNX Runtime is older than ``LEAST_ONNX_RUNTIME``.
        ModelFolderError: it can't run the file.
    """

    def __init__(self, path: Path, name: str = "onnx", threads: int | None = None) -> None:
        self.name, self._path, self._threads = name, path, threads or usable_cores()
        self._session = self._single_session = _open_session(path, 1)
        self._single_sentences, self._lock = 0, Lock()
        _engines.add(self)
        self._input, self._widths = self._session.get_inputs()[0].name, _output_widths(self._session)

    @property
    def number_of_classes(self) -> int:
        """How many logits a sentence gets."""
        return self._widths[0]

    def outputs(self, ids: Sequence[Sequence[int]]) -> Outputs:
        """Ids of sentences of any length -> what the model computes for each, in their order."""
        if len(ids) == 1:
            return self._run(self._session_for_one(), np.array(ids, "int32"))
        outputs = Outputs(*(np.empty((len(ids), width), "float32") for width in self._widths))
        for rows, part in in_batches(lambda padded: self._run(self._session, padded), ids, self._threads):
            for whole, rows_of_it in zip(outputs, part, strict=True):
                whole[rows] = rows_of_it
        return outputs

    def logits(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        """Their logits alone, float32 (N, C): what leads to nothing else is not computed."""
        if len(ids) == 1:
            return self._run_for_logits(self._session_for_one(), np.array(ids, "int32"))
        logits = np.empty((len(ids), self.number_of_classes), "float32")
        for rows, part in in_batches(lambda padded: self._run_for_logits(self._session, padded), ids, self._threads):
            logits[rows] = part
        return logits

    def _run(self, session: "onnxruntime.InferenceSession", input_ids: np.ndarray) -> Outputs:
        """Padded ids, int32 (B, T) -> what the model computes for B sentences."""
        if all(self._widths):
            return Outputs(*session.run(OUTPUTS, {self._input: input_ids}))
        return outputs_of_probabilities(session.run(None, {self._input: input_ids})[0])  # of format 1

    def _run_for_logits(self, session: "onnxruntime.InferenceSession", input_ids: np.ndarray) -> np.ndarray:
        if not all(self._widths):
            return self._run(session, input_ids).logits
        return session.run(OUTPUTS[:1], {self._input: input_ids}, _only_what_is_asked_for())[0]

    def _session_for_one(self) -> "onnxruntime.InferenceSession":
        if self._single_session is self._session and self._threads > 1:
            with self._lock:
                self._single_sentences += 1
                if self._single_sentences == 2:
                    self._single_session = _open_session(self._path, self._threads)
        return self._single_session

    def close_threads(self) -> None:
        """Close the session that has threads; the second single sentence from here on opens it again."""
        with self._lock:
            self._single_session, self._single_sentences = self._session, 0

    def renew_lock(self) -> None:
        """Forget a lock that another thread held when the process was forked."""
        self._lock = Lock()


_engines: WeakSet[OnnxEngine] = WeakSet()


def _before_fork() -> None:
    """Threads do not come along into a forked process, where a session would wait for its own when it ends."""
    for engine in list(_engines):
        engine.close_threads()


def _in_forked() -> None:
    for engine in list(_engines):
        engine.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_in_forked)


@cache
def _only_what_is_asked_for() -> "onnxruntime.RunOptions":
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def _output_widths(session: "onnxruntime.InferenceSession") -> list[int]:
    """Of what ``Outputs`` holds; 0 where the file does not give it."""
    return output_widths({each.name: each.shape[1] for each in session.get_outputs()})


def output_widths(widths: dict[str, int]) -> list[int]:
    """Of what ``Outputs`` holds, from all that a file gives; 0 for what it does not give."""
    if set(OUTPUTS) <= set(widths):
        return [widths[name] for name in OUTPUTS]
    return [next(iter(widths.values())), 0, 0]


def outputs_of_probabilities(probabilities: np.ndarray) -> Outputs:
    """What a file of format 1 tells, whose one output is (B, C): the logarithms are logits."""
    return only_logits(np.log(np.maximum(probabilities, _TINY)))


def _open_session(path: Path, threads: int) -> "onnxruntime.InferenceSession":
    # From 1.29 on its Linux wheels tell their maker of the models they open, in a thread that a forked process lacks
    # and waits for at its end. A value of the user's own stays.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    version = onnxruntime.__version__
    if tuple(map(int, version.split(".")[:2])) < LEAST_ONNX_RUNTIME:
        least = ".".join(map(str, LEAST_ONNX_RUNTIME))
        raise SettingsError(f"ONNX Runtime {version} has a fault in its attention: pip install 'onnxruntime>={least}'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")  # between sentences the cores are free
    options.log_severity_level = 3  # errors, which are raised
    if int8_may_overflow():
        options.add_session_config_entry("session.x64quantprecision", "1")  # slower products that can't
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no class of their own
        raise ModelFolderError(
            f"ONNX Runtime {version} can't run {path} ({reason(error)}): pip install --upgrade onnxruntime"
        ) from error


def in_batches(
    run: Callable[[np.ndarray], Found], ids: Sequence[Sequence[int]], threads: int, tokens: int | None = None
) -> Iterator[tuple[np.ndarray, Found]]:
    """The rows of each batch with what ``run`` gives for its padded ids; so many batches side by side."""
    batches = list(batches_by_length(ids, tokens or TOKENS_AT_ONCE))
    if len(batches) < 2 or threads == 1:
        for rows, padded in batches:
            yield rows, run(padded)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(lambda batch: run(batch[1]), batches)
        yield from zip((rows for rows, _ in batches), parts, strict=True)


def batches_by_length(
    ids: Sequence[Sequence[int]], tokens: int = TOKENS_AT_ONCE
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of about one length and at most so many tokens, padding included, the shortest sentences first.

    Gives the numbers of the sentences, (B,), and their ids, int32 (B, T) with 0 to the right. A sentence that is longer
    than ``tokens`` is a batch of its own.
    """
    lengths = np.fromiter(map(len, ids), "int64", len(ids))
    order = np.argsort(lengths, kind="stable")
    while len(order):
        sizes = lengths[order[:tokens]] * np.arange(1, min(len(order), tokens) + 1)  # if this one were the last
        end = max(1, int(np.searchsorted(sizes, tokens, "right")))
        rows, order = order[:end], order[end:]
        padded = np.zeros((end, lengths[rows[-1]]), "int32")
        there = np.arange(padded.shape[1]) < lengths[rows, None]
        padded[there] = np.fromiter(chain.from_iterable(ids[row] for row in rows), "int32")
        yield rows, padded


def int8_may_overflow() -> bool:
    """Whether this processor may lack VNNI, without which x86 adds products of int8 in 16 bits, as many as two."""
    try:
        with Path("/proc/cpuinfo").open() as stream:
            return "vnni" not in stream.read(1 << 13)  # one core's part
    except OSError:
        return True


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
