"""How doctor's time and memory grow with the rows of a table: neither as their square.

    .venv/bin/python benchmarks/doctor_growth.py [--rows 5000,10000,20000,40000] [--encoder]

Each size runs in a process of its own and is not run again when it stands in results/doctor_growth.json. The tables
are sentences of BANKING77 with two words changed each, so that many are nearly alike and none are the same. By default
vectors are drawn at random around the mean of their intent, for the encoder's own time is that of so many
predictions; with --encoder it computes them.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from intent_bert.data.tables import read_table
from intent_bert.files.cache import data_folder

RESULTS = Path(__file__).parent / "results" / "doctor_growth.json"


def table_of(rows: int) -> pd.DataFrame:
    """So many sentences, BANKING77's with two words changed for others of its words."""
    rng = np.random.default_rng(0)
    table = read_table(data_folder() / "banking77" / "train.csv")
    words = sorted({word for text in table.text for word in text.split()})
    texts, intents = [], []
    for number in range(rows):
        row = table.iloc[number % len(table)]
        sentence = row.text.split()
        for _ in range(2):
            sentence[int(rng.integers(len(sentence)))] = words[int(rng.integers(len(words)))]
        texts.append(" ".join(sentence))
        intents.append(row.intent)
    return pd.DataFrame({"text": texts, "intent": intents})


def measure(rows: int, with_encoder: bool) -> dict[str, float]:
    from intent_bert.workbench.doctor import examine
    from intent_bert.workbench.sheets import sheets_of
    from intent_bert.workbench.vectors import FrozenEncoder

    table, encoder = table_of(rows), FrozenEncoder("all-MiniLM-L6-v2")
    if not with_encoder:
        intent_of = dict(zip(table.text, table.intent.astype("category").cat.codes, strict=True))
        rng = np.random.default_rng(0)
        means = rng.normal(size=(77, 384))

        def drawn(texts: list[str], *_: object) -> np.ndarray:
            numbers = [intent_of[text] for text in texts]
            return (means[numbers] + 2 * rng.normal(size=(len(texts), 384))).astype("float32")

        encoder.vectors = drawn  # type: ignore[method-assign]
    started, core = time.perf_counter(), time.process_time()
    findings = examine(sheets_of(table), encoder, progress=False).findings
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "seconds of one core": round(time.process_time() - core, 1),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "findings": len(findings),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", default="5000,10000,20000,40000")
    parser.add_argument("--encoder", action="store_true", help="let the encoder compute the vectors")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.encoder)))
        return
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for rows in map(int, options.rows.split(",")):
        name = f"{rows} rows{', with the encoder' if options.encoder else ''}"
        if name not in results:
            command = [sys.executable, __file__, "--one", str(rows), *(["--encoder"] if options.encoder else [])]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results[name] = json.loads(done.stdout.splitlines()[-1])
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        print(name, results[name], flush=True)


if __name__ == "__main__":
    main()
