"""Write the embedded `sample` data set: sentences of the seven SNIPS intents, made from templates.

    python scripts/make_sample.py            rewrites train.csv, validation.csv and test.csv
    python scripts/make_sample.py --check    exits 1 when the committed files differ from what would be written

The templates and the slot values were written for this project and stand in sample_templates.toml. Every one of them
serves one split only, so the test sentences are built from templates and names that training has never seen; only the
lists named in `shared` (numbers and a few function words) serve all splits. The output depends on nothing but that
file: each split and intent has its own seeded random generator.
"""

import argparse
import csv
import io
import random
import re
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "sample_templates.toml"
TARGET = HERE.parent / "intent_bert" / "data" / "shipped" / "sample"

SIZES = {"train": 400, "validation": 60, "test": 60}  # sentences per intent
SPLITS = ("train",) * 6 + ("validation", "test")  # the split of the values number 1 to 8 of a list, then over again

ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")
BEFORE_VOWEL = re.compile(r"\b(a)(?= (?!one\b|uni|us|eu)[aeiou])", re.IGNORECASE)
TWO_SCALES = re.compile(r"out of .*out of", re.IGNORECASE)  # "3 out of 5 out of 6": a pattern met another one
QUESTION = re.compile(
    r"(what|when|where|which|who|how|is|are|am|will|does|do|has|can|could|would|may|should)\b", re.IGNORECASE
)

Slots = dict[str, list[str]]
Row = tuple[str, str]


def load() -> dict:
    """Read the templates, the slot values and the exempt lists."""
    return tomllib.loads(SOURCE.read_text(encoding="utf-8"))


def part(values: list[str], split: str) -> list[str]:
    """Return the values of a list that belong to a split."""
    return [value for number, value in enumerate(values) if SPLITS[number % len(SPLITS)] == split]


def slots_of(data: dict, split: str) -> Slots:
    """Return the slot values that a split may use."""
    return {name: v if name in data["shared"] else part(v, split) for name, v in data["slots"].items()}


def normalise(text: str) -> str:
    """Reduce a sentence to its letters and digits, so that equal sentences compare equal."""
    plain = "".join(c if c.isalnum() or c.isspace() else "" for c in unicodedata.normalize("NFKC", text).casefold())
    return " ".join(plain.split())


def fill(template: str, slots: Slots, rng: random.Random) -> str:
    """Choose among the alternatives of a template, fill its slots until none is left, and mend a to an."""
    text = ALTERNATIVES.sub(lambda found: rng.choice(found[1].split("|")), template)
    while found := SLOT.search(text):
        values = slots[found[1]]
        weights = [3 if "{" in value else 1 for value in values]  # a pattern stands for many values
        value = ALTERNATIVES.sub(lambda one: rng.choice(one[1].split("|")), rng.choices(values, weights)[0])
        text = text[: found.start()] + value + text[found.end() :]
    return BEFORE_VOWEL.sub(r"\1n", text)


def misspell(text: str, rng: random.Random) -> str:
    """Drop, double or swap letters of one longer word, as a hasty hand does."""
    places = [word.start() for word in re.finditer(r"[^\W\d_]{5,}", text)]
    if not places:
        return text
    at = rng.choice(places) + rng.randint(1, 2)
    kind = rng.choice(("drop", "double", "swap"))
    middle = {"drop": "", "double": text[at] * 2, "swap": text[at + 1] + text[at]}[kind]
    return text[:at] + middle + text[at + (2 if kind == "swap" else 1) :]


def style(text: str, rng: random.Random) -> str:
    """Give a sentence the casing, the final sign and the small slips of a typing user."""
    casing = rng.random()
    if casing < 0.25:
        text = text.lower()
    elif casing < 0.30:
        text = " ".join(word[:1].upper() + word[1:] for word in text.split(" "))
    elif casing < 0.70:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.08:
        text = text.replace("'", "")
    if rng.random() < 0.06:
        text = misspell(text, rng)
    question = QUESTION.match(text) is not None
    if text[-1] not in ".?!" and rng.random() < (0.4 if question else 0.25):
        text += "?" if question else "."
    return text


def sentences(templates: list[str], slots: Slots, rng: random.Random) -> Iterator[str]:
    """Yield sentences without end, using every template equally often."""
    while True:
        for template in rng.sample(templates, len(templates)):
            text = fill(template, slots, rng)
            if not TWO_SCALES.search(text):
                yield style(text, rng)


def generate() -> dict[str, list[Row]]:
    """Return the rows (text, intent) of every split, free of duplicates."""
    data = load()
    seen = {normalise(text) for text in data["excluded"]}
    splits: dict[str, list[Row]] = {}
    for split, size in SIZES.items():
        slots, rows = slots_of(data, split), []
        for intent, templates in data["templates"].items():
            source = sentences(part(templates, split), slots, random.Random(f"{split}/{intent}"))
            texts: list[str] = []
            while len(texts) < size:
                text = next(source)
                if normalise(text) not in seen:
                    seen.add(normalise(text))
                    texts.append(text)
            rows += [(text, intent) for text in texts]
        random.Random(f"{split}/order").shuffle(rows)
        splits[split] = rows
    return splits


def as_csv(rows: list[Row]) -> str:
    """Return the text of a CSV file with the columns text and intent."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("text", "intent"))
    writer.writerows(rows)
    return buffer.getvalue()


def main() -> int:
    """Write the three files, or with --check compare them with what would be written."""
    parser = argparse.ArgumentParser(description="Write the embedded sample data set.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    check = parser.parse_args().check
    for split, rows in generate().items():
        path, content = TARGET / f"{split}.csv", as_csv(rows).encode("utf-8")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        elif not path.is_file() or path.read_bytes() != content:
            print(f"{path.name} is not what the generator writes: run python scripts/make_sample.py", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
