"""How good the answers are: figures, a report, the confusion matrix and the mistakes.

Everything starts from the true labels and the probabilities (rows, C) that the model gave. A true label that the
model does not know counts as a mistake: it has a row of its own in the confusion matrix and in the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from intent_bert.data.labels import Label, label_ids

NO_INTENT_NAME = "(no intent)"  # of a text without a word, among the predictions
SMALLEST_PROBABILITY = 1e-15  # the log loss of an answer that gave the truth no probability at all stays finite


@dataclass
class Evaluation:
    """The figures of one table.

    Attributes:
        rows: how many sentences.
        accuracy: share of right answers.
        macro_f1: mean F1 over the labels that are true or answered somewhere in the table (scikit-learn's choice).
        loss: mean of -log(probability of the truth) in nats, over the rows whose label the model knows (NaN if there
            are none).
        per_intent: label -> precision, recall, f1, support.
        unknown_labels: label -> rows, for labels the model was never trained on.
        labels: the rows of ``confusion``: the model's intents, then the unknown labels, as text.
        confusion: int64 (labels, labels), truth down, answer across.
        mistakes: text, truth, answer, confidence, runner_up; the surest mistakes first.
    """

    rows: int
    accuracy: float
    macro_f1: float
    loss: float
    per_intent: dict[str, dict[str, float]]
    unknown_labels: dict[str, int]
    labels: list[str] = field(repr=False)
    confusion: np.ndarray = field(repr=False)
    mistakes: pd.DataFrame = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The figures as they stand in ``metrics.json``."""
        keys = ("rows", "accuracy", "macro_f1", "loss", "per_intent", "unknown_labels")
        figures = {key: getattr(self, key) for key in keys}
        return figures | {"loss": None if np.isnan(self.loss) else self.loss}  # JSON has no NaN

    def confusion_table(self) -> pd.DataFrame:
        """The confusion matrix with its labels: truth down, answer across."""
        table = pd.DataFrame(self.confusion, index=self.labels, columns=self.labels)
        table.index.name = "truth"
        return table

    def report(self) -> str:
        """A table for the terminal: one intent a line, then accuracy, macro F1 and loss."""
        return format_report(self.to_dict())


def format_report(metrics: dict[str, Any]) -> str:
    """The same table from the figures of one split as they stand in ``metrics.json``."""
    table = pd.DataFrame.from_dict(metrics["per_intent"], orient="index")
    table["support"] = table["support"].astype(int)
    lines = table.to_string(float_format=lambda value: f"{value:.3f}").split("\n")
    loss = "-" if metrics["loss"] is None else f"{metrics['loss']:.4f}"
    figures = f"accuracy {metrics['accuracy']:.4f}   macro F1 {metrics['macro_f1']:.4f}   loss {loss}"
    lines += ["", f"{figures}   ({metrics['rows']} rows)"]
    if metrics["unknown_labels"]:
        names = ", ".join(f"{label} ({count})" for label, count in metrics["unknown_labels"].items())
        lines.append(f"labels that training never had, counted as mistakes: {names}")
    return "\n".join(lines)


def evaluate_probabilities(
    texts: Sequence[str],
    labels: Sequence[Label],
    probabilities: np.ndarray,
    classes: Sequence[Label],
    numbers: np.ndarray | None = None,
) -> Evaluation:
    """Compare probabilities (rows, C) with the true labels.

    Args:
        texts, labels: the table, row by row.
        probabilities: float (rows, C), columns in the order of ``classes``.
        classes: the model's intents.
        numbers: int (rows,), of the predicted intents among ``classes``, -1 where none was predicted, which counts as a
            mistake; the likeliest intents by default.
    """
    numbers = probabilities.argmax(axis=1) if numbers is None else numbers
    names = [str(label) for label in classes]
    unknown = pd.Series([str(label) for label in labels])[label_ids(labels, classes) < 0].value_counts(sort=False)
    names += [str(label) for label in unknown.index]
    if (numbers < 0).any():
        names.append(NO_INTENT_NAME)
    truth, answers = label_ids(labels, names), np.where(numbers < 0, len(names) - 1, numbers)
    known = truth < len(classes)
    chances = probabilities[np.flatnonzero(known), truth[known]].astype("float64")
    figures = precision_recall_fscore_support(truth, answers, labels=range(len(names)), zero_division=0)
    present = np.union1d(truth, answers)
    per_intent = {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for name, p, r, f, s in zip(names, *figures, strict=True)
    }
    return Evaluation(
        rows=len(truth),
        accuracy=float(np.mean(truth == answers)),
        macro_f1=float(np.mean(figures[2][present])),
        loss=float(np.mean(-np.log(np.maximum(chances, SMALLEST_PROBABILITY)))) if known.any() else float("nan"),
        per_intent=per_intent,
        unknown_labels={str(label): int(count) for label, count in unknown.items()},
        labels=names,
        confusion=confusion_matrix(truth, answers, labels=range(len(names))),
        mistakes=_mistakes(texts, truth, answers, probabilities, names),
    )


def _mistakes(
    texts: Sequence[str], truth: np.ndarray, answers: np.ndarray, probabilities: np.ndarray, names: list[str]
) -> pd.DataFrame:
    rows = np.flatnonzero(answers != truth)
    second = np.argsort(-probabilities[rows], axis=1, kind="stable")[:, 1]
    first, none = answers[rows], answers[rows] >= probabilities.shape[1]
    confidence = np.where(none, 0.0, probabilities[rows, np.where(none, 0, first)])
    table = pd.DataFrame(
        {
            "text": [texts[row] for row in rows.tolist()],
            "truth": [names[truth[row]] for row in rows],
            "answer": [names[answer] for answer in first],
            "confidence": confidence.round(4),
            "runner_up": [names[answer] for answer in second],
        }
    )
    return table.iloc[np.argsort(-confidence, kind="stable")].reset_index(drop=True)
