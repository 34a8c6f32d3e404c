"""Two plain sentences drawn from the metrics of a comparison: which method to take, and what BERT brings."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from intent_bert.evaluation.significance import SIGNIFICANT, mcnemar

Row = dict[Any, Any]
_BRINGS = {"words": "", "frozen": "frozen BERT", "tuned": "fine-tuning"}


def advise(rows: Sequence[Row], right: dict[str, np.ndarray]) -> list[str]:
    """The two sentences.

    Args:
        rows: a comparison's rows of one size: method, family, accuracy, train_seconds, p_holm against the best.
        right: method -> bool (test rows,), whether its prediction is right.
    """
    if not any(row["accuracy"] for row in rows):
        return [
            "No method has a single prediction right.",
            "See whether the test table has the labels of the training table.",
        ]
    return [_which_to_take(rows), _what_bert_brings(rows, right)]


def _which_to_take(rows: Sequence[Row]) -> str:
    best = max(rows, key=lambda row: row["accuracy"])
    said = f"{best['method']} is the most accurate with {best['accuracy']:.1%}"
    if len(rows) == 1:
        return f"{said}; there is nothing to set it against: compare it with another method."
    faster = [row for row in rows if row is not best and row["train_seconds"] < best["train_seconds"]]
    equals = [row for row in faster if row["p_holm"] >= SIGNIFICANT]
    if not faster:
        return f"{said} and the fastest to train: take it."
    if not equals:
        return f"{said}, and every method that trains faster is worse by more than chance explains: take it."
    cheapest = min(equals, key=lambda row: row["train_seconds"])
    return (
        f"{said}, but {cheapest['method']} ({cheapest['accuracy']:.1%}) can't be told from it on these sentences and "
        f"trains in {_seconds(cheapest['train_seconds'])} instead of {_seconds(best['train_seconds'])}: take that, "
        "unless you can test on more sentences."
    )


def _what_bert_brings(rows: Sequence[Row], right: dict[str, np.ndarray]) -> str:
    """The best method without BERT, the best with frozen BERT and the best fine-tuned, each against the one before."""
    best: dict[str, str] = {}
    for family in _BRINGS:
        part = [row for row in rows if row["family"] == family]
        if part:
            best[family] = max(part, key=lambda row: row["accuracy"])["method"]
    if not {"frozen", "tuned"} & set(best):
        return "No method with BERT was run: add bert-mean-logreg and fine-tuning to learn what BERT would bring."
    if len(best) == 1:
        return f"Without BERT nothing was run to set {next(iter(best.values()))} against: add tfidf-svm."
    steps, methods = [], list(best.items())
    for (_, before), (family, method) in pairwise(methods):
        steps.append(f"{_BRINGS[family]} ({method}) {_change(right[before], right[method])} {before}")
    return f"On these sentences {', and '.join(steps)}."


def _change(before: np.ndarray, after: np.ndarray) -> str:
    points, p = 100 * (after.mean() - before.mean()), mcnemar(before, after)
    if p >= SIGNIFICANT:
        return f"can't be told from chance ({points:+.1f} points, p = {p:.2f}) beside"
    return f"{'adds' if points > 0 else 'loses'} {abs(points):.1f} points {'to' if points > 0 else 'against'}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
