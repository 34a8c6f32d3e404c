"""What changed from one model to its successor: the figures, and whether the new one is worse.

NEW is worse where it has more than ``tolerance`` fewer rows right, or where it has fewer right by more than chance: the
exact McNemar test (evaluation/significance.py) gives a p-value below ``significance``. Where intents were added or
removed the rows whose intents both know are judged as well, so that a gain on new intents hides no loss on the others.

How it is found is diff.py's business, how it looks on a terminal diff_report.py's.
"""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.evaluation.significance import mcnemar, paired_interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ModelFacts:
    """One of the two models, and what it made of the table.

    Attributes:
        model: its folder.
        engine: what computed.
        intents: how many it has.
        accuracy: share of rows that it has right; of several intents a sentence: all of them, and no other.
        accuracy_interval: Wilson's, 95 %.
        macro_f1: mean F1 of the labels that stand in the table or were predicted.
        confidence, confidence_right, confidence_wrong: mean over all rows, over those it has right, and the others;
            None where there are none.
        ece: calibration error of the confidences; None for several intents a sentence, which have no one confidence.
        temperature, threshold: of its decision.
        in_scope: share of the rows that its threshold accepts; None where the model can't tell.
        bytes: of the files that a prediction needs; None for a predictor that was given without its folder.
        sentences_a_second: median over parts of the table, measured in turn with the other model.
        milliseconds_alone: median for a sentence on its own, likewise.
    """

    model: str
    engine: str
    intents: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    confidence: float
    confidence_right: float | None
    confidence_wrong: float | None
    ece: float | None
    temperature: float
    threshold: float | None
    in_scope: float | None
    bytes: int | None
    sentences_a_second: float
    milliseconds_alone: float


@dataclass(frozen=True)
class Judgement:
    """OLD and NEW on some of the rows.

    Attributes:
        rows: how many.
        old, new: the shares that they have right.
        difference: NEW's less OLD's.
        interval: of the difference, 95 % (Bonett and Price).
        mended, broke: rows that only NEW, only OLD has right.
        changed: rows that both have wrong, in different ways.
        p_value: exact McNemar test, two-sided.
    """

    rows: int
    old: float
    new: float
    difference: float
    interval: tuple[float, float]
    mended: int
    broke: int
    changed: int
    p_value: float

    @classmethod
    def of(cls, old: np.ndarray, new: np.ndarray, changed: int) -> "Judgement":
        """From what each has right, bool (rows,)."""
        mended, broke = int((~old & new).sum()), int((old & ~new).sum())
        shares = float(old.mean()), float(new.mean())
        interval = paired_interval(broke, mended, len(old))
        difference = (mended - broke) / len(old)
        return cls(len(old), *shares, difference, interval, mended, broke, changed, mcnemar(old, new))

    def complaint(self, tolerance: float, significance: float) -> str | None:
        """Why NEW is worse here; None where it is not."""
        lost = self.broke - self.mended
        if lost > tolerance * self.rows + 1e-9:
            return f"it lost {-100 * self.difference:.2f} points, more than the {100 * tolerance:g} that are tolerated"
        if lost > 0 and self.p_value < significance:
            return f"it lost {-100 * self.difference:.2f} points, more than chance explains (p = {self.p_value:.2g})"
        return None


@dataclass(frozen=True)
class ModelDifference:
    """What ``diff_models`` found.

    Attributes:
        table: where the rows come from.
        multi_label: whether a sentence may have several intents.
        old, new: the two models.
        all: judged on all rows; those of ``unknown_label`` are not among them.
        shared: judged on the rows whose intents both models know; None where these are all, or none.
        added, removed: intent -> its rows in the table and how many of them the model that knows it finds.
        unknown_labels: label -> rows, for labels that neither model knows: both have them wrong.
        unknown: rows of ``unknown_label``, judged by whether they are refused; None without such rows, or where a model
            can't tell what is in scope.
        per_intent: a row for each label: intent, known_to (both, old, new, neither), rows; old and new, the shares of
            them that were found, with intervals; difference, low, high, mended, broke, p_value (Holm's correction over
            the intents); old_f1, new_f1. What lost most first; without rows in the table last.
        changes: row, text, label, kind (broke, changed, mended), old, new, old_confidence, new_confidence; what broke
            first, the surest first. Labels and intents are tuples for several a sentence; None is no intent.
        tolerance, significance: what "worse" was measured by.
    """

    table: str
    multi_label: bool
    old: ModelFacts
    new: ModelFacts
    all: Judgement
    shared: Judgement | None
    added: dict[str, dict[str, int]]
    removed: dict[str, dict[str, int]]
    unknown_labels: dict[str, int]
    unknown: Judgement | None
    tolerance: float
    significance: float
    per_intent: "pd.DataFrame" = field(repr=False, compare=False)
    changes: "pd.DataFrame" = field(repr=False, compare=False)

    @property
    def complaints(self) -> list[str]:
        """Why NEW is worse; empty where it is not."""
        judged = {f"on all {self.all.rows:,} rows": self.all}
        if self.shared is not None:
            judged[f"on the {self.shared.rows:,} rows whose intents both know"] = self.shared
        found = {where: each.complaint(self.tolerance, self.significance) for where, each in judged.items()}
        return [f"{where} {complaint}" for where, complaint in found.items() if complaint]

    @property
    def worse(self) -> bool:
        """Whether NEW is worse than OLD."""
        return bool(self.complaints)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it, the rows that changed among it."""
        plain = {
            name: value if not isinstance(value, ModelFacts | Judgement) else asdict(value)
            for name, value in vars(self).items()
            if name not in ("per_intent", "changes")
        }
        return {
            "worse": self.worse, "complaints": self.complaints, **plain,
            "per_intent": records(self.per_intent), "changes": records(self.changes),
        }  # fmt: skip


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table as JSON has them: plain numbers, tuples as lists, None for what is missing."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and value != value else value
