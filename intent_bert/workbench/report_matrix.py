"""The confusion matrix of a report: counts whose cells list their sentences, and the pairs that are confused most.

one intent a sentence       label down, prediction across
several intents a sentence  a label that was missed down, what was added in its place across, "(no intent)" for neither
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.evaluation.confusion_plot import most_confused
from intent_bert.evaluation.metrics import NO_INTENT_NAME
from intent_bert.evaluation.multi_label import MultiLabelEvaluation
from intent_bert.workbench.page_blocks import Block, Column, Matrix, Pick, Table, Text
from intent_bert.workbench.page_views import SENTENCES_OF_A_CELL

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.workbench.report_results import Report

WHOLE_UP_TO, PART = 160, 60  # labels; of more, as many that are confused most
MOST_PAIRS = 500
NAME = "confusion"


def confusion_blocks(report: "Report") -> list[Block]:
    """The matrix, and the table of pairs."""
    table = report.confusion
    names, counts = [str(name) for name in table.index], table.to_numpy()
    shown = list(range(len(names)))
    blocks: list[Block] = []
    if len(names) > WHOLE_UP_TO:
        shown = most_confused(counts, PART)
        blocks.append(
            Text(f"The {PART} labels that are confused most, of {len(names):,}; the table below has every pair.")
        )
    places = {label: place for place, label in enumerate(shown)}
    blocks.append(_matrix(report, names, counts, places))
    blocks.append(_pairs(names, counts, places, report.predictor.multi_label))
    if isinstance(report.evaluation, MultiLabelEvaluation):
        blocks.append(_together(report.evaluation))
    return blocks


def worst_confusion(counts: np.ndarray, row: int, names: list[str]) -> "Pick | None":
    """What a label is most often taken for; None where it never is."""
    others = counts[row].copy()
    others[row] = 0
    column = int(others.argmax())
    return Pick(f"{names[column]} ({others[column]})", NAME, row, column) if others[column] else None


def _matrix(report: "Report", names: list[str], counts: np.ndarray, places: dict[int, int]) -> Matrix:
    labels = [names[label] for label in places]
    several = report.predictor.multi_label
    return Matrix(
        NAME,
        labels,
        labels,
        counts[np.ix_(list(places), list(places))].tolist(),
        _sentences(report.rows, names, places, several),
        [Column("row"), Column("sentence", wide=True), Column("confidence", ".2f")],
        down="missed" if several else "label",
        across="added" if several else "prediction",
        opened="{row} missed, {column} added: {count}" if several else "{row} taken for {column}: {count}",
        same="{row}, found: {count}" if several else "{row}, right: {count} (the least sure first)",
    )


def _sentences(
    rows: "pd.DataFrame", names: list[str], places: dict[int, int], several: bool
) -> dict[tuple[int, int], list[tuple[Any, ...]]]:
    """(row, column) -> row number, text and confidence; mistakes the surest first, right ones the least sure first."""
    numbers = {name: places[number] for number, name in enumerate(names) if number in places}
    found: dict[tuple[int, int], list[tuple[Any, ...]]] = defaultdict(list)
    judged = rows[rows["judged"]]
    for right, part in ((False, judged[~judged["right"]]), (True, judged)):
        for row in part.sort_values("confidence", ascending=right, kind="stable").itertuples(index=False):
            for down, across in _cells(row, right) if several else [(str(row.label), str(row.prediction))]:
                if down in numbers and across in numbers and (down == across) == right:
                    cell = found[numbers[down], numbers[across]]
                    if len(cell) < SENTENCES_OF_A_CELL:
                        cell.append((row.row, row.text, row.confidence))
    return dict(found)


def _cells(row: Any, right: bool) -> Iterator[tuple[str, str]]:
    """The cells that a row of several intents stands in: what was found, or what was missed against what was added."""
    if right:
        yield from ((name, name) for name in row.found or ([NO_INTENT_NAME] if row.right else []))
        return
    for down in row.missed or [NO_INTENT_NAME]:
        yield from ((down, across) for across in row.added or [NO_INTENT_NAME])


def _pairs(names: list[str], counts: np.ndarray, places: dict[int, int], several: bool) -> Table:
    cells = np.argwhere(counts)
    cells = cells[cells[:, 0] != cells[:, 1]]
    cells = cells[np.argsort(-counts[cells[:, 0], cells[:, 1]], kind="stable")][:MOST_PAIRS]
    totals = counts.sum(axis=1)
    rows = []
    for down, across in cells.tolist():
        seen = down in places and across in places
        opened = Pick("read", NAME, places[down], places[across]) if seen else None
        count = int(counts[down, across])
        rows.append([names[down], names[across], count, count / totals[down], int(counts[across, down]), opened])
    heads: list[str | Column] = ["missed", "added instead"] if several else ["label", "taken for"]
    more: list[str | Column] = ["sentences", Column("of the label's", ".1%"), "the other way round", "sentences of it"]
    return Table([*heads, *more], rows, caption="What is confused, the most first", empty="Nothing is confused.")


def _together(evaluation: MultiLabelEvaluation) -> Table:
    """Which labels stand in the same rows, and how often both were found there."""
    both = np.argwhere(np.triu(evaluation.together, 1))
    both = both[np.argsort(-evaluation.together[both[:, 0], both[:, 1]], kind="stable")][:MOST_PAIRS]
    rows = []
    for one, other in both.tolist():
        count, found = int(evaluation.together[one, other]), int(evaluation.together_right[one, other])
        rows.append([evaluation.labels[one], evaluation.labels[other], count, found / count])
    columns: list[str | Column] = ["label", "and", Column("sentences", ",d"), Column("both found", ".1%")]
    return Table(columns, rows, caption="What occurs together", empty="No two labels occur together.")
