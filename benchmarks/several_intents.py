"""How well a model that learnt from sentences with one intent finds several in one: the judge of ``--mix``.

    python benchmarks/several_intents.py glue TABLE OUTPUT.csv      sentences with one, two or three intents
    python benchmarks/several_intents.py judge MODEL_DIR TABLE      subset accuracy on such sentences, as JSON
    python benchmarks/several_intents.py imbalanced DATA_DIR OUTPUT_DIR     a stand-in for ATIS, made of BANKING77

The sentences of a table are glued in ways that ``--mix`` has not: none of the joints below is among its own (a test
compares them). Of the glued sentences 30 % hold one intent, 50 % two and 20 % three, all different, as in the
published sets MixSNIPS and MixATIS; the intents of a row are drawn as they stand in the table. The stand-in has 16
intents of the sizes that those of ATIS have, three quarters of the rows in one of them: each is one of BANKING77's, or
several under one name where one has too few rows.
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
SIZES = (3309, 385, 230, 139, 130, 70, 45, 41, 18, 17, 17, 15, 15, 12, 6, 5)  # of the intents of ATIS, about
TEST_SHARE = 0.2  # of these sizes
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


def imbalanced(data_dir: Path) -> "dict[str, list[tuple[str, str]]]":
    """Train and test rows of BANKING77 as 16 intents of the sizes of ATIS."""
    from intent_bert import read_table

    tables = {name: read_table(data_dir / f"{name}.csv") for name in ("train", "test")}
    left = np.random.default_rng(0).permutation(sorted(set(tables["train"]["intent"]))).tolist()
    rows: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for number, size in enumerate(SIZES, start=1):
        merged: list[str] = []
        while not merged or tables["train"]["intent"].isin(merged).sum() < size:
            merged.append(left.pop())
        for name, wanted in (("train", size), ("test", max(1, round(TEST_SHARE * size)))):
            of_intent = tables[name][tables[name]["intent"].isin(merged)].sample(frac=1, random_state=0)
            rows[name] += [(text, f"intent {number}") for text in of_intent["text"][:wanted]]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("glue", "judge", "imbalanced"))
    parser.add_argument("first", metavar="TABLE|MODEL_DIR|DATA_DIR")
    parser.add_argument("second", metavar="OUTPUT|TABLE|OUTPUT_DIR")
    parser.add_argument("--number", type=int, default=1000, help="of glued sentences")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from intent_bert import read_table
    from intent_bert.files.tables_out import write_csv

    if options.what == "imbalanced":
        Path(options.second).mkdir(parents=True)
        for name, rows in imbalanced(Path(options.first)).items():
            write_csv(Path(options.second, f"{name}.csv"), ("text", "intent"), rows)
        return
    table = read_table(options.first if options.what == "glue" else options.second)
    glued_rows = glued(list(table["text"]), list(table["intent"]), options.number, options.seed)
    if options.what == "glue":
        write_csv(options.second, ("text", "intent"), ((text, "|".join(intents)) for text, intents in glued_rows))
    else:
        print(json.dumps(judge(options.first, glued_rows), indent=2))


if __name__ == "__main__":
    main()
