#!/usr/bin/env python
"""The intents of a table's sentences, by many workers on one machine or on several, with Ray Data.

pip install ".[ray]"
python scripts/predict_with_ray.py runs/snips sentences.csv answers/ --workers 8
python scripts/predict_with_ray.py /shared/runs/snips /shared/sentences/ /shared/answers/ --address auto

The input is a .csv, .jsonl or .parquet file or a folder of such files. The output folder gets files of the same kind
(Ray calls JSON lines .json), in input order when they are read by name, with the columns ``intent`` and ``confidence``
behind those of the input, and before these ``intents``, all intents of a sentence, where the model may give several. On
several machines all three places must be reachable from each of them. A worker loads the model folder once and predicts
as ``IntentPredictor`` does in a process of its own.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from intent_bert import IntentPredictor
from intent_bert.cli.console import run_as_command
from intent_bert.config import TEXT
from intent_bert.data.label_sets import joined
from intent_bert.data.rows import RowReader, require_column
from intent_bert.errors import DataError, SettingsError
from intent_bert.inference.engines import usable_cores
from intent_bert.model.decision import Prediction
from intent_bert.model.folder import ModelFolder

FORMATS = (".csv", ".jsonl", ".parquet")
ADDED = ("intents", "intent", "confidence")  # the first of a multi-label model alone
ROWS = 4096  # that a worker takes at a time


class Scorer:
    """A worker: a table of sentences in, the same with their intents out."""

    def __init__(self, folder: str, kind: str, text_column: str, engine: str, threads: int) -> None:
        self.predictor = IntentPredictor.load(folder, engine=engine, threads=threads)
        self.kind, self.text_column = kind, text_column

    def __call__(self, table: pa.Table) -> pa.Table:
        texts = ["" if text is None else text for text in table.column(self.text_column).to_pylist()]
        found = self.predictor.described(texts, top_k=1)
        if self.predictor.multi_label:
            table = table.append_column("intents", self._intents(found))
        intents = [None if each.answer.intent is None else str(each.answer.intent) for each in found]
        confidences = np.array([each.answer.confidence for each in found]).round(6)
        table = table.append_column("intent", pa.array(intents, pa.string()))
        return table.append_column("confidence", pa.array(confidences, pa.float64()))

    def _intents(self, found: list[Prediction]) -> pa.Array:
        """All intents of each sentence: lists, or texts in which the separator joins them."""
        rows = [[str(answer.intent) for answer in each.intents] for each in found]
        if self.kind == ".csv":
            return pa.array([joined(row, self.predictor.label_separator) for row in rows], pa.string())
        return pa.array(rows, pa.list_(pa.string()))


def predict_with_ray(options: argparse.Namespace) -> None:
    kind = check_places(options.input, options.output)
    folder = ModelFolder(options.folder)  # a mistake is told here, and not by every worker
    check_columns(options, ADDED if folder.decision.multi_label else ADDED[1:])
    try:
        import ray
        import ray.data
    except ImportError:
        raise SettingsError("this needs a package that is not installed: pip install 'ray[data]'") from None
    workers = start_ray(ray, options)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    table = read(ray.data, kind, options.input, options.text_column)
    predictions = table.map_batches(
        Scorer,
        fn_constructor_args=(str(folder.path.resolve()), kind, options.text_column, options.engine, options.threads),
        batch_size=ROWS,
        batch_format="pyarrow",
        concurrency=workers,
        num_cpus=options.threads,
    )
    write = {".csv": "write_csv", ".jsonl": "write_json", ".parquet": "write_parquet"}[kind]
    getattr(predictions, write)(str(options.output.resolve()))


def start_ray(ray: Any, options: argparse.Namespace) -> int:
    """Connect to a Ray, or start one; gives the number of workers, which leaves it a core to read and write."""
    if options.address or os.environ.get("RAY_ADDRESS"):
        ray.init(address=options.address, log_to_driver=False)
        cores = int(ray.cluster_resources()["CPU"])
        most = (cores - 1) // options.threads
        if (options.workers or 1) > most:
            asked = f"{options.workers or 1} workers of {options.threads} cores"
            raise SettingsError(f"this Ray has {cores} cores: too few for {asked} and one that reads and writes")
        return options.workers or most
    workers = options.workers or max(1, usable_cores() // options.threads)
    ray.init(num_cpus=workers * options.threads + 1, include_dashboard=False, log_to_driver=False)
    return workers


def check_places(source: Path, output: Path) -> str:
    """The suffix of what is read."""
    if not source.exists():
        raise DataError(f"no such file or folder: {source}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise SettingsError(f"{output} is there already: name another folder, or empty it")
    kinds = {file.suffix.lower() for file in files_of(source)}
    if len(kinds) != 1 or not kinds <= set(FORMATS):
        there = ", ".join(sorted(kinds)) or "nothing"
        raise DataError(f"can't tell how to read {source}: expected {' or '.join(FORMATS)}, found {there}")
    return kinds.pop()


def files_of(source: Path) -> list[Path]:
    """What is read, by name."""
    return sorted(file for file in source.iterdir() if file.is_file()) if source.is_dir() else [source]


def check_columns(options: argparse.Namespace, added: tuple[str, ...]) -> None:
    """Refuse a table without sentences, or with a column that is called as the predictions' are."""
    columns = RowReader(files_of(options.input)[0]).columns
    require_column(str(options.input), columns, options.text_column, "text")
    taken = next((name for name in added if name in columns), None)
    if taken:
        raise DataError(f"{options.input} has a column {taken!r} already: rename it, the predictions are called so")


def read(data: Any, kind: str, source: Path, text_column: str) -> Any:
    place = str(source.resolve())
    if kind == ".parquet":
        return data.read_parquet(place)
    if kind == ".jsonl":
        return data.read_json(place, file_extensions=None)
    return data.read_csv(
        place,
        file_extensions=None,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types={text_column: pa.string()}),
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the model folder")
    parser.add_argument("input", type=Path, help="a file, or a folder of files of one kind")
    parser.add_argument("output", type=Path, help="the folder to write")
    parser.add_argument("--text-column", default=TEXT, help=f"the column with the sentences (default: {TEXT})")
    parser.add_argument("--engine", default="auto", help="as for `intent-bert predict` (default: auto)")
    parser.add_argument("--workers", type=int, help="workers (default: as many as Ray has cores for, but one)")
    parser.add_argument("--threads", type=int, default=1, help="cores of a worker (default: 1)")
    parser.add_argument("--address", help="of a running Ray cluster (default: RAY_ADDRESS, or a Ray of this machine)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    return run_as_command(lambda: predict_with_ray(options))


if __name__ == "__main__":
    sys.exit(main())
