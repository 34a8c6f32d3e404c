"""Other forms of a trained model, each compared with the Keras model on sentences before it is kept.

    onnx                    model.onnx               for ONNX Runtime: what ``IntentPredictor`` runs on
    onnx, int8              model.int8.onnx          the same with int8 kernels (engine "onnx-int8")
    savedmodel              savedmodel/              for TensorFlow Serving and ``tf.saved_model.load``
    litert                  model.tflite             for LiteRT, once TensorFlow Lite
    huggingface             huggingface/             for transformers and what reads its layout; strings in
    sentence-transformers   sentence-transformers/   the tuned encoder for sentence-transformers: sentences as vectors
    onnx-strings            model.strings.onnx       one graph with the tokenizer in it; strings in
    sealed                  model.intent             one file that stands wherever a model folder may; strings in

The first four take padded ids, int32 (B, T) of any size, and give ``probabilities`` (B, C), ``logits`` (B, C) and
``vector`` (B, F), float32. What the comparison found stands in a JSON file beside the export. What each form looks like
is the business of onnx_graph.py, huggingface.py, sentence_transformers.py, onnx_strings.py and sealed.py.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from intent_bert.config import TEXT
from intent_bert.data.tables import read_table
from intent_bert.errors import ModelFolderError, SettingsError, reason
from intent_bert.files.lock import one_writer
from intent_bert.inference.agreement import LARGEST_DIFFERENCE, agreement, disagreement, sentences_for, some_of
from intent_bert.inference.engines import OnnxEngine
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import Predictions, is_wordless
from intent_bert.model.folder import (
    CARD_FILE,
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
from intent_bert.model.network import LOGITS, outputs_model
from intent_bert.model.outputs import OUTPUTS, Outputs
from intent_bert.model.saved import Artifact, load_artifact
from intent_bert.model.signature import PrivateKey

logger = logging.getLogger("intent_bert")

LARGEST_DIFFERENCES = {"huggingface": 1e-5}  # of a probability, where less than usual is allowed


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
        largest = LARGEST_DIFFERENCES.get(self.format, LARGEST_DIFFERENCE)
        what = disagreement(self, exact=self.quantize is None, largest=largest)
        return what and f"{self.file} was not kept, for it predicts otherwise than the Keras model: {what}"


def check_packages(format: str) -> None:
    """Raise SettingsError, with the pip line, where a package that the format needs isn't installed."""
    onnx = ("onnx", "onnxruntime")
    needed = {"onnx": onnx, "sealed": onnx, "onnx-strings": (*onnx, "onnxruntime_extensions")}.get(format, ())
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise SettingsError(f"exporting to {format} needs what is not installed: pip install {' '.join(missing)}")


def export_model(
    folder: str | PathLike,
    format: str = "onnx",
    quantize: str | None = None,
    check_file: str | PathLike | None = None,
    text_column: str = TEXT,
    sign: str | PathLike | None = None,
) -> ExportCheck:
    """Write another form of a model folder's model into it, once it is known to predict as the Keras model does.

    The folder with the new file takes the place of the old one in one step.

    Args:
        folder: what ``train`` has written.
        format: "onnx", "savedmodel", "litert", "huggingface", "sentence-transformers", "onnx-strings" or "sealed".
        quantize: "int8" for int8 kernels, with "onnx".
        check_file: a table of sentences to compare on; by default the run's own mistakes and the embedded sample's test
            sentences.
        text_column: the column with the sentences.
        sign: a private Ed25519 key (PEM) to sign a sealed file with.

    Raises:
        SettingsError: an unknown format or quantisation, a missing package, a key that can't be read, or a model that
            the format can't hold.
        DataError: the sentences can't be read.
        ModelFolderError: the folder can't be read, or the export predicts otherwise than the model.
        DiskError: the folder can't be written, or another process writes it.
    """
    name = exported_name(format, quantize)
    check_packages(format)
    if sign is not None:
        check_sign(format, sign)
    ModelFolder(folder).check_may_change()
    with one_writer(folder):
        return _export_model(folder, name, format, quantize, check_file, text_column, sign)


def check_sign(format: str, sign: str | PathLike) -> None:
    """Raise SettingsError where a form has no signature, or the key can't be read."""
    if format != "sealed":
        raise SettingsError(f"--sign is for --format sealed: format {format!r} has no signature")
    PrivateKey.read(sign)


def _export_model(
    folder: str | PathLike,
    name: str,
    format: str,
    quantize: str | None,
    check_file: str | PathLike | None,
    text_column: str,
    sign: str | PathLike | None,
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
        check = write_export(artifact, work, texts, source, format, quantize, sign)
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
    sign: str | PathLike | None = None,
) -> ExportCheck:
    """Write one form of the model, and the JSON file beside it, into a folder; compare it with the Keras model.

    Raises:
        SettingsError: the format can't hold this model.
        ModelFolderError: the export predicts otherwise than the model.
        OSError: it can't be written.
    """
    path = folder / exported_name(format, quantize)
    found_by = _WRITERS[format](artifact, path, _Options(quantize, sign))
    few = some_of(texts)
    ids, _ = artifact.tokenizer.encode(few, artifact.max_seq_len)
    expected = artifact.decision.predictions(KerasEngine(artifact.model).outputs(ids), is_wordless(ids))
    found = asdict(agreement(artifact.decision, expected, found_by(few, ids)))
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

Ids = Sequence[Sequence[int]]
OutputsOf = Callable[[Ids], Outputs]  # ids of some sentences -> what the export gives
PredictionsOf = Callable[[Sequence[str], Ids], Predictions]  # some sentences, and their ids -> what the export says


class _Options(NamedTuple):
    quantize: str | None
    sign: str | PathLike | None


def _deciding(artifact: Artifact, outputs: OutputsOf) -> PredictionsOf:
    """The predictions of an export that gives outputs for ids."""
    return lambda _, ids: artifact.decision.predictions(outputs(ids), is_wordless(ids))


def _write_onnx(artifact: Artifact, path: Path, options: _Options) -> PredictionsOf:
    from intent_bert.export.onnx_graph import onnx_model

    path.write_bytes(onnx_model(artifact.model, options.quantize).SerializeToString())
    return _deciding(artifact, OnnxEngine(path).outputs)


def _write_savedmodel(artifact: Artifact, path: Path, _: _Options) -> PredictionsOf:
    import tensorflow as tf

    named = outputs_model(artifact.model)
    _keras_export(named, path, "tf_saved_model")
    loaded = tf.saved_model.load(path)
    return _deciding(artifact, _outputs_of(named, lambda rows: loaded.serve(tf.constant(rows))))


def _write_litert(artifact: Artifact, path: Path, _: _Options) -> PredictionsOf:
    named = outputs_model(artifact.model)
    _keras_export(named, path, "litert")
    interpreter = _litert_interpreter(path)

    def run(rows: np.ndarray) -> dict[str, Any]:
        try:
            return dict(interpreter.get_signature_runner()(input_ids=rows))
        except RuntimeError as error:  # operations that LiteRT does not have, as those of a recurrent head
            first = reason(error).split(". ")[0]
            raise SettingsError(f"LiteRT can't run this model: {first}; export it to onnx or savedmodel") from error

    return _deciding(artifact, _outputs_of(named, run))


def _write_huggingface(artifact: Artifact, path: Path, _: _Options) -> PredictionsOf:
    """Checked as it will be used: ids by its tokenizer.json, probabilities by the weights in the file."""
    from intent_bert.bert.huggingface_tokenizer import ids_by_file
    from intent_bert.export.huggingface import write_huggingface
    from intent_bert.export.huggingface_classifier import read_classifier

    write_huggingface(artifact, path, path.parent / CARD_FILE)
    written = read_classifier(path)

    def predictions(texts: Sequence[str], own_ids: Ids) -> Predictions:
        ids = ids_by_file(path, list(texts), artifact.max_seq_len)
        outputs = KerasEngine(written.model).outputs(ids)
        return written.decision.predictions(outputs, is_wordless(own_ids))

    return predictions


def _write_encoder(artifact: Artifact, path: Path, _: _Options) -> PredictionsOf:
    """Checked by its vectors: what the model's own head makes of them must be the model's predictions."""
    from intent_bert.export.sentence_transformers import vectors_of, write_encoder

    write_encoder(artifact, path)
    vector = artifact.model.get_layer("pooling").output
    head = keras.Model(vector, artifact.model.get_layer(LOGITS).output)

    def predictions(texts: Sequence[str], own_ids: Ids) -> Predictions:
        vectors = vectors_of(path, texts)
        logits = np.asarray(head.predict(vectors, verbose=0), "float32")
        nothing = np.empty((len(vectors), 0), "float32")
        return artifact.decision.predictions(Outputs(logits, vectors, nothing), is_wordless(own_ids))

    return predictions


def _write_strings(artifact: Artifact, path: Path, _: _Options) -> PredictionsOf:
    from intent_bert.export.onnx_strings import write_strings

    found_by = write_strings(artifact, path)
    return lambda texts, _: found_by(texts)


def _write_sealed(artifact: Artifact, path: Path, options: _Options) -> PredictionsOf:
    from intent_bert.export.sealed import seal

    seal(artifact, path, path.parent / CARD_FILE, options.sign)
    predictor = IntentPredictor.load(path)
    return lambda texts, _: predictor.predictions(texts)


_Writer = Callable[[Artifact, Path, _Options], PredictionsOf]
_WRITERS: dict[str, _Writer] = {
    "onnx": _write_onnx,
    "savedmodel": _write_savedmodel,
    "litert": _write_litert,
    "huggingface": _write_huggingface,
    "sentence-transformers": _write_encoder,
    "onnx-strings": _write_strings,
    "sealed": _write_sealed,
}


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
