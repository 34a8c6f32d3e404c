"""How well a model that learnt from sentences with one intent finds several in one: the judge of ``--mix``.

    python benchmarks/several_intents.py glue TABLE OUTPUT [--number 1000] [--seed 0]     a csv of glued sentences
    python benchmarks/several_intents.py judge MODEL_DIR TABLE [--number 1000] [--seed 0] subset accuracy, as JSON

The sentences of a table are glued in ways that ``--mix`` has not: none of the joints below is among its own (a test
compares them). Of the glued sentences 30 % hold one intent, 50 % two and 20 % three, all different, as in the published
sets MixSNIPS and MixATIS; the intents of a row are drawn as they stand in the table.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

JOINTS = (
    " while you're at it ", ", while you are at it, ", ". one more thing: ", " in addition ", ". In addition, ",
    " and at the same time ", " followed by ", ". oh and ", ". by the way, ", " by the way ", ". Moreover, ",
    " along with that ", " additionally ", ". Afterwards ", " afterwards ", " once you've done that, ", ", meanwhile ",
    ". Apart from that, ", " subsequently ", " — ", " + ", " | ", "\n\n", ".. ", " and while i wait ",
    ", not to forget ",
)  # fmt: skip
SHARES = (0.3, 0.5, 0.2)  # of sentences with one, two and three intents


def glued(texts: Sequence[str], intents: Sequence[str], number: int, seed: int = 0) -> list[tuple[str, list[str]]]:
    """So many sentences, each with its intents."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        wanted = int(rng.choice(3, p=SHARES)) + 1
        drawn: dict[str, str] = {}
        while len(drawn) < wanted:
            row = int(rng.integers(len(texts)))
            drawn.setdefault(intents[row], texts[row])
        text, *others = drawn.values()
        for other in others:
            text = text.rstrip(" .?!") + JOINTS[int(rng.integers(len(JOINTS)))] + other
        rows.append((text.lower() if rng.random() < 0.5 else text, sorted(drawn)))
    return rows


def judge(model_dir: str, rows: Sequence[tuple[str, list[str]]]) -> dict[str, float]:
    """The subset accuracy of a model on glued sentences, on all of them and by how many intents they have."""
    from intent_bert import IntentPredictor

    found = IntentPredictor.load(model_dir).predict_intents([text for text, _ in rows])
    expected = [set(intents) for _, intents in rows]
    right = np.array(
        [{str(each.intent) for each in one} == labels for one, labels in zip(found, expected, strict=True)]
    )
    numbers = np.array([len(labels) for labels in expected])
    result = {"rows": len(rows), "subset_accuracy": float(right.mean())}
    return result | {f"subset_accuracy_of_{n}": float(right[numbers == n].mean()) for n in np.unique(numbers)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Glue sentences, and judge a multi-label model on them.")
    parser.add_argument("what", choices=("glue", "judge"))
    parser.add_argument("first", metavar="TABLE|MODEL_DIR")
    parser.add_argument("second", metavar="OUTPUT|TABLE")
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from intent_bert import read_table
    from intent_bert.files.tables_out import write_csv

    table = read_table(options.first if options.what == "glue" else options.second)
    rows = glued(list(table["text"]), list(table["intent"]), options.number, options.seed)
    if options.what == "glue":
        write_csv(Path(options.second), ("text", "intent"), ((text, "|".join(intents)) for text, intents in rows))
    else:
        print(json.dumps(judge(options.first, rows), indent=2))


if __name__ == "__main__":
    main()
