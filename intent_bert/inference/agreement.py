"""Does another form of a model predict as the model does? Compared on sentences, in numbers, and judged.

Exports are compared with Keras (export/exports.py), what OpenVINO has compiled with ONNX Runtime (openvino_engine.py).
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from intent_bert.config import TEXT
from intent_bert.errors import DataError
from intent_bert.model.decision import Decision, Predictions
from intent_bert.model.folder import MISTAKES_FILE

SAMPLE = Path(__file__).parent.parent / "data" / "shipped" / "sample" / "test.csv"
MOST_SENTENCES = 500  # that a comparison takes
LARGEST_DIFFERENCE = 1e-4  # of a probability, in float32
SURE = 0.5
MEAN_DIFFERENCE, MOST_SURE_CHANGED = 0.05, 0.01  # in fewer bits; the second of the model's sure predictions


class Compared(Protocol):
    """What is judged of a comparison."""

    @property
    def sentences(self) -> int: ...
    @property
    def largest_difference(self) -> float: ...
    @property
    def mean_difference(self) -> float: ...
    @property
    def sure_predictions(self) -> int: ...
    @property
    def sure_predictions_changed(self) -> int: ...


@dataclass(frozen=True)
class Agreement:
    """How two forms of a model differ.

    Attributes:
        sentences: how many were compared.
        largest_difference, mean_difference: of the probability that differs most in a sentence, over all sentences.
        changed_predictions: sentences with another intent, or of a multi-label model other intents.
        changed_in_scope: sentences that only one of the two takes for in scope; None where the model can't tell.
        sure_predictions, sure_predictions_changed: those whose likeliest intent has more than ``SURE`` in the model,
            and how many of them changed.
    """

    sentences: int
    largest_difference: float
    mean_difference: float
    changed_predictions: int
    changed_in_scope: int | None
    sure_predictions: int
    sure_predictions_changed: int


def agreement(decision: Decision, expected: Predictions, found: Predictions) -> Agreement:
    """Compare what a model and another form of it predict for the same sentences, N at least 1."""
    differences = np.abs(expected.probabilities - found.probabilities).max(axis=1)  # (N,)
    changed = (decision.chosen(expected) != decision.chosen(found)).any(axis=1)
    sure = expected.probabilities.max(axis=1) > SURE
    in_scope = None
    if decision.threshold is not None and not np.isnan(expected.scores).any():
        in_scope = int(((expected.scores >= decision.threshold) != (found.scores >= decision.threshold)).sum())
    return Agreement(
        sentences=len(differences),
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        changed_predictions=int(changed.sum()),
        changed_in_scope=in_scope,
        sure_predictions=int(sure.sum()),
        sure_predictions_changed=int((changed & sure).sum()),
    )


def disagreement(found: Compared, exact: bool, largest: float = LARGEST_DIFFERENCE) -> str | None:
    """Why two forms are not one model, if so; ``exact`` says that both compute in float32, to ``largest``."""
    if exact:
        if found.largest_difference <= largest:
            return None
        allowed = f"{largest:g} at most is allowed"
    else:
        few_changed = found.sure_predictions_changed <= MOST_SURE_CHANGED * found.sure_predictions
        if few_changed and found.mean_difference <= MEAN_DIFFERENCE:
            return None
        allowed = f"{MEAN_DIFFERENCE:g} on average and {MOST_SURE_CHANGED:.0%} of {found.sure_predictions} are allowed"
    return (
        f"on {found.sentences} sentences probabilities differ by up to {found.largest_difference:.2g}, on average by "
        f"{found.mean_difference:.2g}, and {found.sure_predictions_changed} sure predictions are others ({allowed})"
    )


def sentences_for(folder: Path) -> list[str]:
    """Sentences to compare on where none are given: the mistakes of a model folder's run, and the embedded sample."""
    from intent_bert.data.rows import RowReader

    texts: list[str] = []
    for table in (folder / MISTAKES_FILE, SAMPLE):
        with contextlib.suppress(DataError):  # no such file, or no row in it
            texts += [row.values[TEXT] for row in RowReader(table).with_text(TEXT)]
    return texts


def some_of(texts: Sequence[str]) -> list[str]:
    """At most ``MOST_SENTENCES`` of them, evenly spread."""
    return [texts[row] for row in np.unique(np.linspace(0, len(texts) - 1, MOST_SENTENCES).astype(int))]
