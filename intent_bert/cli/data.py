"""The commands about tables and checkpoints: split, datasets, download, checkpoints and convert."""

import argparse
import logging
from typing import Any

from intent_bert.cli.arguments import add_columns, add_command, add_separator, new_folder
from intent_bert.cli.console import import_tensorflow_quietly
from intent_bert.config import INTENT, LABEL_SEPARATOR
from intent_bert.errors import DiskError, SettingsError, nearest, reason

logger = logging.getLogger("intent_bert")


def add_commands(commands: Any) -> None:
    command = add_command(commands, "split", "split a table into train, validation and test", run_split)
    command.add_argument("file", metavar="FILE", help="a table: csv, tsv, jsonl or parquet")
    command.add_argument("output_dir", metavar="OUTPUT_DIR", help="a new folder, for train --data")
    command.add_argument(
        "--shares", default="70,15,15", metavar="X,...", help="of train, validation and test, or of train and test"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="another seed gives another split")
    add_columns(command)
    command.add_argument("--multi-label", action="store_true", help="a row may have several labels, or none")
    add_separator(command, f"with --multi-label, what joins the labels of a row (default: {LABEL_SEPARATOR})")

    command = add_command(commands, "datasets", "list the known data sets, or count the intents of one", run_datasets)
    command.add_argument("name", nargs="?", metavar="NAME|DIR", help="show this one's texts per intent")
    add_columns(command)
    command.add_argument("--plot", metavar="FILE", help="also draw them as a plot (.png, .pdf or .svg)")

    command = add_command(commands, "download", "fetch a data set or a checkpoint by name", run_download)
    command.add_argument("name", metavar="NAME", help="snips, snips-tutorial, or a checkpoint's name")
    command.add_argument("--force", action="store_true", help="fetch a data set anew")

    add_command(commands, "checkpoints", "list the known checkpoints", run_checkpoints)

    command = add_command(commands, "convert", "write a checkpoint in the other layout", run_convert)
    command.add_argument("source", metavar="SOURCE", help="a known checkpoint or a folder")
    command.add_argument("destination", metavar="DESTINATION", help="a new folder")
    command.add_argument("--to", choices=("stock", "huggingface"), required=True, help="the layout to write")


def run_split(options: argparse.Namespace) -> None:
    from intent_bert.data.checks import check_tables
    from intent_bert.data.label_sets import joined
    from intent_bert.data.splits import PART_NAMES, split_table
    from intent_bert.data.tables import read_table
    from intent_bert.files.atomic import atomic_folder
    from intent_bert.files.tables_out import write_csv

    try:
        shares = [float(share) for share in options.shares.split(",")]
    except ValueError:
        raise SettingsError(f"expected shares such as 70,15,15 or 80,20, not {options.shares!r}") from None
    folder = new_folder(options.output_dir)
    if options.label_separator and not options.multi_label:
        raise SettingsError("--label-separator joins several labels of a row: give --multi-label as well")
    separator = (options.label_separator or LABEL_SEPARATOR) if options.multi_label else None
    table = read_table(options.file, options.text_column, options.label_column, separator)
    check_tables(table, label_separator=separator)
    parts = split_table(table, shares, options.seed, separator)
    names = PART_NAMES[len(parts)]
    with atomic_folder(folder) as work:
        for name, part in zip(names, parts, strict=True):
            rows = part if separator is None else part.assign(intent=[joined(each, separator) for each in part[INTENT]])
            write_csv(work / f"{name}.csv", rows.columns, rows.itertuples(index=False))
    for name, part in zip(names, parts, strict=True):
        print(f"{name:<10} {len(part):>7} rows  {folder / name}.csv")


def run_datasets(options: argparse.Namespace) -> None:
    if options.name is None:
        _list_datasets()
    else:
        _count_intents(options)


def _list_datasets() -> None:
    from intent_bert.data import datasets
    from intent_bert.files.cache import data_folder

    rows = [(each.name, each.what, each.licence, each.where) for each in datasets.known()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    logger.info("kept in %s (INTENT_BERT_DATA moves it)", data_folder())


def _count_intents(options: argparse.Namespace) -> None:
    from intent_bert.data import datasets
    from intent_bert.evaluation.plots import intent_counts_plot, save_plot

    splits = datasets.load(options.name, options.text_column, options.label_column)
    print(datasets.intent_counts(splits).to_string())
    if options.plot:
        try:
            named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
            tables = {name: table for name, table in named.items() if table is not None}
            save_plot(intent_counts_plot(tables), options.plot)
        except OSError as error:
            raise DiskError(f"can't draw into {options.plot}: {reason(error)}") from None
        except ValueError as error:
            raise SettingsError(f"can't draw into {options.plot}: {reason(error)}") from None
        logger.info("drawn in %s", options.plot)


def run_download(options: argparse.Namespace) -> None:
    from intent_bert.bert import pretrained
    from intent_bert.bert.known_checkpoints import CHECKPOINTS
    from intent_bert.data import datasets

    if options.name in CHECKPOINTS:
        print(pretrained.fetch(options.name))
    elif options.name in datasets.NAMED:
        print(datasets.download(options.name, force=options.force))
    else:
        known = [*datasets.NAMED, *CHECKPOINTS]
        raise SettingsError(
            f"nothing to download is called {options.name!r}: did you mean {nearest(options.name, known)}? "
            "(intent-bert datasets and intent-bert checkpoints list the names)"
        )


def run_checkpoints(_: argparse.Namespace) -> None:
    from intent_bert.bert.known_checkpoints import CHECKPOINTS, DEFAULT_CHECKPOINT
    from intent_bert.files.cache import checkpoint_folder

    print(f"{'NAME':<34}{'ABOUT MB':>9}  {'LICENCE':<12}{'TEXT':<9}STATE")
    for name, each in CHECKPOINTS.items():
        state = "fetched" if (checkpoint_folder() / name).is_dir() else "-"
        default = " (default)" if name == DEFAULT_CHECKPOINT else ""
        case = "uncased" if each.do_lower_case else "cased"
        print(f"{name:<34}{each.size_mb:>9.0f}  {each.licence:<12}{case:<9}{state}{default}")
    logger.info("kept in %s (INTENT_BERT_CACHE moves it)", checkpoint_folder())


def run_convert(options: argparse.Namespace) -> None:
    from intent_bert.bert.pretrained import resolve
    from intent_bert.files.atomic import atomic_folder

    destination = new_folder(options.destination)
    import_tensorflow_quietly()
    from intent_bert.bert.checkpoint import convert_checkpoint

    source = resolve(options.source)
    with atomic_folder(destination) as work:
        convert_checkpoint(source, work, options.to)
    print(destination)
