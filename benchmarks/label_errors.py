"""How many turned labels doctor finds: 5 % of BANKING77's training labels get another intent, and the surest suspects
are counted, as many as labels were turned.

    .venv/bin/python benchmarks/label_errors.py [--data FILE] [--seeds 0,1,2]

Labels are turned at random, or to the neighbouring intent: the one whose mean vector is nearest to that of their own.
cleanlab (https://github.com/cleanlab/cleanlab) judges the same vectors beside it: a logistic regression out of fold,
its ranking by self-confidence and by margin. A pair of seed and kind that stands in the results is not run again.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from intent_bert.data.tables import read_table
from intent_bert.files.cache import data_folder
from intent_bert.workbench.doubts import doubts_from, out_of_fold
from intent_bert.workbench.label_errors import suspects
from intent_bert.workbench.neighbours import unit
from intent_bert.workbench.sheets import evened
from intent_bert.workbench.vectors import FrozenEncoder

RESULTS = Path(__file__).parent / "results" / "label_errors.json"
SHARE = 0.05


def turned_labels(vectors: np.ndarray, own: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels with some of them turned, int (N,), and which these are, bool (N,)."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(own), round(SHARE * len(own)), replace=False)
    classes = own.max() + 1
    means = unit(np.stack([vectors[own == number].mean(axis=0) for number in range(classes)]))
    alike = means @ means.T - 2 * np.eye(classes)
    labels, turned = own.copy(), np.zeros(len(own), bool)
    turned[chosen] = True
    for row in chosen:
        others = np.delete(np.arange(classes), own[row])
        labels[row] = alike[own[row]].argmax() if kind == "neighbour" else rng.choice(others)
    return labels, turned


def precision(ranked: np.ndarray, turned: np.ndarray) -> float:
    """Of as many top suspects as labels were turned, the share that was turned."""
    return float(turned[ranked[: turned.sum()]].sum() / turned.sum())


def judged(vectors: np.ndarray, labels: np.ndarray, turned: np.ndarray) -> dict[str, float]:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import order_label_issues

    started = time.process_time()
    probabilities = out_of_fold(unit(vectors), labels, progress=False)
    doubts = doubts_from(unit(vectors), labels, probabilities, [str(number) for number in range(labels.max() + 1)])
    ranked, _, _ = suspects(doubts)
    found = {"doctor": precision(ranked, turned), "suspects": len(ranked)}
    found["seconds of one core"] = time.process_time() - started
    for by in ("self_confidence", "normalized_margin"):
        # all rows, so that a short list of issues is filled up with the next in rank
        ranking = order_label_issues(np.ones(len(labels), bool), labels, probabilities, rank_by=by)
        found[f"cleanlab {by}"] = precision(ranking, turned)
    issues = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence")
    return found | {"cleanlab issues": precision(issues, turned), "issues": len(issues)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default=str(data_folder() / "banking77" / "train.csv"))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--memory", help="a folder that keeps the vectors")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    table = read_table(options.data)
    table = table[~table.text.map(evened).duplicated()]
    own = np.unique(table.intent.astype(str), return_inverse=True)[1]
    vectors = None
    for seed in map(int, options.seeds.split(",")):
        for kind in ("random", "neighbour"):
            name = f"{'/'.join(Path(options.data).parts[-2:])}, {kind}, seed {seed}"
            if name not in results:
                if vectors is None:
                    vectors = FrozenEncoder("all-MiniLM-L6-v2").vectors(list(table.text), options.memory)
                results[name] = judged(vectors, *turned_labels(vectors, own, kind, seed))
                RESULTS.write_text(json.dumps(results, indent=2) + "\n")
            print(name, {key: round(value, 3) for key, value in results[name].items()}, flush=True)


if __name__ == "__main__":
    main()
