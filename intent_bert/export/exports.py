"""Other forms of a trained model, each compared with the Keras model on sentences before it is kept.

    onnx          model.onnx        for ONNX Runtime: what ``IntentPredictor`` runs on where the folder has it
    onnx, int8    model.int8.onnx   the same with int8 kernels (engine "onnx-int8")
    savedmodel    savedmodel/       for TensorFlow Serving and ``tf.saved_model.load``
    litert        model.tflite      for LiteRT, once TensorFlow Lite

Every form takes padded ids, int32 (B, T) of any size, and gives ``probabilities`` (B, C), ``logits`` (B, C) and
``vector`` (B, F), float32. What the comparison found stands in a JSON file beside the export. Drawing the ONNX graph is
onnx_graph.py's business.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np

from intent_bert.config import TEXT
from intent_bert.data.tables import read_table
from intent_bert.errors import ModelFolderError, SettingsError, reason
from intent_bert.files.lock import one_writer
from intent_bert.inference.agreement import agreement, disagreement, sentences_for, some_of
from intent_bert.inference.engines import OnnxEngine
from intent_bert.model.folder import (
    CONFIG_FILE,
    FORMATS,
    ONNX_FILE,
    QUANTIZED,
    WEIGHTS_FILE,
    ModelFolder,
    check_name,
    check_output_folder,
    exported_name,
    files_in,
    link_own_files,
    replacement,
    write_config,
    write_json,
)
from intent_bert.model.keras_engine import KerasEngine, predict_in_batches, side_by_side
from intent_bert.model.network import outputs_model
from intent_bert.model.outputs import OUTPUTS, Outputs
from intent_bert.model.saved import Artifact, load_artifact

logger = logging.getLogger("intent_bert")


@dataclass(frozen=True)
class ExportCheck:
    """What the comparison of an exported model with the Keras model found.

    Attributes:
        file: what was written, within the model folder.
        format, quantize: as they were asked for.
        megabytes: its size.
        sentences: how many were compared, of ``sentences_from``.
        largest_difference, mean_difference: of the probability that differs most in a sentence, over all sentences.
        changed_predictions: sentences with another intent, or of a multi-label model other intents.
        sure_predictions, sure_predictions_changed: those whose likeliest intent has more than 0.5 in Keras, and how
            many of them changed.
    """

    file: str
    format: str
    quantize: str | None
    megabytes: float
    sentences: int
    sentences_from: str
    largest_difference: float
    mean_difference: float
    changed_predictions: int
    sure_predictions: int
    sure_predictions_changed: int

    def complaint(self) -> str | None:
        """Why this export is not to be kept, if so."""
        what = disagreement(self, exact=self.quantize is None)
        return what and f"{self.file} was not kept, for it predicts otherwise than the Keras model: {what}"


def check_packages(format: str) -> None:
    """Raise SettingsError, with the pip line, where a package that the format needs isn't installed."""
    needed = {"onnx": ("onnx", "onnxruntime")}.get(format, ())
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise SettingsError(f"exporting to {format} needs what is not installed: pip install {' '.join(missing)}")


def export_model(
    folder: str | PathLike,
    format: str = "onnx",
    quantize: str | None = None,
    check_file: str | PathLike | None = None,
    text_column: str = TEXT,
) -> ExportCheck:
    """Write another form of a model folder's model into it, once it is known to predict as the Keras model does.

    The folder with the new file takes the place of the old one in one step.

    Args:
        folder: what ``train`` has written.
        format: "onnx", "savedmodel" or "litert".
        quantize: "int8" for int8 kernels, with "onnx".
        check_file: a table of sentences to compare on; by default the run's own mistakes and the embedded sample's test
            sentences.
        text_column: the column with the sentences.

    Raises:
        SettingsError: an unknown format or quantisation, a missing package, or a model that the format can't hold.
        DataError: the sentences can't be read.
        ModelFolderError: the folder can't be read, or the export predicts otherwise than the model.
        DiskError: the folder can't be written, or another process writes it.
    """
    name = exported_name(format, quantize)
    check_packages(format)
    with one_writer(folder):
        return _export_model(folder, name, format, quantize, check_file, text_column)


def _export_model(
    folder: str | PathLike,
    name: str,
    format: str,
    quantize: str | None,
    check_file: str | PathLike | None,
    text_column: str,
) -> ExportCheck:
    opened = ModelFolder(folder)
    check_output_folder(folder, needed_bytes=int(1.1 * opened.file(WEIGHTS_FILE).stat().st_size))
    if check_file is None:
        texts, source = sentences_for(opened.path), "the run's mistakes, and the sample"
    else:
        texts, source = list(read_table(str(check_file), text_column, None)[TEXT]), Path(check_file).name
    artifact = load_artifact(folder)
    with replacement(folder, checked=True) as work:
        link_own_files(opened.path, work, but=(CONFIG_FILE, name, check_name(name)))
        check = write_export(artifact, work, texts, source, format, quantize)
        others = {file: sha256 for file, sha256 in opened.config["sha256"].items() if file.split("/")[0] != name}
        write_config(work, {**opened.config, "sha256": others}, files_in(work / name))
    return check


def exports_without_layers(folder: ModelFolder) -> list[str]:
    """Those of a folder's exports that an earlier version has written, which give less than ``Outputs`` holds."""
    earlier = str(folder.config.get("intent_bert_version", "")).startswith("0.1.")
    return [name for name in _names() if earlier and folder.holds(name)]


def write_exports_again(folder: ModelFolder, work: Path, names: Sequence[str]) -> list[str]:
    """Write these exports of a model folder into ``work``; the names of their files."""
    artifact, texts = load_artifact(folder), sentences_for(folder.path)
    files: list[str] = []
    for name in names:
        format, quantize = _names()[name]
        write_export(artifact, work, texts, "the run's mistakes, and the sample", format, quantize)
        files += files_in(work / name)
    return files


def _names() -> dict[str, tuple[str, str | None]]:
    """The format and quantisation of each export by its name."""
    return {**{name: (format, None) for format, name in FORMATS.items()}, **{v: k for k, v in QUANTIZED.items()}}


def export_with_the_run(artifact: Artifact, folder: Path, texts: Sequence[str], source: str) -> list[str]:
    """The default export of a training run, into the folder that it is writing; names what it has written.

    Whatever keeps the model from being exported, such as a disk without room for it, is told and costs the export, not
    the run.
    """
    try:
        return [write_export(artifact, folder, texts, source).file]
    except Exception as error:
        for name in (ONNX_FILE, check_name(ONNX_FILE)):
            (folder / name).unlink(missing_ok=True)
        logger.warning("no %s (%s): predictions will come from Keras", ONNX_FILE, reason(error))
        return []


def write_export(
    artifact: Artifact,
    folder: Path,
    texts: Sequence[str],
    source: str,
    format: str = "onnx",
    quantize: str | None = None,
) -> ExportCheck:
    """Write one form of the model, and the JSON file beside it, into a folder; compare it with the Keras model.

    Raises:
        SettingsError: the format can't hold this model.
        ModelFolderError: the export predicts otherwise than the model.
        OSError: it can't be written.
    """
    path = folder / exported_name(format, quantize)
    model = artifact.model
    write = {"onnx": _write_onnx, "savedmodel": _write_savedmodel, "litert": _write_litert}[format]
    exported_outputs = write(model, path, quantize)
    few = some_of(texts)
    ids, _ = artifact.tokenizer.encode(few, artifact.max_seq_len)
    found = asdict(agreement(artifact.decision, ids, KerasEngine(model).outputs(ids), exported_outputs(ids)))
    del found["changed_in_scope"]  # of the check's file
    check = ExportCheck(
        file=path.name,
        format=format,
        quantize=quantize,
        megabytes=round(sum((folder / name).stat().st_size for name in files_in(path)) / 1e6, 1),
        sentences_from=source,
        **found,
    )
    complaint = check.complaint()
    if complaint:
        raise ModelFolderError(complaint)
    write_json(folder / check_name(path.name), asdict(check))
    return check


# --- the formats -------------------------------------------------------------------------------------------------

OutputsOf = Callable[[Sequence[Sequence[int]]], Outputs]  # ids of some sentences -> what the export gives


def _write_onnx(model: keras.Model, path: Path, quantize: str | None) -> OutputsOf:
    from intent_bert.export.onnx_graph import onnx_model

    path.write_bytes(onnx_model(model, quantize).SerializeToString())
    return OnnxEngine(path).outputs


def _write_savedmodel(model: keras.Model, path: Path, _: str | None) -> OutputsOf:
    import tensorflow as tf

    named = outputs_model(model)
    _keras_export(named, path, "tf_saved_model")
    loaded = tf.saved_model.load(path)
    return _outputs_of(named, lambda rows: loaded.serve(tf.constant(rows)))


def _write_litert(model: keras.Model, path: Path, _: str | None) -> OutputsOf:
    named = outputs_model(model)
    _keras_export(named, path, "litert")
    interpreter = _litert_interpreter(path)

    def run(rows: np.ndarray) -> dict[str, Any]:
        try:
            return dict(interpreter.get_signature_runner()(input_ids=rows))
        except RuntimeError as error:  # operations that LiteRT does not have, as those of a recurrent head
            first = reason(error).split(". ")[0]
            raise SettingsError(f"LiteRT can't run this model: {first}; export it to onnx or savedmodel") from error

    return _outputs_of(named, run)


def _outputs_of(named: keras.Model, run: Callable[[np.ndarray], dict[str, Any]]) -> OutputsOf:
    """Outputs of any sentences from what computes a batch by name."""
    widths = [named.output[name].shape[-1] for name in OUTPUTS]

    def batch(rows: np.ndarray) -> np.ndarray:
        found = run(rows)
        return np.concatenate([np.asarray(found[name]) for name in OUTPUTS], axis=1)

    def outputs(ids: Sequence[Sequence[int]]) -> Outputs:
        return side_by_side(predict_in_batches(batch, ids, sum(widths)), widths)

    return outputs


def _keras_export(model: keras.Model, path: Path, format: str) -> None:
    import tensorflow as tf

    try:
        model.export(path, format=format, verbose=False)
    except OSError:
        raise
    except tf.errors.OpError as error:  # what TensorFlow makes of a full disk, among others
        raise OSError(f"TensorFlow: {reason(error)}") from error
    except Exception as error:  # an older Keras knows fewer formats, and the converters have errors of many kinds
        raise SettingsError(
            f"Keras {keras.__version__} can't export this model to {format}: {reason(error)}"
        ) from error


def _litert_interpreter(path: Path) -> Any:
    """LiteRT's interpreter, or the one that TensorFlow has."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tensorflow.lite.python.interpreter import Interpreter
        except ImportError:
            raise SettingsError(
                "checking a LiteRT model needs what is not installed: pip install ai-edge-litert"
            ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TensorFlow's is going to be removed
        return Interpreter(str(path))
