"""Two models answer the same table: what each has right, how sure it is, how fast; what counts as better is not said.

    table --> 256 rows --> OLD and NEW, in turn first --> right or wrong (rows,), counts for each label (L,)

Labels and intents are compared as they are written. A row is right where the intents of the prediction are exactly its
labels. Texts are kept of the rows alone where the two answer differently: else memory does not grow with the table.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.config import INTENT, TEXT
from intent_bert.data.label_sets import all_labels, label_matrix
from intent_bert.model.decision import NO_INTENT, Predictions

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.inference.predictor import IntentPredictor

ROWS = 256  # that both answer before the next
MEASURED, AGAIN, WARMED_BY = 5, 128, 8  # times at least that are taken; sentences of those added, and before the first
ALONE, ALONE_BEFORE = 15, 3  # sentences that are timed one by one, and those before them
MENDED, BROKE, CHANGED = "mended", "broke", "changed"  # what became of a row


@dataclass
class Side:
    """What one model made of the rows; L labels.

    Attributes:
        places: int (C,), of its intents among the labels.
        right: bool (rows,); of a row without an intent (``unknown``) whether it was refused.
        confidence: float32 (rows,), of the prediction, 0 where there is none.
        in_scope: bool (rows,), or empty where the model can't tell.
        predicted, hits: int64 (L,), how often a label was predicted, and how often rightly, in rows that have labels.
        speeds: sentences a second of each chunk.
        alone: seconds for each of some sentences on their own.
    """

    predictor: "IntentPredictor"
    places: np.ndarray
    right: np.ndarray
    confidence: np.ndarray
    in_scope: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray
    speeds: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


@dataclass
class Answers:
    """What both made of a table.

    Attributes:
        names: the L labels: OLD's intents, those that only NEW has, those that only the table has.
        unknown: bool (rows,), which have the label that means none of the intents.
        shared: bool (rows,), whose labels both models know.
        changed: bool (rows,), which both have wrong, in different ways.
        support, mended, broke: int64 (L,), rows that have a label; in which only NEW, only OLD has found it.
        changes: row, text, labels, kind, OLD's and NEW's intents, confidence of each.
    """

    names: list[str]
    unknown: np.ndarray
    shared: np.ndarray
    changed: np.ndarray
    support: np.ndarray
    mended: np.ndarray
    broke: np.ndarray
    old: Side
    new: Side
    changes: list[tuple[Any, ...]] = field(default_factory=list, init=False)


def answers_of(
    old: "IntentPredictor",
    new: "IntentPredictor",
    labels: "Counter[str]",
    rows: int,
    tables: "Iterator[pd.DataFrame]",
    unknown_label: str | None = None,
) -> Answers:
    """What both models say to the rows of a table.

    Args:
        old, new: of the same kind, one intent a sentence or several.
        labels: how often each label stands in the table.
        rows: how many there are.
        tables: its parts, columns text and intent.
        unknown_label: of rows that mean none of the intents.
    """
    names = list(dict.fromkeys([*map(str, old.classes), *map(str, new.classes), *labels]))
    sides = _empty_side(old, names, rows), _empty_side(new, names, rows)
    known = np.zeros((2, len(names)), bool)
    for line, side in zip(known, sides, strict=True):
        line[side.places] = True
    in_both = known[0] & known[1]
    flags = {name: np.zeros(rows, bool) for name in ("unknown", "shared", "changed")}
    counts = {name: np.zeros(len(names), "int64") for name in ("support", "mended", "broke")}
    answers = Answers(names=names, **flags, **counts, old=sides[0], new=sides[1])
    start, first = 0, list[str]()
    for number, table in enumerate(tables):
        texts = list(table[TEXT])
        if number == 0:
            first = texts
            _warm(sides, first)
        given = _timed(sides, texts, number)
        _add(answers, table, given, slice(start, start + len(texts)), in_both, unknown_label)
        start += len(texts)
    _measure_more(sides, first)
    return answers


def _empty_side(predictor: "IntentPredictor", names: list[str], rows: int) -> Side:
    index = {name: place for place, name in enumerate(names)}
    places = np.array([index[str(label)] for label in predictor.classes])
    in_scope = np.zeros(rows if predictor.decision.threshold is not None else 0, bool)
    predicted, hits = np.zeros(len(names), "int64"), np.zeros(len(names), "int64")
    return Side(predictor, places, np.zeros(rows, bool), np.zeros(rows, "float32"), in_scope, predicted, hits)


# --- what they say -----------------------------------------------------------------------------------------------


def _add(
    answers: Answers,
    table: "pd.DataFrame",
    given: Sequence[Predictions],
    rows: slice,
    shared: np.ndarray,
    unknown_label: str | None,
) -> None:
    """Count one part of the table, ``rows`` of it, with what OLD and NEW gave."""
    labels = [each if isinstance(each, tuple) else (each,) for each in table[INTENT]]
    unknown = np.array([tuple(map(str, each)) == (unknown_label,) for each in labels], bool)
    expected = label_matrix(labels, answers.names)  # (n, L)
    expected[unknown] = False
    answers.unknown[rows] = unknown
    answers.shared[rows] = ~unknown & ~(expected & ~shared).any(axis=1)
    answers.support += expected.sum(axis=0)
    sides = (answers.old, answers.new)
    old, new = (_judge(side, each, expected, unknown, rows) for side, each in zip(sides, given, strict=True))
    answers.mended += (expected & ~old & new).sum(axis=0)
    answers.broke += (expected & old & ~new).sum(axis=0)
    _keep_changes(answers, table, labels, rows, old, new)


def _judge(side: Side, given: Predictions, expected: np.ndarray, unknown: np.ndarray, rows: slice) -> np.ndarray:
    """Which labels one model gives, bool (n, L); what is right of them is counted."""
    decision = side.predictor.decision
    found = np.zeros_like(expected)
    found[:, side.places] = decision.chosen(given)
    at = np.arange(len(found))
    likeliest = given.probabilities[at, np.maximum(given.numbers, 0)]
    side.confidence[rows] = np.where(given.numbers == NO_INTENT, 0, likeliest)
    if np.isnan(given.scores).any():  # an older export
        side.in_scope = side.in_scope[:0]
    elif len(side.in_scope):
        side.in_scope[rows] = given.scores >= decision.threshold
    refused = ~side.in_scope[rows] if len(side.in_scope) else np.zeros(len(at), bool)
    side.right[rows] = np.where(unknown, refused, (found == expected).all(axis=1))
    side.predicted += found[~unknown].sum(axis=0)
    side.hits += (found & expected).sum(axis=0)
    return found


def _keep_changes(
    answers: Answers, table: "pd.DataFrame", labels: list[Any], rows: slice, old: np.ndarray, new: np.ndarray
) -> None:
    was, now, unknown = answers.old.right[rows], answers.new.right[rows], answers.unknown[rows]
    differ = np.where(unknown, was != now, (old != new).any(axis=1))
    answers.changed[rows] = differ & ~was & ~now
    for place in np.flatnonzero(differ).tolist():
        kind = MENDED if now[place] else BROKE if was[place] else CHANGED
        intents = [_named(answers.names, found[place]) for found in (old, new)]
        if unknown[place]:  # it is refused by one of them
            intents = [
                () if refused else named for named, refused in zip(intents, (was[place], now[place]), strict=True)
            ]
        sure = [float(side.confidence[rows.start + place]) for side in (answers.old, answers.new)]
        named = tuple(map(str, labels[place]))
        answers.changes.append((table.index[place], table[TEXT].iloc[place], named, kind, *intents, *sure))


def _named(names: list[str], chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(names[number] for number in np.flatnonzero(chosen))


# --- how fast ----------------------------------------------------------------------------------------------------


def _warm(sides: Sequence[Side], texts: Sequence[str]) -> None:
    for side in sides:
        side.predictor.predictions(texts[:WARMED_BY])


def _timed(sides: Sequence[Side], texts: Sequence[str], number: int) -> list[Predictions]:
    """The predictions of both, each first in every other chunk: what else the machine does meets them alike."""
    given: dict[int, Predictions] = {}
    for place in (0, 1) if number % 2 == 0 else (1, 0):
        start = perf_counter()
        given[place] = sides[place].predictor.predictions(texts)
        sides[place].speeds.append(len(texts) / (perf_counter() - start))
    return [given[0], given[1]]


def _measure_more(sides: Sequence[Side], texts: Sequence[str]) -> None:
    """Time the first chunk again where the table has few, then sentences one by one."""
    for number in range(len(sides[0].speeds), MEASURED):
        _timed(sides, texts[:AGAIN], number)
    for number in range(ALONE_BEFORE + ALONE):
        text = texts[number % len(texts)]
        for side in sides if number % 2 == 0 else reversed(sides):
            start = perf_counter()
            side.predictor.predictions([text])
            if number >= ALONE_BEFORE:
                side.alone.append(perf_counter() - start)


def counted(tables: "Iterator[pd.DataFrame]") -> tuple["Counter[str]", int]:
    """How often each label stands in a table, given part by part, and how many rows it has; every row is checked."""
    labels: Counter[str] = Counter()
    rows = 0
    for table in tables:
        labels.update(map(str, all_labels(table[INTENT])))
        rows += len(table)
    return labels, rows
