"""The commands ``suggest`` and ``discover``: what to label next, and what no intent was planned for."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intent_bert.cli.arguments import add_columns, add_command, add_engine
from intent_bert.cli.predictors import prepared_engine
from intent_bert.errors import SettingsError

if TYPE_CHECKING:
    from intent_bert.workbench.discovery import Discovery
    from intent_bert.workbench.merging import Filled

logger = logging.getLogger("intent_bert")

GUARD = "for spreadsheets: put an apostrophe before a text that they would take for a formula; --merge takes it away"


def add_commands(commands: Any) -> None:
    command = add_command(commands, "suggest", "which unlabelled sentences to label next", run_suggest)
    _add_places(command)
    command.add_argument("--number", type=int, default=100, metavar="N", help="how many sentences")
    command.add_argument("--output", metavar="FILE", help="the csv to fill in; with --merge the new labelled table")
    command.add_argument("--labelled", metavar="FILE", help="leave out what is labelled here already")
    command.add_argument(
        "--merge", metavar="FILLED", help="add the rows of this file that have an intent to TABLE, a labelled one"
    )
    _add_shared(command)

    command = add_command(commands, "discover", "groups among the sentences that a model does not know", run_discover)
    _add_places(command)
    command.add_argument("--output-dir", metavar="DIR", help="write groups.csv and sentences.csv here")
    command.add_argument("--output", metavar="FILE", help="with --merge: the new labelled table")
    command.add_argument(
        "--merge",
        metavar="DIR",
        help="add the groups of this folder that were given an intent to TABLE, a labelled one",
    )
    _add_shared(command)


def _add_places(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "places", metavar="MODEL_DIR TABLE", nargs="+", help="a model folder and a table; with --merge a table alone"
    )


def _add_shared(command: argparse.ArgumentParser) -> None:
    add_columns(command)
    command.add_argument("--guard-formulas", action="store_true", help=GUARD)
    add_engine(command)


# --- suggest -----------------------------------------------------------------------------------------------------


def run_suggest(options: argparse.Namespace) -> None:
    from intent_bert.files.tables_out import csv_text
    from intent_bert.workbench.merging import filled_rows
    from intent_bert.workbench.outputs import checked_csv, separator_of, write_file
    from intent_bert.workbench.suggestions import suggest

    if options.output is None:
        raise SettingsError("where to? say --output FILE.csv")
    if options.merge is not None:
        _merge(options, lambda: filled_rows(options.merge))
        return
    folder, table = _two_places(options)
    output = checked_csv(options.output, table)
    prepared_engine(folder, options.engine)
    rows = suggest(
        folder,
        table,
        options.number,
        text_column=options.text_column,
        labelled=options.labelled,
        engine=options.engine,
        verbose=1,
    )
    cells = [list(rows.columns), *rows.itertuples(index=False)]
    write_file(output, csv_text(cells, separator_of(output), guard_formulas=options.guard_formulas))
    print(f"{output}: {len(rows):,} sentences of {table}, the unsurest first")
    logger.info(
        "fill in the column intent, leave what you can't tell empty, then: "
        "intent-bert suggest LABELLED --merge %s --output NEW.csv",
        output,
    )


# --- discover ----------------------------------------------------------------------------------------------------


def run_discover(options: argparse.Namespace) -> None:
    from intent_bert.workbench.discovery import discover
    from intent_bert.workbench.merging import GROUPS_FILE, SENTENCES_FILE, named_groups
    from intent_bert.workbench.outputs import checked_folder, write_files

    if options.merge is not None:
        _merge(options, lambda: named_groups(options.merge))
        return
    if options.output_dir is None:
        raise SettingsError("where to? say --output-dir DIR")
    if options.output is not None:
        raise SettingsError("--output is for --merge: the groups go to --output-dir")
    folder, table = _two_places(options)
    output = checked_folder(options.output_dir, (GROUPS_FILE, SENTENCES_FILE), table)
    prepared_engine(folder, options.engine)
    found = discover(folder, table, text_column=options.text_column, engine=options.engine, verbose=1)
    write_files(output, found.files(guard_formulas=options.guard_formulas))
    print(described(found))
    logger.info(
        "name groups of %s in the column intent, then: intent-bert discover LABELLED --merge %s --output NEW.csv",
        output / GROUPS_FILE,
        output,
    )


def described(found: "Discovery") -> str:
    """What was found, a line for each group."""
    lines = [f"{found.refused:,} of {found.rows:,} sentences are refused, in {len(found.groups)} groups"]
    for row in found.groups.to_dict("records"):
        lines.append(f"{row['size']:>6}  {row['key_words']}   near {row['nearest_intent']} ({row['similarity']:.2f})")
        lines.append(f"        {row['typical_1']}")
    if found.alone:
        lines.append(f"{found.alone:>6}  in no group")
    return "\n".join(lines)


# --- both --------------------------------------------------------------------------------------------------------


def _two_places(options: argparse.Namespace) -> list[str]:
    if len(options.places) != 2:
        raise SettingsError(f"expected MODEL_DIR and TABLE, got {' '.join(options.places)}")
    return list(options.places)


def _merge(options: argparse.Namespace, read: "Any") -> None:
    from intent_bert.workbench.merging import merge
    from intent_bert.workbench.outputs import checked_csv

    if len(options.places) != 1:
        raise SettingsError(f"--merge takes one table, the labelled one, not {' '.join(options.places)}")
    if options.output is None:
        raise SettingsError("where to? say --output FILE.csv")
    table = options.places[0]
    output = checked_csv(options.output, table, options.merge)
    rows: list[Filled] = read()
    merged = merge(rows, table, output, options.text_column, options.label_column)
    had = f", {merged.had:,} were there already" if merged.had else ""
    print(f"{output}: the rows of {Path(table).name} and {merged.added:,} more{had}")
    for intent, like in merged.new_intents.items():
        logger.info("new intent: %s%s", intent, f" (of the former ones {like} is spelt most like it)" if like else "")
