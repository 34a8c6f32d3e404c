"""How good the predictions of several intents a sentence are: metrics over label sets, which labels are confused.

Everything starts from the labels, the probabilities (rows, C) and the chosen intents (rows, C). A label that the model
does not know counts as one that was missed: it has a column of its own.

    subset accuracy   share of rows whose intents are exactly the labels
    micro F1          of all decisions in one pot; macro F1: the mean of the labels' own
    Hamming loss      share of wrong decisions, one for each row and label
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from intent_bert.config import LABEL_SEPARATOR
from intent_bert.data.label_sets import LabelSet, all_labels, joined, label_matrix
from intent_bert.data.labels import Label
from intent_bert.evaluation.calibration import SMALLEST_PROBABILITY
from intent_bert.evaluation.metrics import NO_INTENT_NAME, Evaluation, evaluate_probabilities, precision_recall_f1
from intent_bert.model.decision import Decision, Predictions

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class MultiLabelEvaluation:
    """The metrics of one table whose rows have several labels, one or none.

    Attributes:
        rows: how many sentences.
        subset_accuracy: share of rows whose chosen intents are exactly their labels.
        micro_f1, macro_f1: over all labels, and the mean over those that stand in the table or were predicted.
        hamming_loss: share of wrong decisions among all, one for each row and label.
        loss: mean binary cross-entropy in nats over rows and the model's intents.
        per_intent: label -> precision, recall, f1, support.
        unknown_labels: label -> rows, for labels the model was never trained on.
        labels: the model's intents, then the unknown labels, as text.
        confusion: int64 (L + 1, L + 1): a label that was missed down, one that was wrongly predicted in its place
            across; the last stands for "none". The diagonal counts what was right.
        together, together_right: int64 (L, L), rows that have both labels, and those where both were predicted.
        mistakes: text, label, prediction, missed, added, confidence; the surest mistakes first.
    """

    rows: int
    subset_accuracy: float
    micro_f1: float
    macro_f1: float
    hamming_loss: float
    loss: float
    per_intent: dict[str, dict[str, float]]
    unknown_labels: dict[str, int]
    labels: list[str] = field(repr=False)
    confusion: np.ndarray = field(repr=False)
    together: np.ndarray = field(repr=False)
    together_right: np.ndarray = field(repr=False)
    mistakes: "pd.DataFrame" = field(repr=False)

    METRICS: ClassVar = ("loss", "subset_accuracy", "micro_f1", "macro_f1", "hamming_loss")

    @property
    def score(self) -> tuple[float, float]:
        """What the best epoch has most of."""
        return self.micro_f1, -self.loss

    @property
    def headline(self) -> str:
        """The one metric that a plot's title has room for."""
        return f"subset accuracy {self.subset_accuracy:.2%}"

    def to_dict(self) -> dict[str, Any]:
        """The metrics as they stand in ``metrics.json``."""
        keys = ("rows", "subset_accuracy", "micro_f1", "macro_f1", "hamming_loss", "loss", "per_intent")
        return {key: getattr(self, key) for key in (*keys, "unknown_labels")}

    def summary(self) -> str:
        """The metrics in a line."""
        return (
            f"subset accuracy {self.subset_accuracy:.4f}  micro F1 {self.micro_f1:.4f}  macro F1 {self.macro_f1:.4f}  "
            f"Hamming loss {self.hamming_loss:.4f}  loss {self.loss:.4f}"
        )

    def report(self) -> str:
        """A table for the terminal: one intent a line, then the metrics of all."""
        import pandas as pd

        table = pd.DataFrame.from_dict(self.per_intent, orient="index").astype({"support": int})
        lines = table.to_string(float_format=lambda value: f"{value:.3f}").split("\n")
        lines += ["", f"{self.summary()}  ({self.rows} rows)"]
        if self.unknown_labels:
            names = ", ".join(f"{label} ({count})" for label, count in self.unknown_labels.items())
            lines.append(f"labels that training never had, counted as missed: {names}")
        return "\n".join(lines)

    def confusion_table(self) -> "pd.DataFrame":
        """The confusion matrix with its labels: what was missed down, what was wrongly predicted across."""
        import pandas as pd

        names = [*self.labels, NO_INTENT_NAME]
        table = pd.DataFrame(self.confusion, index=names, columns=names)
        table.index.name = "label"
        return table


AnyEvaluation: TypeAlias = Evaluation | MultiLabelEvaluation


def evaluate_predictions(
    decision: Decision,
    texts: Sequence[str],
    labels: Sequence[Label] | Sequence[LabelSet],
    predictions: Predictions,
    classes: Sequence[Label],
    separator: str = LABEL_SEPARATOR,
    unknown_label: Label | None = None,
) -> AnyEvaluation:
    """The metrics of predictions, of the kind that the decision asks for; ``labels`` are sets for a multi-label one."""
    if decision.multi_label:
        chosen = decision.chosen(predictions)
        return evaluate_label_sets(texts, labels, predictions.probabilities, chosen, classes, separator)  # type: ignore[arg-type]
    return evaluate_probabilities(
        texts,
        labels,  # type: ignore[arg-type]
        predictions.probabilities,
        classes,
        predictions.numbers,
        temperature=decision.temperature,
        scores=predictions.scores,
        threshold=decision.threshold,
        unknown_label=unknown_label,
    )


def evaluate_label_sets(
    texts: Sequence[str],
    labels: Sequence[LabelSet],
    probabilities: np.ndarray,
    chosen: np.ndarray,
    classes: Sequence[Label],
    separator: str = LABEL_SEPARATOR,
) -> MultiLabelEvaluation:
    """Compare chosen intents with the label sets.

    Args:
        texts: the sentences, row by row.
        labels: their label sets.
        probabilities: float (rows, C), columns in the order of ``classes``.
        chosen: bool (rows, C).
        classes: the model's intents.
        separator: joins the labels of a row in ``mistakes``.
    """
    known = {str(label) for label in classes}
    unknown = Counter(str(label) for label in all_labels(labels) if str(label) not in known)
    names = [*map(str, classes), *unknown]
    expected = label_matrix(labels, names)  # (rows, L)
    predicted = np.zeros_like(expected)
    predicted[:, : len(classes)] = chosen
    per_intent = precision_recall_f1(expected, predicted, names)
    present = np.flatnonzero(expected.any(axis=0) | predicted.any(axis=0))
    right = int((expected & predicted).sum())
    return MultiLabelEvaluation(
        rows=len(expected),
        subset_accuracy=float((expected == predicted).all(axis=1).mean()),
        micro_f1=2 * right / max(1, int(expected.sum()) + int(predicted.sum())),
        macro_f1=float(np.mean([per_intent[names[number]]["f1"] for number in present])) if len(present) else 0.0,
        hamming_loss=float((expected != predicted).mean()),
        loss=_binary_cross_entropy(probabilities, expected[:, : len(classes)]),
        per_intent=per_intent,
        unknown_labels=dict(unknown),
        labels=names,
        confusion=_confusion(expected, predicted),
        together=_together(expected),
        together_right=_together(expected & predicted),
        mistakes=_mistakes(texts, expected, predicted, probabilities, names, separator),
    )


def _binary_cross_entropy(probabilities: np.ndarray, expected: np.ndarray) -> float:
    given = np.where(expected, probabilities, 1 - probabilities.astype("float64"))
    return float(-np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean())


def _confusion(expected: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Right labels on the diagonal; of each wrong row what was missed against what was added, "none" for neither."""
    wrong = (expected != predicted).any(axis=1)
    missed, added = (_with_none(each[wrong]) for each in (expected & ~predicted, predicted & ~expected))
    rightly_none = ~(expected | predicted).any(axis=1)
    return missed.T @ added + np.diag(np.append((expected & predicted).sum(axis=0), rightly_none.sum()))


def _with_none(matrix: np.ndarray) -> np.ndarray:
    """Bool (rows, L) -> int64 (rows, L + 1), the last where there is nothing in a row."""
    return np.column_stack([matrix, ~matrix.any(axis=1)]).astype("int64")


def _together(matrix: np.ndarray) -> np.ndarray:
    counts = matrix.astype("int64")
    return counts.T @ counts


def _mistakes(
    texts: Sequence[str],
    expected: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    names: list[str],
    separator: str,
) -> "pd.DataFrame":
    import pandas as pd

    rows = np.flatnonzero((expected != predicted).any(axis=1))
    missed, added = expected[rows] & ~predicted[rows], predicted[rows] & ~expected[rows]
    given = np.zeros(missed.shape)
    given[:, : probabilities.shape[1]] = probabilities[rows]
    confidence = np.maximum(np.where(added, given, 0), np.where(missed, 1 - given, 0)).max(axis=1)

    def written(matrix: np.ndarray) -> list[str]:
        return [joined([names[number] for number in np.flatnonzero(row)], separator) for row in matrix]

    table = pd.DataFrame(
        {
            "text": [texts[row] for row in rows.tolist()],
            "label": written(expected[rows]),
            "prediction": written(predicted[rows]),
            "missed": written(missed),
            "added": written(added),
            "confidence": confidence.round(4),
        }
    )
    return table.iloc[np.argsort(-confidence, kind="stable")].reset_index(drop=True)
