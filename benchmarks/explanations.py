"""Do the words that an explanation names first carry the prediction? They are left out, and so are random ones.

    .venv/bin/python benchmarks/explanations.py --models runs/snips --tables snips/test.csv

For 500 sentences of a table, drawn by a seed among those of two words or more: by how much the probability of the
predicted intent falls when the word named first is left out, and when one drawn at random is (the mean over all words
of the sentence is what a drawing gives on average). The first word alone was chosen for its drop; that three of them
together count as well is not sure before it is measured: the first three named, and three at random, left out at once,
and how many predictions change. Wins are sentences in which the named words count for more than the drawn ones.
What was found goes to benchmarks/results/explanations.json, where a model and table that are there already are not
computed again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "explanations.json"
TOGETHER = 3  # words that are left out at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", required=True, help="model folders, separated by commas")
    parser.add_argument("--tables", required=True, help="a table for each")
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}
    for model, table in zip(options.models.split(","), options.tables.split(","), strict=True):
        name = f"{Path(table).parent.name}/{Path(table).name} {options.sentences} {options.seed}"
        if name not in found:
            found[name] = measured(model, table, options.sentences, options.seed)
            options.results.write_text(json.dumps(found, indent=1) + "\n")
        print(name, *(f"  {key:<34} {value:.4f}" for key, value in found[name].items()), sep="\n")


def measured(model: str, table: str, sentences: int, seed: int) -> dict[str, float]:
    """The mean drops and shares for one model and table."""
    from intent_bert import IntentPredictor, read_table
    from intent_bert.inference.explanation import words_of

    rng, predictor = np.random.default_rng(seed), IntentPredictor.load(model)
    texts = [text for text in read_table(table)["text"] if len(words_of(text)) > 1]
    texts = [texts[place] for place in rng.permutation(len(texts))[:sentences]]
    explained = [each for each in predictor.explain_all(texts) if each.intents]
    spans = [words_of(each.text) for each in explained]
    drawn = [rng.permutation(len(of))[:TOGETHER] for of in spans]
    named = [[word.start for word in each.words[:TOGETHER]] for each in explained]
    without = {
        "named": [left_out(each.text, of, starts) for each, of, starts in zip(explained, spans, named, strict=True)],
        "random": [
            left_out(each.text, of, [of[place][0] for place in places])
            for each, of, places in zip(explained, spans, drawn, strict=True)
        ],
    }
    before = np.array([each.intents[0].confidence for each in explained])
    columns = [predictor.classes.index(each.intents[0].intent) for each in explained]
    after = {kind: predictor.predict_proba(shorter) for kind, shorter in without.items()}
    fall = {kind: before - rows[np.arange(len(rows)), columns] for kind, rows in after.items()}
    changed = {kind: float(np.mean(rows.argmax(axis=1) != columns)) for kind, rows in after.items()}
    drop_at = [{word.start: word.drop for word in each.words} for each in explained]
    first = np.array([each.words[0].drop for each in explained])
    any_word = np.array([drops[of[places[0]][0]] for drops, of, places in zip(drop_at, spans, drawn, strict=True)])
    return {
        "sentences": len(explained),
        "first: drop": float(first.mean()),
        "a random word: drop": float(any_word.mean()),
        "all words: mean drop": float(np.mean([np.mean(list(drops.values())) for drops in drop_at])),
        "first: wins": float(np.mean(first > any_word)),
        "first: draws (the same word)": float(np.mean(first == any_word)),
        "first three: drop": float(fall["named"].mean()),
        "three random words: drop": float(fall["random"].mean()),
        "first three: wins": float(np.mean(fall["named"] > fall["random"])),
        "first three: prediction changes": changed["named"],
        "three random: prediction changes": changed["random"],
    }


def left_out(text: str, spans: list[tuple[int, int]], starts: list[int]) -> str:
    """The text without the words that begin there."""
    for start, end in sorted((span for span in spans if span[0] in starts), reverse=True):
        text = text[:start] + text[end:]
    return text


if __name__ == "__main__":
    main()
