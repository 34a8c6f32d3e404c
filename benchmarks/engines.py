"""The engines of one model beside each other on many sentences: how fast, and how many predictions are others.

    .venv/bin/python benchmarks/engines.py runs/model                       # 10,000 sentences, two to five minutes
    .venv/bin/python benchmarks/engines.py runs/model --sentences 2000 --engines onnx,openvino

Sentences of SNIPS, CLINC150 and BANKING77 in equal parts, as in the table of peers: whatever the model was trained on,
most of them are foreign to it, and many predictions are close. They go to the engines a part at a time, in turn, so
that a machine that is busy is busy for all of them. A ratio is the median over the parts of float32's time by the
engine's, by the clock and by the processor's seconds. Parts that are in the results already are not computed again.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

from protocol import mixed_sentences  # noqa: E402

from intent_bert import IntentPredictor  # noqa: E402
from intent_bert.files.cache import data_folder  # noqa: E402
from intent_bert.model.decision import Prediction  # noqa: E402

REFERENCE = "onnx"
PART = 1000


def ask(predictor: IntentPredictor, texts: list[str]) -> dict[str, Any]:
    """All that is known of each text, scope and all, and how long it took."""
    clock, processor = time.perf_counter(), time.process_time()
    found = predictor.described(texts, top_k=1)
    seconds, processor_seconds = time.perf_counter() - clock, time.process_time() - processor
    return {"seconds": seconds, "processor_seconds": processor_seconds, "found": found}


def compare(expected: list[Prediction], found: list[Prediction]) -> dict[str, Any]:
    """How many of the predictions, and of the words on scope, are others."""
    pairs = list(zip(expected, found, strict=True))
    same = [(one, other) for one, other in pairs if names_of(one) == names_of(other)]
    return {
        "changed": len(pairs) - len(same),
        "changed_in_scope": sum(one.in_scope != other.in_scope for one, other in pairs),
        "mean_difference": float(
            np.mean([abs(one.answer.confidence - other.answer.confidence) for one, other in same])
        ),
    }


def names_of(prediction: Prediction) -> set[Any]:
    return {intent for intent, _ in prediction.intents}


def measure(predictors: dict[str, IntentPredictor], texts: list[str], turn: int) -> dict[str, Any]:
    """One part of the sentences on each engine, in an order that changes from part to part."""
    names = [*predictors]
    names = names[turn % len(names) :] + names[: turn % len(names)]
    asked = {name: ask(predictors[name], texts) for name in names}
    expected = asked[REFERENCE].pop("found")
    for name in predictors:
        if name != REFERENCE:
            asked[name] |= compare(expected, asked[name].pop("found"))
    return asked


def summary(parts: list[dict[str, Any]], name: str) -> str:
    rows = [(part[REFERENCE], part[name]) for part in parts if name in part]
    clock, processor = (
        np.median([float32[kind] / own[kind] for float32, own in rows]) for kind in ("seconds", "processor_seconds")
    )
    line = f"{name:10} {clock:.2f} times as fast by the clock, {processor:.2f} by the processor's seconds"
    if name == REFERENCE:
        return line
    changed, in_scope = (sum(own[kind] for _, own in rows) for kind in ("changed", "changed_in_scope"))
    return f"{line}; {changed} predictions and {in_scope} in_scope changed"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model_dir")
    parser.add_argument("--sentences", type=int, default=10_000)
    parser.add_argument("--engines", default="onnx,openvino,onnx-int8")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "engines.json")
    options = parser.parse_args()
    names = options.engines.split(",")
    if REFERENCE not in names:
        sys.exit(f"{REFERENCE} must be among the engines: the others are compared with it")
    predictors = {name: IntentPredictor.load(options.model_dir, engine=name) for name in names}
    texts = mixed_sentences(data_folder(), options.sentences)
    results = json.loads(options.output.read_text()) if options.output.is_file() else {}
    fingerprint = predictors[REFERENCE].fingerprint[:12]
    parts = results.setdefault(
        f"{Path(options.model_dir).name} {fingerprint} {options.sentences} {','.join(names)}", []
    )
    for predictor in predictors.values():
        predictor.predict(texts[:200])
    for start in range(len(parts) * PART, len(texts), PART):
        parts.append(measure(predictors, texts[start : start + PART], len(parts)))
        options.output.write_text(json.dumps(results, indent=1) + "\n")
        print(f"{min(start + PART, len(texts)):,} of {len(texts):,}", file=sys.stderr, flush=True)
    for name in names:
        print(summary(parts, name))


if __name__ == "__main__":
    main()
