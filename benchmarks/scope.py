"""How well a model knows what it does not know: whole intents left out of training, in turn, are the unknown.

    .venv/bin/python benchmarks/scope.py --data clinc150 --known 0.75 --seeds 0,1,2

For each seed a share of the intents is drawn and a model is trained on their training sentences alone, as
``intent-bert train`` does it. A tenth of their sentences takes no part in training: these are the known ones, the
sentences of the other intents are the unknown ones. The table has AUROC and FPR95 of each part of the score, of all
together, of all but one, and of the largest probability. Test tables are never read. What was found goes to
benchmarks/results/scope.json, where a drawing that is there already is not computed again.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "scope.json"
PARTS = ("vector", "layers", "energy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="clinc150", help="a data set, or a folder")
    parser.add_argument("--known", type=float, default=0.75, help="share of the intents that are known")
    parser.add_argument("--seeds", default="0", help="drawings, separated by commas")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}
    for seed in map(int, options.seeds.split(",")):
        name = f"{options.data} {options.known:g} {seed}"
        if name not in found:
            found[name] = drawing(options.data, options.known, seed)
            options.results.write_text(json.dumps(found, indent=1) + "\n")
        print(f"\n{name}")
        for score, metrics in found[name].items():
            print(f"  {score:<18} AUROC {metrics['auroc']:.4f}   FPR95 {metrics['fpr95']:.1%}")


def drawing(data: str, known: float, seed: int) -> dict[str, dict[str, float]]:
    """The metrics of each score for one drawing of intents."""
    from intent_bert import TrainingConfig, datasets
    from intent_bert.config import INTENT
    from intent_bert.data.splits import split_off, with_validation
    from intent_bert.evaluation.out_of_scope import ranking_metrics
    from intent_bert.model.decision import softmax
    from intent_bert.model.keras_engine import KerasEngine
    from intent_bert.training.deciding import decide
    from intent_bert.training.fit import fit, trained_artifact
    from intent_bert.training.prepare import Sentences, prepare

    table = datasets.load(data).train.drop_duplicates("text")
    intents = np.random.default_rng(100 + seed).permutation(sorted(set(table[INTENT])))
    chosen = table[INTENT].isin(set(intents[: max(2, round(known * len(intents)))]))
    rest, judged = split_off(table[chosen], 0.1, seed + 1)
    config = TrainingConfig(train_file="-", seed=seed)
    prepared = prepare(config, with_validation({"train": rest}, config))
    artifact = trained_artifact(prepared, fit(prepared, verbose=0))
    engine = KerasEngine(artifact.model)
    decide(artifact, prepared)
    scope = artifact.decision.scope
    assert scope is not None
    outputs = [
        engine.outputs(Sentences.of(each, prepared.tokenizer, artifact.max_seq_len).ids)
        for each in (judged, table[~chosen])
    ]
    is_known = np.repeat([True, False], [len(each.logits) for each in outputs])
    parts = np.concatenate([scope.parts(each, each.logits.argmax(axis=1)) for each in outputs])
    scores = {"together": scope.fused(parts)}
    scores |= {part: parts[:, column] for column, part in enumerate(PARTS)}
    for column, part in enumerate(PARTS):
        weights = tuple(0.0 if place == column else weight for place, weight in enumerate(scope.weights))
        scores[f"without {part}"] = replace(scope, weights=weights).fused(parts)
    scores["max probability"] = np.concatenate([softmax(each.logits).max(axis=1) for each in outputs])
    return {name: ranking_metrics(each, is_known) for name, each in scores.items()}


if __name__ == "__main__":
    main()
