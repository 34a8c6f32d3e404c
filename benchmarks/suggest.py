"""What ``suggest`` is worth: labels that it chose against as many, and half as many more, drawn at random.

    .venv/bin/python benchmarks/suggest.py --data banking77

From five sentences an intent, five rounds choose 200 sentences each out of the rest of the training table, and their
labels are uncovered. The learner is a logistic regression on the vectors of the frozen default checkpoint, which is
retrained in each round: a fine-tuned model each round would take a day. What chooses is the function that
``intent-bert suggest`` chooses with. The mean accuracy on the test table of three drawings goes to
benchmarks/results/suggest.json, beside that of 1,000 and of 1,500 sentences drawn at random. The method was chosen
with a quarter of the training table in place of the test table (``--held-out``).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "suggest.json"
START, ROUNDS, NUMBER, MORE = 5, 5, 200, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="banking77", help="a data set, or a folder")
    parser.add_argument("--drawings", type=int, default=3)
    parser.add_argument("--held-out", action="store_true", help="judge on a quarter of the training table")
    parser.add_argument("--memory", help="a folder that keeps the vectors for later runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}
    name = f"{options.data}, {'a quarter of train' if options.held_out else 'test'}"
    of_this = found.setdefault(name, {})
    train, labels, test, test_labels = vectors_of(options.data, options.held_out, options.memory)
    for seed in range(options.drawings):
        if str(seed) not in of_this:
            of_this[str(seed)] = drawing(train, labels, test, test_labels, seed)
            options.results.parent.mkdir(exist_ok=True)
            options.results.write_text(json.dumps(found, indent=1) + "\n")
        print(seed, json.dumps(of_this[str(seed)]))
    for way in ("suggested", "random", "more at random"):
        print(f"{way:<15} {np.mean([each[way][-1] for each in of_this.values()]):.4f}")


def vectors_of(data: str, held_out: bool, memory: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of length 1 and labels, to choose from and to judge on."""
    from intent_bert import BertTransformer, datasets
    from intent_bert.config import INTENT, TEXT
    from intent_bert.data.splits import split_off

    splits = datasets.load(data)
    tables = split_off(splits.train, 0.25, 0) if held_out else (splits.train, splits.test)
    encoder = BertTransformer(normalize=True, memory=memory, verbose=1)
    train, test = (encoder.transform(list(each[TEXT])) for each in tables)
    labels, test_labels = (each[INTENT].to_numpy().astype(str) for each in tables)
    return train, labels, test, test_labels


def drawing(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray, seed: int
) -> dict[str, list[float]]:
    """The accuracy after each round of suggestions, and with random sentences in their place."""
    from intent_bert.workbench.suggestions import choose, margins

    rng = np.random.default_rng(seed)
    start = np.concatenate([rng.permutation(np.flatnonzero(labels == each))[:START] for each in np.unique(labels)])
    others = rng.permutation(np.setdiff1d(np.arange(len(labels)), start))

    def learnt(rows: np.ndarray) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=30, max_iter=60).fit(train[rows], labels[rows])

    def accuracy(learner: Any) -> float:
        return round(float(learner.score(test, test_labels)), 5)

    rows, learner = start, learnt(start)
    suggested = [accuracy(learner)]
    for turn in range(ROUNDS):
        rest = np.setdiff1d(np.arange(len(labels)), rows)
        chosen = choose(margins(learner.predict_proba(train[rest])), train[rest], NUMBER, turn)
        rows = np.concatenate([rows, rest[chosen]])
        learner = learnt(rows)
        suggested.append(accuracy(learner))
    number = ROUNDS * NUMBER
    ways = {"random": number, "more at random": round(MORE * number)}
    at_random = {way: [accuracy(learnt(np.concatenate([start, others[:many]])))] for way, many in ways.items()}
    return {"suggested": suggested, **at_random}


if __name__ == "__main__":
    main()
