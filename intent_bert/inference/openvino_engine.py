"""The engine on OpenVINO: model.onnx compiled for this processor, with bfloat16 products where it has them.

    model.onnx -> compiled -> compared with ONNX Runtime on a few hundred sentences -> the user's cache
                                                                                       model.blob    what was compiled
                                                                                       check.json    what was compared

The model folder stays as it is. A model that is in the cache is opened without being compiled or compared again. Sums
and LayerNorm are float32; what goes into a product is rounded to bfloat16. For a single sentence OpenVINO is no faster
than ONNX Runtime: it is for many.
"""

import contextlib
import ctypes
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np

from intent_bert.errors import DiskError, ModelFolderError, SettingsError, reason
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.cache import compiled_folder
from intent_bert.inference.agreement import agreement, disagreement, sentences_for, some_of
from intent_bert.inference.engines import (
    OPENVINO,
    OnnxEngine,
    in_batches,
    output_widths,
    outputs_of_probabilities,
    usable_cores,
)
from intent_bert.machine import cpu_multiplies_bfloat16
from intent_bert.model.decision import is_wordless
from intent_bert.model.folder import ONNX_FILE, ModelFolder
from intent_bert.model.outputs import OUTPUTS, Outputs

logger = logging.getLogger("intent_bert")

TOKENS_AT_ONCE = 1024  # padding included
KEPT = 8  # compiled models; the longest unused makes way
BLOB_FILE, CHECK_FILE = "model.blob", "check.json"
_FORKED = (
    "OpenVINO can't compute in a process that was forked from one that has used it: start processes with "
    "multiprocessing.get_context('spawn'), or predict with the engine 'onnx'"
)


class OpenVinoEngine:
    """A folder's model.onnx in OpenVINO. It may be called from several threads.

    Args:
        folder: with the file.
        threads: cores to use, a batch on each; all that this process may use by default.

    Attributes:
        precision: "bf16" or "f32", what goes into a product.

    Raises:
        ModelFolderError: OpenVINO can't run the file, or does not predict as ONNX Runtime does.
        SettingsError: this process was forked from one that has used OpenVINO.
    """

    name = OPENVINO

    def __init__(self, folder: ModelFolder, threads: int | None = None) -> None:
        refuse_after_fork()
        import openvino

        path = folder.file(ONNX_FILE)
        self._threads = threads or usable_cores()
        core = openvino.Core()
        self.precision = "bf16" if _computes_bfloat16(core) else "f32"
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision, "NUM_STREAMS": self._threads,
            "INFERENCE_NUM_THREADS": self._threads, "ENABLE_CPU_PINNING": False,
        }  # fmt: skip
        version = openvino.__version__.split("-")[0]
        entry = compiled_folder() / f"{folder.config['sha256'][ONNX_FILE]}-openvino-{version}-{self.precision}"
        self._compiled = _from_cache(entry, lambda blob: core.import_model(blob, "CPU", settings))
        if self._compiled is None:
            try:
                self._compiled = core.compile_model(_with_outputs(core.read_model(path)), "CPU", settings)
            except Exception as error:  # its exceptions share no class of their own
                raise ModelFolderError(
                    f"OpenVINO {version} can't run {path} ({reason(error)}): pip install --upgrade openvino"
                ) from error
        self._numbers, self._widths = _outputs_of(self._compiled)
        self._requests: list[Any] = []  # those that no thread uses
        _engines.add(self)
        if not (entry / CHECK_FILE).is_file():
            found = self._compare(folder, path)
            _keep(entry, self._compiled.export_model().getvalue(), found)

    @property
    def number_of_classes(self) -> int:
        """How many logits a sentence gets."""
        return self._widths[0]

    def outputs(self, ids: Sequence[Sequence[int]]) -> Outputs:
        """Ids of sentences of any length -> what the model computes for each, in their order."""
        refuse_after_fork()
        outputs = Outputs(*(np.empty((len(ids), width), "float32") for width in self._widths))
        for rows, part in in_batches(self._run, ids, self._threads, TOKENS_AT_ONCE):
            for whole, rows_of_it in zip(outputs, part, strict=True):
                whole[rows] = rows_of_it
        return outputs

    def logits(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        """Their logits alone, float32 (N, C)."""
        return self.outputs(ids).logits

    def _run(self, input_ids: np.ndarray) -> Outputs:
        """Padded ids, int32 (B, T) -> what the model computes for B sentences."""
        try:
            request = self._requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        request.infer({0: input_ids})
        found = [request.get_output_tensor(number).data.copy() for number in self._numbers]
        self._requests.append(request)
        return Outputs(*found) if len(found) > 1 else outputs_of_probabilities(found[0])

    def _compare(self, folder: ModelFolder, path: Path) -> dict[str, Any]:
        """What a comparison with ONNX Runtime finds, as it is kept."""
        ids, _ = folder.tokenizer.encode(some_of(sentences_for(folder.path)), folder.max_seq_len)
        both = OnnxEngine(path, threads=self._threads).outputs(ids), self.outputs(ids)
        found = agreement(folder.decision, *(folder.decision.predictions(each, is_wordless(ids)) for each in both))
        complaint = disagreement(found, exact=self.precision == "f32")
        if complaint:
            raise ModelFolderError(
                f"OpenVINO ({self.precision}) predicts otherwise than ONNX Runtime from {path}: {complaint}"
            )
        return {"compared_with": "onnx", "precision": self.precision, **asdict(found)}

    def leave_behind(self) -> None:
        """In a forked process: never end what waits for threads that are not there."""
        for each in (self._compiled, *self._requests):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


def _computes_bfloat16(core: Any) -> bool:
    """OpenVINO lists bfloat16 where it can, even by slow detours; the processor must have it as well."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") and cpu_multiplies_bfloat16()


def _with_outputs(model: Any) -> Any:
    """The model with the outputs that are read alone; one of format 1 as it is."""
    import openvino

    wanted = [each for each in model.outputs if each.names & set(OUTPUTS)]
    return openvino.Model(wanted, model.get_parameters(), "intent_classifier") if len(wanted) > 1 else model


def _outputs_of(compiled: Any) -> tuple[list[int], list[int]]:
    """The numbers of what ``Outputs`` holds among a compiled model's outputs, and their widths."""
    named = [(name, number, each) for number, each in enumerate(compiled.outputs) for name in each.names]
    widths = output_widths({name: each.partial_shape[1].get_length() for name, _, each in named})
    numbers = {name: number for name, number, _ in named}
    return ([numbers[name] for name in OUTPUTS] if all(widths) else [0]), widths


# --- the cache ---------------------------------------------------------------------------------------------------


def _from_cache(entry: Path, open_model: Callable[[bytes], Any]) -> Any:
    """What was compiled before, or None; a damaged one is removed."""
    try:
        known = json.loads((entry / CHECK_FILE).read_text(encoding="utf-8"))
        blob = (entry / BLOB_FILE).read_bytes()
        if len(blob) != known["blob_bytes"]:
            raise ValueError(f"{len(blob)} bytes")
        compiled = open_model(blob)
        with contextlib.suppress(OSError):
            os.utime(entry)  # the longest unused makes way
        return compiled
    except FileNotFoundError:
        return None
    except Exception as error:  # OpenVINO's exceptions share no class of their own
        logger.debug("%s can't be opened (%s): compiling again", entry, reason(error))
        shutil.rmtree(entry, ignore_errors=True)
        return None


def _keep(entry: Path, blob: bytes, found: dict[str, Any]) -> None:
    """Keep what was compiled; where that can't be done it will be compiled again."""
    try:
        with atomic_folder(entry) as work:
            (work / BLOB_FILE).write_bytes(blob)
            (work / CHECK_FILE).write_text(json.dumps({**found, "blob_bytes": len(blob)}, indent=2) + "\n")
        kept = sorted((each for each in entry.parent.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
        for each in kept[:-KEPT]:
            shutil.rmtree(each, ignore_errors=True)
    except (DiskError, OSError) as error:
        logger.info("what OpenVINO has compiled is not kept for the next time: %s", reason(error))


# --- forked processes --------------------------------------------------------------------------------------------

_engines: WeakSet[OpenVinoEngine] = WeakSet()
_forked = False


def refuse_after_fork() -> None:
    """OpenVINO's threads do not come along into a forked process.

    Raises:
        SettingsError: this process was forked from one that has used OpenVINO, and would wait for ever.
    """
    if _forked:
        raise SettingsError(_FORKED)


def _in_forked() -> None:
    global _forked
    for engine in list(_engines):
        _forked = True
        engine.leave_behind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked)
