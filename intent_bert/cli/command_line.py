"""The command line, ``intent-bert COMMAND``; ``intent-bert --help`` lists the commands.

Results go to stdout, everything else to stderr. Exit 0: done; 2: a mistake of the user's, told in one sentence;
1: a mistake of ours. TensorFlow is imported by the commands that need it: not by ``--help``, and not by ``predict``
where the folder has a model for ONNX Runtime.
"""

import argparse
import csv
import io
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from intent_bert.config import CHOICES, INTENT, RECIPES, TEXT, CompareConfig, DataSettings, TrainingConfig
from intent_bert.errors import DataError, IntentBertError, SettingsError
from intent_bert.estimators.baselines import LADDER, RIVALS
from intent_bert.version import __version__

if TYPE_CHECKING:
    from intent_bert.inference.predictor import IntentPredictor

logger = logging.getLogger("intent_bert")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    options = build_parser().parse_args(arguments)
    return run_as_command(lambda: options.run(options), tensorflow=options.tensorflow)


def run_as_command(run: Callable[[], None], tensorflow: bool = True) -> int:
    """Run a function as a command: messages on stderr, a user's mistake in one sentence, the exit code returned."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        if tensorflow:
            _import_tensorflow_quietly()
        run()
        sys.stdout.flush()
    except IntentBertError as error:
        print(f"intent-bert: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("intent-bert: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `intent-bert predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    return 0


def _import_tensorflow_quietly() -> None:
    """Import TensorFlow without what its C++ side prints on the way; an import that fails shows it all."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            printed.seek(0)
            os.write(stderr, printed.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        prefix = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return prefix + super().format(record)


# --- the parser --------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence, without the usage, which is a page for ``train``."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="intent-bert", description="Fine-tune BERT into an intent recogniser, and ask it.")
    parser.add_argument("--version", action="version", version=f"intent-bert {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_train_arguments(_command(commands, "train", "fine-tune on a table and leave a model folder", run_train))

    command = _command(commands, "evaluate", "figures of a model on a table, as JSON on stdout", _run_evaluate)
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder")
    command.add_argument("file", metavar="FILE", help="a table: csv, tsv, jsonl or parquet")
    _add_columns(command)
    _add_engine(command)
    command.add_argument("--output-dir", help="also write the confusion matrix and the mistakes here")

    command = _command(commands, "compare", "set methods against each other on a table", _run_compare)
    _add_settings(command, CompareConfig)
    command.epilog = (
        f"Methods: {', '.join(RIVALS)}, and last-N for any number of layers; ladder is {', '.join(LADDER)}."
    )

    add_predict_arguments(_command(commands, "predict", "the intents of sentences", run_predict))

    command = _command(commands, "split", "split a table into train, validation and test", _run_split)
    command.add_argument("file", metavar="FILE", help="a table: csv, tsv, jsonl or parquet")
    command.add_argument("output_dir", metavar="OUTPUT_DIR", help="a new folder, for train --data")
    command.add_argument("--shares", default="70,15,15", help="of train, validation and test, or of train and test")
    command.add_argument("--seed", type=int, default=0, metavar="INT", help="another seed gives another split")
    _add_columns(command)

    command = _command(commands, "export", "write a model for another engine, checked against Keras", _run_export)
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder; the new file goes into it")
    command.add_argument("--format", default="onnx", help="onnx, savedmodel or litert")
    command.add_argument("--quantize", metavar="KIND", help="int8: smaller and faster kernels (format onnx)")
    command.add_argument(
        "--check-file", metavar="FILE", help="a table of sentences to compare on, in place of the usual"
    )
    command.add_argument("--text-column", default=TEXT, help="its column with the sentences")

    command = _command(commands, "download", "fetch a data set or a checkpoint by name", _run_download)
    command.add_argument("name", metavar="NAME", help="snips, snips-tutorial, or a checkpoint's name")
    command.add_argument("--force", action="store_true", help="fetch a data set anew")

    _command(commands, "checkpoints", "list the known checkpoints", _run_checkpoints)
    command = _command(commands, "datasets", "list the known data sets, or count the intents of one", _run_datasets)
    command.add_argument("name", nargs="?", metavar="NAME|DIR", help="show this one's texts per intent")
    _add_columns(command)
    command.add_argument("--plot", metavar="FILE", help="also draw them into this picture (.png, .pdf or .svg)")

    command = _command(commands, "convert", "write a checkpoint in the other layout", _run_convert)
    command.add_argument("source", metavar="SOURCE", help="a known checkpoint or a folder")
    command.add_argument("destination", metavar="DESTINATION", help="a new folder")
    command.add_argument("--to", choices=("stock", "huggingface"), required=True, help="the layout to write")
    return parser


def _command(commands: Any, name: str, help: str, run: Any) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=help, description=help, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    command.set_defaults(run=run, tensorflow=run in (run_train, _run_compare, _run_convert))
    return command


def _add_columns(command: argparse.ArgumentParser) -> None:
    command.add_argument("--text-column", default=TEXT, help="the column with the sentences")
    command.add_argument("--label-column", default=INTENT, help="the column with the intents")


def _add_engine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine", default="auto", help="onnx, onnx-int8 or keras; auto takes the first that the folder has"
    )


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe, and an option for every field of TrainingConfig."""
    parser.add_argument("--recipe", choices=RECIPES, default="default", help="a set of settings to start from")
    _add_settings(parser, TrainingConfig)


def _add_settings(parser: argparse.ArgumentParser, config: type[DataSettings]) -> None:
    """An option for every field; one that is not given is not among the parsed options."""
    for each in fields(config):
        kind = next(kind for kind in (bool, int, float, str) if kind is each.type or kind in get_args(each.type))
        shown = each.default if kind is not bool else "on" if each.default else "off"
        help = each.metadata["help"] + ("" if each.default is None else f" (default: {shown})")
        options: dict[str, Any] = {"dest": each.name, "default": argparse.SUPPRESS, "help": help}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif each.name == "train_layers":
            options["metavar"] = "all|N|head"
        elif each.name in CHOICES:
            options["choices"] = CHOICES[each.name]
        else:
            options |= {"type": kind, "metavar": kind.__name__.upper()}
        parser.add_argument(f"--{each.name.replace('_', '-')}", **options)


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder")
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="sentences; without any, one a line from stdin")
    parser.add_argument(
        "--input", metavar="FILE", help="a table with the sentences, of any length: csv, tsv, jsonl or parquet"
    )
    parser.add_argument("--output", metavar="FILE", help="write the answers here: jsonl, csv or tsv (default: stdout)")
    parser.add_argument("--resume", action="store_true", help="go on with an --output that was stopped")
    parser.add_argument("--on-error", choices=("stop", "skip"), default="stop", help="at a broken row of --input")
    parser.add_argument("--text-column", default=TEXT, help="the column with the sentences")
    parser.add_argument("--top-k", type=int, default=1, metavar="N", help="how many intents to name for each")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    _add_engine(parser)


# --- the commands ------------------------------------------------------------------------------------------------


def run_train(options: argparse.Namespace) -> None:
    config = TrainingConfig.from_recipe(options.recipe, **_given(options, TrainingConfig))
    from intent_bert.training.run import train

    result = train(config)
    best = "test" if "test" in result.evaluations else "validation" if "validation" in result.evaluations else "train"
    for name, evaluation in result.evaluations.items():
        print(f"{name:<10} accuracy {evaluation.accuracy:.4f}  macro F1 {evaluation.macro_f1:.4f}  "
              f"loss {evaluation.loss:.4f}  ({evaluation.rows} rows)")  # fmt: skip
    print(f"\nper intent, {best}:\n{result.evaluations[best].report()}\n")
    print(f"trained in {result.seconds:.0f} s")
    print(f"model folder      {result.folder}")
    print(f"confusion matrix  {result.folder / 'confusion_matrix.png'}")
    print(f"mistakes          {result.folder / 'mistakes.csv'}")
    print(f"TensorBoard logs  {result.log_dir}   (tensorboard --logdir {result.log_dir.parent})")


def _given(options: argparse.Namespace, config: type[DataSettings]) -> dict[str, Any]:
    names = {each.name for each in fields(config)}
    return {name: value for name, value in vars(options).items() if name in names}


def _run_compare(options: argparse.Namespace) -> None:
    config = CompareConfig.of(**_given(options, CompareConfig))
    from intent_bert.estimators.baselines import chosen

    chosen(config.methods)
    from intent_bert.estimators.comparison import compare

    result = compare(config)
    print(result.report())
    print(f"\n{' '.join(result.advice)}\n")
    print(f"tables and pictures  {result.folder}")


def _run_evaluate(options: argparse.Namespace) -> None:
    from intent_bert.data.tables import read_table

    table = read_table(options.file, options.text_column, options.label_column)
    import numpy as np

    from intent_bert.evaluation.metrics import evaluate_probabilities
    from intent_bert.files.progress import progress_bar

    predictor = _load_predictor(options)
    output = _writable_folder(options.output_dir) if options.output_dir else None
    texts, parts = list(table[TEXT]), []
    with progress_bar(len(texts), "evaluating", "sentence", delay=2, leave=False) as bar:
        for batch in _batches(texts, 512):
            parts.append(predictor.predict_proba(batch))
            bar.update(len(batch))
    result = evaluate_probabilities(texts, list(table[INTENT]), np.concatenate(parts), predictor.classes)
    print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    if output is not None:
        _import_tensorflow_quietly()
        from intent_bert.training.run import write_reports

        try:
            write_reports(output, result, Path(options.file).name)
        except OSError as error:
            raise SettingsError(f"can't write to {output}: {error.strerror}") from None
        logger.info("the confusion matrix and the mistakes are in %s", output)


def _writable_folder(folder: str) -> Path:
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".writable").touch()
        (path / ".writable").unlink()
    except OSError as error:
        raise SettingsError(f"can't write to {path}: {error.strerror}") from None
    return path


def run_predict(options: argparse.Namespace) -> None:
    if options.texts and options.input:
        raise SettingsError("give sentences or --input FILE, not both")
    if options.output and not options.input:
        raise SettingsError("--output FILE takes the answers to --input FILE: give that too")
    from intent_bert.inference.answer_file import Rows, as_json, score_file

    rows = Rows(Path(options.input), options.text_column, options.on_error) if options.input else None
    texts: Any = rows or options.texts or _lines(sys.stdin)
    if isinstance(sys.stdout, io.TextIOWrapper):  # UTF-8 out as in, and an argument that was not UTF-8 stays printable
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    predictor = _load_predictor(options)
    if rows is not None and options.output:
        number = score_file(predictor, rows, Path(options.output), top_k=options.top_k, resume=options.resume)
        _tell_of_skipped(rows)
        logger.info("%s answers in %s", f"{number:,}", options.output)
        return
    interactive = not options.texts and not options.input and sys.stdin.isatty()
    if interactive:
        print("one sentence a line; end with Ctrl-D", file=sys.stderr)
    batches = ([text] for text in texts) if interactive else _batches(texts, 1024)
    for batch in batches:
        for text, ranking in zip(batch, predictor.predict(batch, top_k=options.top_k), strict=True):
            print(as_json(text, ranking) if options.json else _as_line(text, ranking), flush=interactive)
    if rows is not None:
        _tell_of_skipped(rows)


def _tell_of_skipped(rows: Any) -> None:
    if rows.skipped:
        named = ", ".join(map(str, rows.skipped[:5])) + (", ..." if len(rows.skipped) > 5 else "")
        logger.warning("%d broken rows of %s were left out (%s)", len(rows.skipped), rows.path, named)


def _load_predictor(options: argparse.Namespace) -> "IntentPredictor":
    from intent_bert.inference.engines import KERAS, choose_engine
    from intent_bert.inference.predictor import IntentPredictor
    from intent_bert.model.folder import ModelFolder

    engine = choose_engine(ModelFolder(options.model_dir), options.engine)
    if engine == KERAS:
        _import_tensorflow_quietly()
    return IntentPredictor.load(options.model_dir, engine=engine)


def _lines(stream: Any) -> Iterator[str]:
    for number, line in enumerate(stream.buffer, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise DataError(f"line {number} of stdin is not UTF-8") from None


def _batches(texts: Any, size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _as_line(text: str, ranking: Sequence[Any]) -> str:
    answers = "  ".join(f"{answer.intent} {answer.confidence:.4f}" for answer in ranking) or "- 0.0000"
    return f"{answers}\t{text}"


def _run_split(options: argparse.Namespace) -> None:
    from intent_bert.data.checks import check_tables
    from intent_bert.data.splits import PART_NAMES, split_table
    from intent_bert.data.tables import read_table
    from intent_bert.files.atomic import atomic_folder

    try:
        shares = [float(share) for share in options.shares.split(",")]
    except ValueError:
        raise SettingsError(f"expected shares such as 70,15,15 or 80,20, not {options.shares!r}") from None
    folder = _new_folder(options.output_dir)
    table = read_table(options.file, options.text_column, options.label_column)
    parts = split_table(table, shares, options.seed)
    check_tables(table)
    names = PART_NAMES[len(parts)]
    with atomic_folder(folder) as work:
        for name, part in zip(names, parts, strict=True):  # all quoted: a bare carriage return would end the row
            part.to_csv(work / f"{name}.csv", index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for name, part in zip(names, parts, strict=True):
        print(f"{name:<10} {len(part):>7} rows  {folder / name}.csv")


def _new_folder(path: str) -> Path:
    folder = Path(path)
    if folder.exists():
        raise SettingsError(f"won't write to {folder}: it is there already; name a new folder")
    return folder


def _run_export(options: argparse.Namespace) -> None:
    from intent_bert.model.folder import exported_name, read_config

    exported_name(options.format, options.quantize)
    read_config(Path(options.model_dir))
    _import_tensorflow_quietly()
    from intent_bert.export.exports import export_model

    check = export_model(options.model_dir, options.format, options.quantize, options.check_file, options.text_column)
    print(f"{Path(options.model_dir) / check.file}  {check.megabytes:.1f} MB")
    print(
        f"compared with Keras on {check.sentences} sentences ({check.sentences_from}): largest difference "
        f"{check.largest_difference:.2g}, {check.changed_answers} answers changed"
    )


def _run_download(options: argparse.Namespace) -> None:
    from intent_bert.bert import pretrained
    from intent_bert.data import datasets
    from intent_bert.errors import nearest

    if options.name in pretrained.CHECKPOINTS:
        print(pretrained.fetch(options.name))
    elif options.name in datasets.NAMED:
        print(datasets.download(options.name, force=options.force))
    else:
        known = [*datasets.NAMED, *pretrained.CHECKPOINTS]
        raise SettingsError(
            f"nothing to download is called {options.name!r}: did you mean {nearest(options.name, known)}? "
            "(intent-bert datasets and intent-bert checkpoints list the names)"
        )


def _run_checkpoints(_: argparse.Namespace) -> None:
    from intent_bert.bert.pretrained import CHECKPOINTS, DEFAULT_CHECKPOINT
    from intent_bert.files.cache import checkpoint_folder

    print(f"{'NAME':<34}{'ABOUT MB':>9}  {'LICENCE':<12}{'TEXT':<9}STATE")
    for name, each in CHECKPOINTS.items():
        state = "fetched" if (checkpoint_folder() / name).is_dir() else "-"
        default = " (default)" if name == DEFAULT_CHECKPOINT else ""
        case = "uncased" if each.do_lower_case else "cased"
        print(f"{name:<34}{each.size_mb:>9.0f}  {each.licence:<12}{case:<9}{state}{default}")
    logger.info("kept in %s (INTENT_BERT_CACHE moves it)", checkpoint_folder())


def _run_datasets(options: argparse.Namespace) -> None:
    from intent_bert.data import datasets
    from intent_bert.files.cache import data_folder

    if options.name is None:
        rows = [(each.name, each.what, each.licence, each.where) for each in datasets.known()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        logger.info("kept in %s (INTENT_BERT_DATA moves it)", data_folder())
        return
    import pandas as pd

    from intent_bert.evaluation.plots import intent_counts_figure, save_figure

    splits = datasets.load(options.name, options.text_column, options.label_column)
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    tables = {name: table for name, table in named.items() if table is not None}
    counts = pd.DataFrame({name: table[INTENT].value_counts() for name, table in tables.items()}).fillna(0).astype(int)
    print(counts.sort_index().to_string())
    if options.plot:
        try:
            save_figure(intent_counts_figure(tables), options.plot)
        except (OSError, ValueError) as error:
            raise SettingsError(f"can't draw into {options.plot}: {str(error).splitlines()[0]}") from None
        logger.info("drawn in %s", options.plot)


def _run_convert(options: argparse.Namespace) -> None:
    from intent_bert.bert.checkpoint import convert_checkpoint
    from intent_bert.bert.pretrained import resolve
    from intent_bert.files.atomic import atomic_folder

    destination = _new_folder(options.destination)
    source = resolve(options.source)
    with atomic_folder(destination) as work:
        convert_checkpoint(source, work, options.to)
    print(destination)
