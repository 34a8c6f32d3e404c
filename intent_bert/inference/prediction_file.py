"""Predictions for a file of any length: read, predicted and written a chunk at a time, in order, in bounded memory.

    sentences.csv -> 4,096 rows -> IntentPredictor -> out.csv.unfinished/predictions ... -> out.csv
                                                      out.csv.unfinished/state.json: how many rows and bytes are whole

The output appears under its own name when it is whole. A run that was killed, or that a broken row stopped, goes on
with ``resume`` behind the last whole chunk: no row is lost, none is predicted twice. Which columns there are is
prediction_columns.py's business, how rows become bytes prediction_formats.py's, and what a stopped run leaves
unfinished_predictions.py's.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from intent_bert.config import TEXT, check_count
from intent_bert.data.rows import Row, RowReader
from intent_bert.errors import DataError, SettingsError
from intent_bert.files.atomic import disk_errors
from intent_bert.files.lock import one_writer
from intent_bert.inference.explanation import Explanation
from intent_bert.inference.prediction_columns import Layout, as_object
from intent_bert.inference.prediction_formats import OUTPUT_FORMATS, prediction_format, to_json
from intent_bert.inference.predictor import CHUNK, IntentPredictor
from intent_bert.inference.unfinished_predictions import Done, UnfinishedPredictions
from intent_bert.model.decision import Prediction

logger = logging.getLogger("intent_bert")


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
    return to_json(as_object(text, prediction, kept or {}, several) | explained)


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
    if reject:
        predictor.check_threshold()
    layout = Layout.of(predictor, rows, text_column, columns, place.suffix.lower(), top_k, reject)
    format = prediction_format(place.suffix.lower(), layout.types(predictor.classes), guard_formulas)
    settings = {
        "model": predictor.fingerprint, "engine": predictor.engine, "text_column": text_column,
        "columns": list(layout.kept) if layout.kept is not None else None, "top_k": top_k, "reject": reject,
    }  # fmt: skip
    if guard_formulas:  # a run of a version that knew no such setting had it not
        settings["guard_formulas"] = True
    with one_writer(place):
        run = UnfinishedPredictions(place, settings, format)
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
    predictor: IntentPredictor, rows: RowReader, layout: Layout, run: UnfinishedPredictions, done: Done, verbose: int
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
