"""Does ``discover`` find intents that nobody planned? Twenty of CLINC150's are left out of training.

    .venv/bin/python benchmarks/discover.py --data clinc150 --seed 0

Twenty intents are drawn, a model is trained on the others with the default settings, and ``discover`` gets the test
table of all intents: the left-out ones are mixed with the known ones, as in a log. Over the sentences that the model
refuses, known ones that it refuses wrongly among them, the groups are compared with the true intents: adjusted mutual
information, 1 for the same division and 0 for chance. Sentences in no group count as one group. Beside it stands the
same over the left-out sentences alone. ``--validation`` does this on the validation table. The model stays in --work,
and one that is there already is not trained again. What was found goes to benchmarks/results/discover.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "discover.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="clinc150", help="a data set, or a folder")
    parser.add_argument("--left-out", type=int, default=20, metavar="N", help="intents that training does not have")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument("--validation", action="store_true", help="group the validation table, not the test table")
    parser.add_argument("--epochs", type=int, help="of the training (default: as the recipe says)")
    parser.add_argument("--work", type=Path, default=Path("runs/discover"), help="where the model goes")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}
    table = "validation" if options.validation else "test"
    name = f"{options.data} without {options.left_out} intents, drawing {options.seed}, {table}"
    found[name] = judged(options, table)
    options.results.parent.mkdir(exist_ok=True)
    options.results.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({name: found[name]}, indent=1))


def judged(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """Train where need be, discover, and compare the groups with the intents."""
    from sklearn.metrics import adjusted_mutual_info_score

    from intent_bert import datasets, discover
    from intent_bert.config import INTENT

    splits = datasets.load(options.data)
    drawn = np.random.default_rng(options.seed).permutation(sorted(set(splits.train[INTENT])))
    left_out = set(drawn[: options.left_out].tolist())
    model = trained_without(left_out, splits, options)
    table = getattr(splits, name)
    found = discover(model, table, verbose=1)
    intents = table[INTENT].loc[found.sentences["row"]].to_numpy().astype(str)
    groups = found.sentences["group"].to_numpy()
    new = np.isin(intents, list(left_out))
    return {
        "rows": found.rows,
        "left-out rows": int(table[INTENT].isin(left_out).sum()),
        "refused": found.refused,
        "refused, of left-out intents": int(new.sum()),
        "groups": len(found.groups),
        "in no group": found.alone,
        "adjusted mutual information": round(float(adjusted_mutual_info_score(intents, groups)), 4),
        "of left-out intents alone": round(float(adjusted_mutual_info_score(intents[new], groups[new])), 4),
    }


def trained_without(left_out: set[str], splits: Any, options: argparse.Namespace) -> Path:
    """The folder of a model that has never seen these intents."""
    from intent_bert import TrainingConfig, train
    from intent_bert.config import INTENT

    folder: Path = options.work / f"{Path(options.data).name}-{options.left_out}-{options.seed}"
    if (folder / "config.json").exists():
        return folder
    options.work.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in ("train", "validation"):
        table = getattr(splits, name)
        if table is not None:
            path = options.work / f"{folder.name}-{name}.csv"
            table[~table[INTENT].isin(left_out)].to_csv(path, index=False)
            files[f"{name}_file"] = str(path)
    epochs = {} if options.epochs is None else {"epochs": options.epochs}
    train(TrainingConfig(**files, **epochs, output_dir=str(folder), seed=options.seed))
    return folder


if __name__ == "__main__":
    main()
