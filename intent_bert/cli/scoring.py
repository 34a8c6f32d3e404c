"""The commands that use a trained model: ``evaluate`` scores a table of known intents, ``predict`` answers sentences.

TensorFlow is imported only where the folder's engine is Keras.
"""

import argparse
import csv
import io
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intent_bert.cli.arguments import (
    add_columns,
    add_command,
    add_engine,
    add_separator,
    add_signature,
    add_unknown_label,
)
from intent_bert.cli.explaining import add_explain, check_explain, explanation_lines, known_sentences
from intent_bert.cli.predictors import load_predictor
from intent_bert.errors import DataError, SettingsError

if TYPE_CHECKING:
    from intent_bert.inference.predictor import IntentPredictor
    from intent_bert.model.decision import Prediction

logger = logging.getLogger("intent_bert")

BYTES_OF_A_SENTENCE = 60  # in a table, about; to guess how many a file holds

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def add_commands(commands: Any) -> None:
    command = add_command(commands, "evaluate", "metrics of a model on a table, as JSON on stdout", run_evaluate)
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder, or a sealed file")
    command.add_argument("file", metavar="FILE", help="a table: csv, tsv, jsonl or parquet")
    add_columns(command)
    add_separator(command, "what joins the labels of a row, for a multi-label model (default: as in training)")
    add_engine(command)
    add_signature(command)
    command.add_argument("--output-dir", metavar="DIR", help="also write plots and the mistakes here")
    add_unknown_label(command)
    _add_guard(command, "the csv files of --output-dir")

    command = add_command(commands, "predict", "the intents of sentences", run_predict)
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder, or a sealed file")
    command.add_argument("texts", metavar="TEXT", nargs="*", help="sentences; without any, one a line from stdin")
    command.add_argument(
        "--input", metavar="FILE", help="a table with the sentences, of any length: csv, tsv, jsonl or parquet"
    )
    command.add_argument("--output", metavar="FILE", help="write here: csv, tsv, jsonl or parquet (default: stdout)")
    command.add_argument("--columns", metavar="A,B", help="columns of --input that --output keeps (default: all)")
    command.add_argument("--resume", action="store_true", help="go on with an --output that was stopped")
    command.add_argument("--on-error", choices=("stop", "skip"), default="stop", help="at a broken row of --input")
    add_columns(command, label=False)
    command.add_argument("--top-k", type=int, default=1, metavar="N", help="how many intents to name for each")
    command.add_argument("--reject", action="store_true", help="no intent for sentences that are out of scope")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    add_explain(command)
    _add_guard(command, "an --output that is csv or tsv")
    add_engine(command)
    add_signature(command)


def _add_guard(command: argparse.ArgumentParser, files: str) -> None:
    command.add_argument(
        "--guard-formulas",
        action="store_true",
        help=f"for spreadsheets: in {files}, put an apostrophe before a text that they would take for a formula",
    )


# --- evaluate ----------------------------------------------------------------------------------------------------


def run_evaluate(options: argparse.Namespace) -> None:
    from intent_bert.model.folder import ModelFolder
    from intent_bert.workbench.judging import judge, labelled_table

    if options.guard_formulas and not options.output_dir:
        raise SettingsError("--guard-formulas is for --output-dir DIR: give that too")
    output = _place_for_reports(options)
    table, separator = labelled_table(
        ModelFolder(options.model_dir, options.require_signature),
        options.file,
        options.text_column,
        options.label_column,
        options.label_separator,
        options.unknown_label,
    )
    predictor = load_predictor(options.model_dir, options.engine, len(table), options.require_signature)
    result = judge(predictor, table, separator, options.unknown_label).evaluation
    try:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False), flush=True)
    finally:  # the reader of stdout may have gone, as in `| head`
        if output is not None:
            _write_reports(output, result, options)


def _write_reports(output: Path, result: Any, options: argparse.Namespace) -> None:
    from intent_bert.evaluation.reports import write_reports
    from intent_bert.files.atomic import disk_errors

    with disk_errors(output):
        output.mkdir(parents=True, exist_ok=True)
        write_reports(output, result, Path(options.file).name, guard_formulas=options.guard_formulas)
    logger.info("the confusion matrix and the mistakes are in %s", output)


def _place_for_reports(options: argparse.Namespace) -> Path | None:
    """The folder that takes the reports, once it is known that they replace nothing but older ones."""
    from intent_bert.evaluation.reports import REPORTS
    from intent_bert.files.atomic import check_writable
    from intent_bert.model.folder import is_model_folder

    if options.output_dir is None:
        return None
    folder, table = Path(options.output_dir), Path(options.file)
    if is_model_folder(folder):
        raise SettingsError(
            f"won't write to {folder}: the reports of that model's training stand there; name another folder, such as "
            f"{folder / 'evaluation'}"
        )
    if table.resolve() in [(folder / name).resolve() for name in REPORTS]:
        raise SettingsError(f"won't write to {folder}: {table} would be replaced; name another folder")
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"won't write to {folder}: it is a file; name a folder")
    check_writable(folder)
    return folder


# --- predict -----------------------------------------------------------------------------------------------------


def run_predict(options: argparse.Namespace) -> None:
    if options.texts and options.input:
        raise SettingsError("give sentences or --input FILE, not both")
    if options.output and not options.input:
        raise SettingsError("--output FILE takes the predictions for --input FILE: give that too")
    of_output = {
        "--columns": options.columns is not None,
        "--resume": options.resume,
        "--guard-formulas": options.guard_formulas,
    }
    for flag, given in of_output.items():
        if given and not options.output:
            raise SettingsError(f"{flag} is for --output FILE: give that too")
    check_explain(options)
    if options.json and options.output and Path(options.output).suffix.lower() != ".jsonl":
        raise SettingsError(f"--json is for stdout: name an --output that ends in .jsonl, not {options.output}")
    if options.input:
        _predict_file(options)
    else:
        _predict_texts(options)


def _predict_file(options: argparse.Namespace) -> None:
    from intent_bert.data.rows import RowReader
    from intent_bert.inference.prediction_file import predict_file

    column = options.text_column
    rows = RowReader(options.input, options.on_error, advice=", or go on with --on-error skip")
    rows.require(column)
    predictor = load_predictor(
        options.model_dir, options.engine, rows.size // BYTES_OF_A_SENTENCE, options.require_signature
    )
    if options.output:
        number = predict_file(
            predictor,
            rows,
            options.output,
            text_column=column,
            columns=None if options.columns is None else next(csv.reader([options.columns]), []),
            top_k=options.top_k,
            reject=options.reject,
            resume=options.resume,
            guard_formulas=options.guard_formulas,
        )
    else:
        rows.select(column)
        texts = (row.values[column] for row in rows.with_text(column))
        _print_predictions(predictor, _batches(texts, 1024), options)
    if rows.skipped:
        named = ", ".join(map(str, rows.skipped[:5])) + (", ..." if len(rows.skipped) > 5 else "")
        number_of = "1 broken row" if len(rows.skipped) == 1 else f"{len(rows.skipped)} broken rows"
        logger.warning("left out %s of %s (%s)", number_of, rows.path, named)
    if options.output:
        logger.info("%s predictions in %s", f"{number:,}", options.output)


def _predict_texts(options: argparse.Namespace) -> None:
    predictor = load_predictor(options.model_dir, options.engine, require_signature=options.require_signature)
    if options.texts:
        _print_predictions(predictor, _batches(options.texts, 1024), options)
    elif sys.stdin.isatty():
        print("one sentence a line; end with Ctrl-D", file=sys.stderr)
        _print_predictions(predictor, ([text] for text in _lines(sys.stdin)), options, flush=True)
    else:
        _print_predictions(predictor, _batches(_lines(sys.stdin), 1024), options)


def _print_predictions(
    predictor: "IntentPredictor", batches: Iterable[list[str]], options: argparse.Namespace, flush: bool = False
) -> None:
    from intent_bert.inference.prediction_file import as_json

    if isinstance(sys.stdout, io.TextIOWrapper):  # UTF-8 out as in, and an argument that was not UTF-8 stays printable
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    top_k, several = predictor.checked_top_k(options.top_k), predictor.multi_label
    if options.reject:
        predictor.check_threshold()
    known = known_sentences(predictor, options) if options.explain else None
    for batch in batches:
        explained = predictor.explain_all(batch, known) if options.explain else [None] * len(batch)
        described = predictor.described(batch, top_k, options.reject)
        for text, prediction, explanation in zip(batch, described, explained, strict=True):
            if options.json:
                print(as_json(text, prediction, several=several, explanation=explanation), flush=flush)
                continue
            print(_as_line(text, prediction, several), flush=flush)
            for line in explanation_lines(explanation, several) if explanation else ():
                print(_CONTROL.sub(_escaped, line), flush=flush)


def _as_line(text: str, prediction: "Prediction", several: bool) -> str:
    """Intents, a tab, the text; what would break the line or steer the terminal is escaped."""
    named = prediction.intents if several else prediction.ranking
    intents = "  ".join(f"{answer.intent} {answer.confidence:.4f}" for answer in named)
    if prediction.answer.intent is None:
        intents = f"- {prediction.answer.confidence:.4f}"
    return "\t".join(_CONTROL.sub(_escaped, part) for part in (intents, text))


def _escaped(character: re.Match[str]) -> str:
    return character.group().encode("unicode_escape").decode()


# --- both --------------------------------------------------------------------------------------------------------


def _lines(stream: Any) -> Iterator[str]:
    for number, line in enumerate(stream.buffer, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise DataError(f"line {number} of stdin is not UTF-8") from None


def _batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
