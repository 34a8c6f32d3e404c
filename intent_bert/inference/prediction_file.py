"""Predictions for a file of any length: read, predicted and written a chunk at a time, in order, in bounded memory.

    sentences.csv -> 4,096 rows -> IntentPredictor -> out.csv.unfinished/predictions ... -> out.csv
                                                      out.csv.unfinished/state.json: how many rows and bytes are whole

The output appears under its own name when it is whole. A run that was killed, or that a broken row stopped, goes on
with ``resume`` behind the last whole chunk: no row is lost, none is predicted twice. The input's other columns stand
before ``text``, ``intent`` and ``confidence`` (and ``intent_2``, ``confidence_2`` ... of ``top_k``), and before the
``intents`` of a multi-label model; one that is called as the prediction's are is left out. How rows become bytes is
prediction_formats.py's business.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from intent_bert.config import TEXT, check_count
from intent_bert.data.cells import shown_name
from intent_bert.data.rows import Row, RowReader
from intent_bert.errors import DataError, DiskError, SettingsError, nearest
from intent_bert.files.atomic import disk_errors
from intent_bert.files.lock import one_writer
from intent_bert.files.state import SavedState
from intent_bert.inference.explanation import Explanation
from intent_bert.inference.prediction_formats import (
    LABELS,
    OUTPUT_FORMATS,
    PredictionFormat,
    prediction_format,
    to_json,
)
from intent_bert.inference.predictor import CHUNK, IntentPredictor
from intent_bert.model.decision import Prediction

logger = logging.getLogger("intent_bert")

UNFINISHED = ".unfinished"  # behind the output's name: the folder of a run that has not ended
_OF_THE_PREDICTION = re.compile(r"text|(intent|confidence)(_\d+)?|intents|intent_ranking|in_scope|in_scope_score")


def as_json(
    text: str,
    prediction: Prediction,
    kept: Mapping[str, Any] | None = None,
    several: bool = False,
    explanation: Explanation | None = None,
) -> str:
    """One JSON object: the columns kept of the input, text, intent, confidence, scope and the ranking.

    ``several`` names all intents that a multi-label model gives as well; an explanation comes last.
    """
    explained = {} if explanation is None else explanation.to_dict()
    return to_json(_as_object(text, prediction, kept or {}, several) | explained)


def _as_object(text: str, prediction: Prediction, kept: Mapping[str, Any], several: bool) -> dict[str, Any]:
    answer, score = prediction.answer, prediction.score  # not rounded, for it is compared with the threshold
    values: dict[str, Any] = {**kept, "text": text, "intent": answer.intent, "confidence": round(answer.confidence, 6)}
    if several:
        values["intents"] = [each.intent for each in prediction.intents]
    values |= {"in_scope": prediction.in_scope, "in_scope_score": score}
    names = [{"name": each.intent, "confidence": round(each.confidence, 6)} for each in prediction.ranking]
    return {**values, "intent_ranking": names}


def predict_file(
    predictor: IntentPredictor,
    rows: RowReader,
    output: str | PathLike,
    *,
    text_column: str = TEXT,
    columns: Sequence[str] | None = None,
    top_k: int = 1,
    reject: bool = False,
    resume: bool = False,
    guard_formulas: bool = False,
    verbose: int = 1,
) -> int:
    """Predict every sentence of a file into another: .csv, .tsv, .jsonl (as ``predict --json`` writes it) or .parquet.

    Memory does not grow with the file.

    Args:
        predictor: what predicts.
        rows: the input.
        output: a file that is not there yet.
        text_column: the input's column with the sentences; it is called ``text`` in the output.
        columns: those of the input's other columns that are kept; all by default.
        top_k: how many intents are named for each sentence.
        reject: sentences out of scope have no intent, and flat files the columns ``in_scope`` and ``in_scope_score``.
        resume: go on where a run with the same output, model, engine, columns, ``top_k`` and ``reject`` has stopped.
        guard_formulas: write csv or tsv for spreadsheets, which then take no text for a formula.
        verbose: 1 shows a bar on stderr.

    Returns:
        How many sentences the output holds.

    Raises:
        SettingsError: the output is there already, or the run that was stopped had other settings.
        DataError: a missing column, or a broken row; what was predicted before it is kept for ``resume``.
        DiskError: the output can't be written, or another process writes it.
    """
    top_k = check_count("top_k", top_k)
    place = _place_for(output)
    rows.require(text_column)
    separator = predictor.label_separator if predictor.multi_label else None
    if reject:
        predictor.decision.check_threshold()
    most = min(top_k, len(predictor.classes))
    layout = _Layout.of(rows, text_column, columns, place.suffix.lower(), most, separator, reject)
    format = prediction_format(place.suffix.lower(), layout.types(predictor.classes), guard_formulas)
    settings = {
        "model": predictor.fingerprint, "engine": predictor.engine, "text_column": text_column,
        "columns": list(layout.kept) if layout.kept is not None else None, "top_k": top_k,
        "reject": reject,
    }  # fmt: skip
    if guard_formulas:  # a run of a version that knew no such setting had it not
        settings["guard_formulas"] = True
    with one_writer(place):
        run = _UnfinishedRun(place, settings, format)
        done = run.open(resume)
        try:
            if not done.whole:
                _predict(predictor, rows, layout, run, done, verbose)
        except BaseException:
            run.leave(done)
            raise
        run.finish(done)
    return done.rows


def _place_for(output: str | PathLike) -> Path:
    place = Path(output).resolve()
    if place.suffix.lower() not in OUTPUT_FORMATS:
        raise SettingsError(f"can't tell how to write {output}: expected one of {', '.join(OUTPUT_FORMATS)}")
    with disk_errors(place):
        if not place.parent.is_dir():
            raise SettingsError(f"can't write {output}: there is no folder {place.parent}")
    return place


def _predict(
    predictor: IntentPredictor, rows: RowReader, layout: "_Layout", run: "_UnfinishedRun", done: "_Done", verbose: int
) -> None:
    from intent_bert.files.progress import progress_bar  # a single text on the command line does without

    digest, source = hashlib.sha256(), layout.read(rows)
    for row in islice(source, done.rows):
        _add(digest, row)
    if digest.hexdigest() != done.sha256:
        raise SettingsError(
            f"the first {done.rows:,} rows of {rows.path} are not those of {run.folder}: delete that folder "
            "to start from the beginning"
        )
    if done.rows:
        logger.info("going on behind %s predictions", f"{done.rows:,}")
    with run.writer(done) as stream, progress_bar(
        rows.size, f"predicting {rows.path.name}" if verbose else None, "B", unit_scale=True, initial=rows.position
    ) as bar:  # fmt: skip
        while True:
            chunk, problem = _chunk(source)
            if chunk:
                texts = [row.values[layout.text_column] for row in chunk]
                predictions = predictor.described(texts, layout.top_k, layout.reject)
                for row in chunk:
                    _add(digest, row)
                done.rows, done.sha256 = done.rows + len(chunk), digest.hexdigest()
                run.keep(
                    stream, [layout.prediction(row, each) for row, each in zip(chunk, predictions, strict=True)], done
                )
                bar.set_postfix_str(f"{done.rows:,} sentences", refresh=False)
                bar.update(rows.position - bar.n)
            if problem is not None and done.rows:
                raise DataError(f"{problem} ({done.rows:,} predictions are kept: mend the row and go on with --resume)")
            if problem is not None:
                raise problem
            if len(chunk) < CHUNK:
                return


def _add(digest: Any, row: Row) -> None:
    digest.update(json.dumps(row.values, default=str).encode() + b"\0")


def _chunk(source: Iterator[Row]) -> tuple[list[Row], DataError | None]:
    """The next rows, and what ended them early."""
    chunk: list[Row] = []
    try:
        for row in islice(source, CHUNK):
            chunk.append(row)
    except DataError as error:
        return chunk, error
    return chunk, None


# --- which columns -----------------------------------------------------------------------------------------------


@dataclass
class _Layout:
    """The columns of the output: ``kept`` of the input, each with the kinds of its values, then the prediction's.

    ``kept`` is None from JSON lines to JSON lines: whatever a line holds. ``suffix`` is that of the output;
    ``separator`` joins the intents of a multi-label model, and is None for any other.
    """

    text_column: str
    kept: dict[str, Any] | None
    suffix: str
    top_k: int
    separator: str | None
    reject: bool

    @classmethod
    def of(
        cls,
        rows: RowReader,
        text_column: str,
        columns: Sequence[str] | None,
        suffix: str,
        top_k: int,
        separator: str | None,
        reject: bool,
    ) -> "_Layout":
        if columns is None and suffix == ".jsonl" and rows.path.suffix.lower() == ".jsonl":
            _without_clashes(rows.columns, text_column, rows.path)
            return cls(text_column, None, suffix, top_k, separator, reject)
        there = {name: kinds for name, kinds in _columns_of(rows).items() if name != text_column}
        if columns is None:
            names = _without_clashes(there, text_column, rows.path)
        else:
            names = _checked([name for name in dict.fromkeys(columns) if name != text_column], list(there), rows.path)
        kept = {name: there[name] for name in names}
        return cls(text_column, kept, suffix, top_k, separator, reject)

    def read(self, rows: RowReader) -> Iterator[Row]:
        if self.kept is not None:
            rows.select(self.text_column, *self.kept)
        return rows.with_text(self.text_column)

    def types(self, classes: Sequence[Any]) -> dict[str, Any]:
        """Each column of a flat output with the kinds of its values, or with its Arrow type."""
        types = {**(self.kept or {}), "text": {str}}
        if self.separator is not None:
            types["intents"] = LABELS
        for behind in self._numbered():
            types |= {f"intent{behind}": {type(label) for label in classes}, f"confidence{behind}": {float}}
        return types | ({"in_scope": {bool}, "in_scope_score": {float}} if self.reject else {})

    def _numbered(self) -> list[str]:
        return ["", *(f"_{number}" for number in range(2, self.top_k + 1))]

    def prediction(self, row: Row, prediction: Prediction) -> dict[str, Any]:
        """A row of the output; of a multi-label model flat ones name the intents that it has, not the likeliest."""
        several = self.separator is not None
        text = row.values[self.text_column]
        if self.kept is None:
            names = [name for name in row.values if name != self.text_column and not _OF_THE_PREDICTION.fullmatch(name)]
        else:
            names = list(self.kept)
        kept = {name: row.values.get(name) for name in names}
        if self.suffix == ".jsonl":
            return _as_object(text, prediction, kept, several)
        best: dict[str, Any] = {}
        if self.separator is not None:
            names = [str(each.intent) for each in prediction.intents]
            best["intents"] = names if self.suffix == ".parquet" else self.separator.join(names)
        named = [prediction.answer, *(prediction.intents if several else prediction.ranking)[1:]]
        for behind, each in zip(self._numbered(), named, strict=False):
            best |= {f"intent{behind}": each.intent, f"confidence{behind}": float(each.confidence)}
        if self.reject:
            best |= {"in_scope": prediction.in_scope, "in_scope_score": prediction.score}
        return {**kept, "text": text, **best}


def _without_clashes(columns: Iterable[str], text_column: str, path: Path) -> list[str]:
    """The columns that are called otherwise than the prediction's; a word of those that are not."""
    others = [name for name in columns if name != text_column]
    clashes = [name for name in others if _OF_THE_PREDICTION.fullmatch(name)]
    if clashes:
        logger.warning(
            "%s of %s is not kept, for the prediction has a column of that name: rename yours to keep it",
            ", ".join(clashes), path.name,
        )  # fmt: skip
    return [name for name in others if name not in clashes]


def _checked(columns: list[str], there: list[str], path: Path) -> list[str]:
    """The columns that were asked for."""
    for name in columns:
        if name not in there:
            guess = f"did you mean {nearest(name, there)}? " if there else ""
            raise DataError(
                f"{path} has no column {name!r} to keep: {guess}(besides the texts it has "
                f"{', '.join(map(shown_name, there)) or 'none'})"
            )
        if _OF_THE_PREDICTION.fullmatch(name):
            raise SettingsError(
                f"can't keep the column {name!r} of {path}: the prediction has a column of that name; rename yours"
            )
    return columns


def _columns_of(rows: RowReader) -> dict[str, Any]:
    """The columns of a file, each with the kinds of its values or with its Arrow type."""
    suffix = rows.path.suffix.lower()
    if suffix == ".jsonl":
        return _kinds(rows.path)
    if suffix == ".parquet":
        types = _arrow_types(rows.path)
        return {name: types.get(name, {str}) for name in rows.columns}
    return {name: {str} for name in rows.columns}


def _kinds(path: Path) -> dict[str, set[type]]:
    """What only a look at all lines of a file of JSON tells."""
    kinds: dict[str, set[type]] = {}
    for row in RowReader(path, on_error="skip"):
        for name, value in row.values.items():
            kind = type(value)
            kinds.setdefault(name, set()).add(str if kind is int and abs(value) >= 1 << 63 else kind)
    return kinds


def _arrow_types(path: Path) -> dict[str, Any]:
    from pyarrow import parquet, types

    return {
        field.name: field.type.value_type if types.is_dictionary(field.type) else field.type
        for field in parquet.read_schema(path)
    }


# --- what a run that was stopped leaves --------------------------------------------------------------------------


@dataclass
class _Done:
    """What is whole: so many rows with this fingerprint, in so many bytes; ``whole`` when there are no more."""

    rows: int = 0
    bytes: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    whole: bool = False


class _UnfinishedRun:
    """The folder beside the output in which the predictions gather; for one writer at a time."""

    def __init__(self, output: Path, settings: Mapping[str, Any], format: PredictionFormat) -> None:
        self.output, self.format = output, format
        self.folder = output.with_name(output.name + UNFINISHED)
        self.appended, self.joined = self.folder / "predictions", self.folder / f"joined{output.suffix}"
        self.state = SavedState(
            self.folder / "state.json",
            settings,
            name="the run that was stopped",
            advice=f"go on with the same, or delete {self.folder} to start from the beginning",
            restart=f"delete {self.folder} to start from the beginning",
        )

    def open(self, resume: bool) -> _Done:
        """How far the run has come that is to be gone on with."""
        if self.output.exists():
            finished = None
            if not self._left_to_do():
                finished = self._read() if resume and self.folder.is_dir() else None
                shutil.rmtree(self.folder, ignore_errors=True)
            if finished is None or not finished.whole:
                raise SettingsError(f"{self.output} is there already: name another file, or delete it")
            return finished
        done = self._read()
        if done is None:
            shutil.rmtree(self.folder, ignore_errors=True)  # nothing in it was whole
            with disk_errors(self.output):
                self.folder.mkdir()
            return _Done()
        if not resume:
            raise SettingsError(
                f"{self.folder} is left of a run that was stopped: go on with --resume, or delete that folder"
            )
        if not done.whole and not (self.appended.is_file() and self.appended.stat().st_size >= done.bytes):
            raise DiskError(f"{self.appended} is shorter than it was: delete {self.folder} to start from the beginning")
        return done

    def leave(self, done: _Done) -> None:
        """End without an output: what is whole stays for the next run."""
        if not done.rows:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _left_to_do(self) -> bool:
        """Whether the folder holds predictions that have not become the output."""
        return self.appended.exists() or self.joined.exists()

    def _read(self) -> _Done | None:
        values = self.state.read()
        try:
            return None if values is None else _Done(**values)
        except TypeError:
            raise DiskError(f"{self.state.path} is damaged: {self.state.restart}") from None

    def writer(self, done: _Done) -> BinaryIO:
        """The file of the predictions, cut off behind the last whole chunk."""
        with self._disk_errors():
            stream = self.appended.open("r+b" if done.rows else "wb")
            stream.truncate(done.bytes)
            stream.seek(done.bytes)
        return stream

    def keep(self, stream: BinaryIO, rows: Sequence[Mapping[str, Any]], done: _Done) -> None:
        """Write a chunk; it is whole from here on."""
        content = self.format.encode(rows)
        with self._disk_errors():
            stream.write(content if done.bytes else self.format.head() + content)
            stream.flush()
            os.fsync(stream.fileno())
            done.bytes = stream.tell()
            self.state.write(asdict(done))

    def finish(self, done: _Done) -> None:
        """Give the predictions their own name; a run that is killed in between goes on here."""
        with self._disk_errors():
            if not done.whole:
                done.whole = True
                self.state.write(asdict(done))
            if self.appended.exists():
                self.format.join(self.appended, self.joined)
            if self.joined.exists():
                if self.output.exists():
                    raise SettingsError(f"{self.output} has come meanwhile: move it away, and go on with --resume")
                self.joined.rename(self.output)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _disk_errors(self) -> Any:
        return disk_errors(self.output, "what was predicted before is kept for --resume")
