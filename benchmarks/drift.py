"""How often ``drift`` raises an alarm: on sentences as usual, on strange ones, and where a fifth is strange.

    .venv/bin/intent-bert train --data snips --output-dir runs/snips
    .venv/bin/python benchmarks/drift.py runs/snips --usual snips --strange banking77

Three kinds of tables are drawn 100 times each: halves of the usual test table, 500 rows of the strange one, and 500
rows of both, a fifth of them strange. Each is judged as ``intent-bert drift`` judges a table. ``--held-out`` draws from
the validation rows of the model's own training in place of the test table: one half is what is usual, the other half is
judged. That is how the least effects were chosen; the test table was looked at once, afterwards.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "drift.json"
ROWS, STRANGE, DRAWINGS, MOST_STRANGE = 500, 0.2, 100, 1500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model folder with a sketch")
    parser.add_argument("--usual", default="snips", help="the data set that the model was trained on")
    parser.add_argument("--strange", default="banking77", help="another one")
    parser.add_argument("--held-out", action="store_true", help="draw from validation rows, not from the test table")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}
    name = f"{options.usual}, strange {options.strange}, {'held-out rows' if options.held_out else 'test'}"
    found[name] = alarms(options.model, options.usual, options.strange, options.held_out)
    options.results.parent.mkdir(exist_ok=True)
    options.results.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({name: found[name]}, indent=1))


def alarms(model: str, usual: str, strange: str, held_out: bool) -> dict[str, Any]:
    """Of ``DRAWINGS`` drawings how many raise an alarm, and which tests raise it."""
    from intent_bert import IntentPredictor, datasets
    from intent_bert.config import TEXT
    from intent_bert.model.folder import ModelFolder
    from intent_bert.model.sketch import Sketch, observed, token_kinds

    predictor = IntentPredictor.load(model)
    kinds = token_kinds(predictor.tokenizer.vocab_lines)

    def look_at(texts: list[str]) -> Any:
        ids, outputs = predictor.ids_and_outputs(texts)
        return observed(ids, outputs, predictor.decision, kinds)

    def some(each: Any, rows: np.ndarray) -> Any:
        return type(each)(*(None if part is None else part[rows] for part in each))

    def both(first: Any, second: Any) -> Any:
        pairs = zip(first, second, strict=True)
        return type(first)(*(None if one is None else np.concatenate([one, two]) for one, two in pairs))

    sketch = ModelFolder(model).sketch
    if held_out:
        every = look_at(held_out_texts(usual, ModelFolder(model).config["settings"]))
        order = np.random.default_rng(0).permutation(len(every.numbers))
        half = len(order) // 2
        sketch, known = Sketch.of(some(every, order[:half]), len(predictor.classes)), some(every, order[half:])
    else:
        known = look_at(list(datasets.load(usual).test[TEXT]))
    assert sketch is not None
    strange_texts = list(datasets.load(strange).test[TEXT])
    some_strange = np.random.default_rng(0).permutation(len(strange_texts))[:MOST_STRANGE]
    other = look_at([strange_texts[row] for row in some_strange])
    classes = [str(each) for each in predictor.classes]
    number = round(STRANGE * ROWS)
    found: dict[str, Any] = {"usual rows": len(known.numbers), "sketch rows": sketch.rows}
    kinds_of_tables: dict[str, Any] = {
        "usual, halves": lambda rng: some(known, rng.permutation(len(known.numbers))[: len(known.numbers) // 2]),
        "strange": lambda rng: some(other, rng.permutation(len(other.numbers))[:ROWS]),
        "a fifth strange": lambda rng: both(
            some(known, rng.permutation(len(known.numbers))[: ROWS - number]),
            some(other, rng.permutation(len(other.numbers))[:number]),
        ),
    }
    for name, drawn in kinds_of_tables.items():
        found[name] = counted(sketch, drawn, classes)
    return found


def counted(sketch: Any, drawn: Any, classes: list[str]) -> dict[str, Any]:
    """How many drawings raise an alarm, and of each test how many, with the mean effect."""
    from intent_bert.workbench.drift import ALL, FALSE_ALARMS, compared

    drifts = [
        compared(sketch, {ALL: sketch.profile(drawn(np.random.default_rng(seed)))}, classes, FALSE_ALARMS, seed)
        for seed in range(DRAWINGS)
    ]
    tests = {
        what: {
            "alarms": int(sum(drift.tests.set_index("what")["drifted"][what] for drift in drifts)),
            "significant": int(
                sum(drift.tests.set_index("what")["adjusted_p_value"][what] <= FALSE_ALARMS for drift in drifts)
            ),
            "effect": round(float(np.mean([drift.tests.set_index("what")["effect"][what] for drift in drifts])), 4),
        }
        for what in drifts[0].tests["what"]
    }
    return {"alarms": sum(drift.found for drift in drifts), "of": DRAWINGS, "tests": tests}


def held_out_texts(data: str, settings: dict[str, Any]) -> list[str]:
    """The rows that a run with these settings held out of its own table."""
    from intent_bert import TrainingConfig, datasets
    from intent_bert.config import TEXT
    from intent_bert.data.splits import with_validation

    config = TrainingConfig(
        data=data, seed=settings["seed"], validation_split=settings["validation_split"], output_dir="-"
    )
    return list(with_validation({"train": datasets.load(data).train}, config)["validation"][TEXT])


if __name__ == "__main__":
    main()
