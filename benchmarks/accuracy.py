"""How accurate each recipe is, and what it costs: recipes x seeds x data sets, on held-out training sentences.

    .venv/bin/python benchmarks/accuracy.py --data banking77 --recipes default,card --seeds 0,1,2
    .venv/bin/python benchmarks/accuracy.py --data banking77 --recipes few-shot,default --shots 10 --seeds 0,1,2
    .venv/bin/python benchmarks/accuracy.py --data clinc150 --recipes default --seeds 0,1,2 --test    # once, at the end

A fold is a fifth of the training sentences, of every intent its share; a model learns the rest and is judged on it.
``--shots N`` leaves N sentences of each intent, drawn anew for each seed. ``--test`` judges on the test table instead,
a model of all training sentences, as ``intent-bert train`` makes it. Of the data set sample the judge is SNIPS.

Each run goes to benchmarks/results/accuracy.json when it is done; one that is there already is not run again. The
table that is printed has the mean over the seeds, and the difference from the first recipe, paired by sentence and
seed, with a 95 % interval (bootstrap over sentences). ``--plot FILE`` draws it.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "accuracy.json"
RECIPES: dict[str, dict[str, Any]] = {  # those of the package, and what was tried beside them
    "default": {},
    "accurate": {"recipe": "accurate"},
    "few-shot": {"recipe": "few-shot"},
    "tutorial": {"recipe": "tutorial"},
    "card": {"pooling": "cls", "head": "dense", "dropout": 0.5},  # create_model's own head
    "cls-cosine": {"pooling": "cls"},
    "mean-linear": {"head": "linear"},
    "slow-head": {"head_learning_rate_multiplier": 1.0},
    "smoothing": {"label_smoothing": 0.1},
    "half-rate": {"learning_rate": 5e-5},
    "double-rate": {"learning_rate": 2e-4},
    "six-epochs": {"epochs": 6},
    "models-3": {"models": 3},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="banking77", help="data sets, separated by commas")
    parser.add_argument("--recipes", default="default,card", help=f"some of {', '.join(RECIPES)}")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--shots", default="all", help="sentences of each intent, or all")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--test", action="store_true", help="judge on the test table")
    parser.add_argument("--unknown", type=Path, help="with --test, a table of sentences that no intent fits")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plot", type=Path, help="draw the table here")
    options = parser.parse_args()
    rows = []
    for data in options.data.split(","):
        place = f"{data} {'test' if options.test else f'fold {options.fold}'} {options.shots}"
        runs = {recipe: runs_of(options, data, place, recipe) for recipe in options.recipes.split(",")}
        rows += print_table(place, runs)
    if options.plot:
        draw(rows, options.plot)


def runs_of(options: argparse.Namespace, data: str, place: str, recipe: str) -> list[dict[str, Any]]:
    """The runs of a recipe, one a seed; those that are missing are done and kept."""
    found = []
    for seed in map(int, options.seeds.split(",")):
        kept = json.loads(options.results.read_text()) if options.results.exists() else {}
        name = f"{place} {recipe} {seed}"
        if name not in kept:
            kept[name] = run(data, RECIPES[recipe], seed, options)
            options.results.write_text(json.dumps(dict(sorted(kept.items())), indent=0) + "\n")
        print(f"{name:<44} {kept[name]['accuracy']:.2f} %  {kept[name]['seconds']:.0f} s", flush=True)
        found.append(kept[name])
    return found


def tables(data: str, seed: int, options: argparse.Namespace) -> tuple[Any, Any]:
    """What a model learns, and what it is judged on."""
    from intent_bert import datasets
    from intent_bert.config import INTENT, TEXT
    from intent_bert.data.splits import split_off

    loaded = datasets.load(data)
    train = loaded.train.drop_duplicates(TEXT)
    if options.test:
        judged = datasets.load("snips").test if data == "sample" else loaded.test
    elif data == "sample":
        judged = datasets.load("snips").train.sample(4000, random_state=options.fold)
    else:
        train, judged = split_off(train.reset_index(drop=True), 0.2, 1000 + options.fold)
    if options.shots != "all":
        train = train.sample(frac=1, random_state=seed).groupby(INTENT).head(int(options.shots))
    return train, judged


def run(data: str, settings: dict[str, Any], seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train once and judge: accuracy in percent, which rows are wrong, log loss, calibration error, seconds."""
    from intent_bert import TrainingConfig
    from intent_bert.data.splits import with_validation
    from intent_bert.evaluation.calibration import Reliability
    from intent_bert.model.keras_engine import KerasEngine
    from intent_bert.training.deciding import decide
    from intent_bert.training.fit import fit, trained_artifact
    from intent_bert.training.prepare import Sentences, prepare

    train, judged = tables(data, seed, options)
    config = TrainingConfig(train_file="-", seed=seed, **settings)
    given = {"train": train}
    if options.test:  # as train does it: a part of the table is held out to calibrate on
        given = with_validation(given, config)
    started = time.perf_counter()
    prepared = prepare(config, given)
    artifact = trained_artifact(prepared, fit(prepared, verbose=0))
    seconds = time.perf_counter() - started
    engine = KerasEngine(artifact.model)
    if options.test:
        decide(artifact, prepared)
    decision = artifact.decision
    sentences = Sentences.of(judged, prepared.tokenizer, artifact.max_seq_len)
    labels = sentences.numbers(prepared.classes)
    probabilities = decision.probabilities(engine.logits(sentences.ids))
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    known = labels >= 0
    reliability = Reliability.of(probabilities[known], labels[known]).metrics()
    found = {
        "accuracy": round(100 * (1 - len(wrong) / len(labels)), 3),
        "rows": len(labels),
        "learnt": len(prepared.splits["train"].ids),
        "log_loss": round(reliability["log_loss"], 4),
        "ece": round(reliability["ece"], 4),
        "seconds": round(seconds, 1),
        "wrong": wrong.tolist(),
    }
    if options.unknown:
        found |= beside_unknown(engine, decision, prepared, sentences, options.unknown)
    return found


def beside_unknown(engine: Any, decision: Any, prepared: Any, known: Any, file: Path) -> dict[str, float]:
    """How well the decision, and the largest probability alone, tell the judged sentences from unknown ones."""
    from intent_bert import read_table
    from intent_bert.evaluation.out_of_scope import ranking_metrics
    from intent_bert.model.decision import is_wordless
    from intent_bert.training.prepare import Sentences

    unknown = Sentences.of(read_table(file), prepared.tokenizer, prepared.config.max_seq_len)
    both = [decision.predictions(engine.outputs(each.ids), is_wordless(each.ids)) for each in (known, unknown)]
    is_known = np.repeat([True, False], [len(each.scores) for each in both])
    scores = {
        "scope": np.concatenate([each.scores for each in both]),
        "max_probability": np.concatenate([each.probabilities.max(axis=1) for each in both]),
    }
    ranked = {name: ranking_metrics(each, is_known) for name, each in scores.items()}
    return {f"{name}_{metric}": round(ranked[name][metric], 4) for name in ranked for metric in ("auroc", "fpr95")}


def print_table(place: str, runs: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Means over the seeds, and the paired differences from the first recipe; gives them as rows."""
    first = next(iter(runs.values()))
    rows = []
    print(f"\n{place}\n| recipe | accuracy | difference | log loss | seconds |\n|---|---|---|---|---|")
    for recipe, found in runs.items():
        difference, low, high = paired_difference(found, first)
        mean = {key: float(np.mean([each[key] for each in found])) for key in ("accuracy", "log_loss", "seconds")}
        rows.append({"place": place, "recipe": recipe, "difference": (difference, low, high), **mean})
        shown = "" if found is first else f"{difference:+.2f} ({low:+.2f} to {high:+.2f})"
        print(f"| {recipe} | {mean['accuracy']:.2f} % | {shown} | {mean['log_loss']:.4f} | {mean['seconds']:.0f} |")
    return rows


def paired_difference(found: list[dict[str, Any]], first: list[dict[str, Any]]) -> tuple[float, float, float]:
    """In points of accuracy, with a 95 % interval: a bootstrap over the judged sentences, all seeds together."""
    total = np.zeros(found[0]["rows"])
    for ours, theirs in zip(found, first, strict=True):
        total[theirs["wrong"]] += 1
        total[ours["wrong"]] -= 1
    total *= 100 / len(found)
    rng = np.random.default_rng(0)
    means = [total[rng.integers(0, len(total), len(total))].mean() for _ in range(2000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(total.mean()), float(low), float(high)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Each recipe's difference from the first, with its interval."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [row for row in rows if row["difference"] != (0.0, 0.0, 0.0)]
    figure, axes = plt.subplots(figsize=(8, 0.45 * len(shown) + 1.2), layout="constrained")
    for place, row in enumerate(reversed(shown)):
        difference, low, high = row["difference"]
        axes.errorbar(difference, place, xerr=[[difference - low], [high - difference]], fmt="o", capsize=3, color="C0")
    axes.set_yticks(range(len(shown)), [f"{row['recipe']}  ({row['place']})" for row in reversed(shown)])
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_xlabel(f"points of accuracy beside {rows[0]['recipe']!r}, with 95 % intervals")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
