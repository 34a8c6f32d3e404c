"""How good the predictions are: metrics, a report, the confusion matrix and the mistakes.

Everything starts from the labels and the probabilities (rows, C) that the model gave. A label that the model does not
know counts as a mistake: it has a row of its own in the confusion matrix and in the report.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from intent_bert.data.labels import Label, label_ids
from intent_bert.evaluation.calibration import Reliability, before_and_after, uncalibrated
from intent_bert.evaluation.out_of_scope import ScopeScores

if TYPE_CHECKING:
    import pandas as pd

NO_INTENT_NAME = "(no intent)"  # of a text without a word, among the predictions


@dataclass
class Evaluation:
    """The metrics of one table.

    Attributes:
        rows: how many sentences.
        accuracy: share of right predictions.
        macro_f1: mean F1 over the labels that stand in the table or were predicted (scikit-learn's choice).
        loss: mean of -log(probability of the label) in nats, over the rows whose label the model knows (NaN if there
            are none: whoever looks for the lowest loss must ask for that).
        per_intent: label -> precision, recall, f1, support.
        unknown_labels: label -> rows, for labels the model was never trained on.
        labels: the rows of ``confusion``: the model's intents, then the unknown labels, as text.
        confusion: int64 (labels, labels), label down, prediction across.
        mistakes: text, label, prediction, confidence, runner_up; the surest mistakes first.
        reliability, uncalibrated: of the rows whose label the model knows, after calibration and before.
        scope: how much each row is in scope.
    """

    rows: int
    accuracy: float
    macro_f1: float
    loss: float
    per_intent: dict[str, dict[str, float]]
    unknown_labels: dict[str, int]
    labels: list[str] = field(repr=False)
    confusion: np.ndarray = field(repr=False)
    mistakes: "pd.DataFrame" = field(repr=False)
    reliability: Reliability = field(repr=False)
    uncalibrated: Reliability = field(repr=False)
    scope: ScopeScores = field(repr=False)

    METRICS: ClassVar = ("loss", "accuracy", "macro_f1")

    @cached_property
    def calibration(self) -> dict[str, float]:
        """Calibration errors, Brier score and log loss, after calibration and before; empty without known labels."""
        return before_and_after(self.uncalibrated.metrics(), self.reliability.metrics())

    @cached_property
    def out_of_scope(self) -> dict[str, Any] | None:
        """How well unknown sentences are told from those in scope; None without rows of both kinds."""
        return self.scope.metrics()

    @property
    def score(self) -> tuple[float, float]:
        """What the best epoch has most of."""
        return self.accuracy, -self.loss

    @property
    def headline(self) -> str:
        """The one metric that a plot's title has room for."""
        return f"accuracy {self.accuracy:.2%}"

    def summary(self) -> str:
        """The metrics in a line."""
        return f"accuracy {self.accuracy:.4f}  macro F1 {self.macro_f1:.4f}  loss {self.loss:.4f}"

    def to_dict(self) -> dict[str, Any]:
        """The metrics as they stand in ``metrics.json``."""
        metrics = {key: getattr(self, key) for key in ("rows", "accuracy", "macro_f1", "loss")}
        metrics |= {"loss": None if np.isnan(self.loss) else self.loss}  # JSON has no NaN
        if self.calibration:
            intervals = before_and_after(self.uncalibrated.intervals(), self.reliability.intervals())
            metrics |= self.calibration | {"intervals": intervals}
        metrics |= {} if self.out_of_scope is None else {"out_of_scope": self.out_of_scope}
        return metrics | {"per_intent": self.per_intent, "unknown_labels": self.unknown_labels}

    def confusion_table(self) -> "pd.DataFrame":
        """The confusion matrix with its labels: label down, prediction across."""
        import pandas as pd

        table = pd.DataFrame(self.confusion, index=self.labels, columns=self.labels)
        table.index.name = "label"
        return table

    def report(self) -> str:
        """A table for the terminal: one intent a line, then accuracy, macro F1 and loss."""
        return format_report(self.to_dict())


def format_report(metrics: dict[str, Any]) -> str:
    """The same table from the metrics of one split as they stand in ``metrics.json``."""
    import pandas as pd

    table = pd.DataFrame.from_dict(metrics["per_intent"], orient="index")
    table["support"] = table["support"].astype(int)
    lines = table.to_string(float_format=lambda value: f"{value:.3f}").split("\n")
    loss = "-" if metrics["loss"] is None else f"{metrics['loss']:.4f}"
    summary = f"accuracy {metrics['accuracy']:.4f}   macro F1 {metrics['macro_f1']:.4f}   loss {loss}"
    lines += ["", f"{summary}   ({metrics['rows']} rows)"]
    if "ece" in metrics:
        before = "" if metrics["ece"] == metrics["ece_uncalibrated"] else f" ({metrics['ece_uncalibrated']:.2%} before)"
        lines.append(f"calibration error {metrics['ece']:.2%}{before}   Brier score {metrics['brier']:.4f}")
    if metrics["unknown_labels"]:
        names = ", ".join(f"{label} ({count})" for label, count in metrics["unknown_labels"].items())
        lines.append(f"labels that training never had, counted as mistakes: {names}")
    if "out_of_scope" in metrics:
        lines.append(_scope_line(metrics["out_of_scope"]))
    return "\n".join(lines)


def _scope_line(found: dict[str, Any]) -> str:
    line = f"{found['unknown']} sentences out of scope: AUROC {found['auroc']:.4f}, FPR95 {found['fpr95']:.1%}"
    if found["threshold"] is None:
        return line
    return (
        f"{line}; the threshold rejects {found['rejected_unknown']:.1%} of them and accepts "
        f"{found['accepted_known']:.1%} of the others"
    )


def evaluate_probabilities(
    texts: Sequence[str],
    labels: Sequence[Label],
    probabilities: np.ndarray,
    classes: Sequence[Label],
    numbers: np.ndarray | None = None,
    *,
    temperature: float = 1.0,
    scores: np.ndarray | None = None,
    threshold: float | None = None,
    unknown_label: Label | None = None,
) -> Evaluation:
    """Compare probabilities (rows, C) with the labels.

    Args:
        texts: the sentences, row by row.
        labels: their labels; one that is not among ``classes`` is a mistake.
        probabilities: float (rows, C), columns in the order of ``classes``.
        classes: the model's intents.
        numbers: int (rows,), of the predicted intents among ``classes``, -1 where none was predicted, which counts as a
            mistake; the likeliest intents by default.
        temperature: what the logits were divided by.
        scores: float (rows,), how much each row is in scope, with the model's ``threshold`` if it has one.
        unknown_label: rows with this label, which none of ``classes`` is, are no mistakes: they stand in
            ``out_of_scope`` alone, beside those of other labels that the model does not know.
    """
    numbers = probabilities.argmax(axis=1) if numbers is None else numbers
    scope = _scope_scores(labels, probabilities, classes, numbers, scores, threshold)
    if unknown_label is not None:
        places = [place for place, label in enumerate(labels) if scope.known[place] or str(label) != str(unknown_label)]
        texts, labels = [texts[place] for place in places], [labels[place] for place in places]
        probabilities, numbers = probabilities[places], numbers[places]
    written, names = [str(label) for label in labels], [str(label) for label in classes]
    unknown = Counter(label for label in written if label not in set(names))
    names += unknown
    expected = label_ids(written, names)  # (rows,)
    if (numbers < 0).any():
        names.append(NO_INTENT_NAME)
    predicted = np.where(numbers < 0, len(names) - 1, numbers)  # (rows,)
    per_intent = precision_recall_f1(expected, predicted, names, labels=range(len(names)))
    present = [per_intent[names[number]]["f1"] for number in np.union1d(expected, predicted)]
    after, before = _reliabilities(probabilities, expected, temperature)
    return Evaluation(
        rows=len(expected),
        accuracy=float(np.mean(expected == predicted)) if len(expected) else 0.0,
        macro_f1=float(np.mean(present)) if present else 0.0,
        loss=float(after.log_loss.mean()) if len(after.log_loss) else float("nan"),
        per_intent=per_intent,
        unknown_labels=dict(unknown),
        labels=names,
        confusion=confusion_matrix(expected, predicted, labels=range(len(names))),
        mistakes=_mistakes(texts, expected, predicted, probabilities, names),
        reliability=after,
        uncalibrated=before,
        scope=scope,
    )


def precision_recall_f1(
    expected: np.ndarray, predicted: np.ndarray, names: Sequence[str], labels: Sequence[int] | None = None
) -> dict[str, dict[str, float]]:
    """Of each name its precision, recall, F1 and support, as scikit-learn counts them.

    Args:
        expected, predicted: numbers of the names, int (rows,), or bool matrices (rows, names).
        names: of the labels.
        labels: all numbers that there are, where those are given.
    """
    found = precision_recall_fscore_support(expected, predicted, labels=labels, average=None, zero_division=0)
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for name, p, r, f, s in zip(names, *found, strict=True)
    }


def _reliabilities(
    probabilities: np.ndarray, expected: np.ndarray, temperature: float
) -> tuple[Reliability, Reliability]:
    """After calibration and before, of the rows whose label the model knows."""
    rows = np.flatnonzero(expected < probabilities.shape[1])
    judged, labels = probabilities[rows], expected[rows]
    after = Reliability.of(judged, labels)
    return after, after if temperature == 1 else Reliability.of(uncalibrated(judged, temperature), labels)


def _scope_scores(
    labels: Sequence[Label],
    probabilities: np.ndarray,
    classes: Sequence[Label],
    numbers: np.ndarray,
    scores: np.ndarray | None,
    threshold: float | None,
) -> ScopeScores:
    expected = label_ids(labels, classes)
    confidence = np.where(numbers < 0, 0.0, probabilities.max(axis=1, initial=0))
    scores = np.full(len(expected), np.nan, "float32") if scores is None else scores
    return ScopeScores(scores, confidence, expected >= 0, expected == numbers, threshold)


def _mistakes(
    texts: Sequence[str], expected: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, names: list[str]
) -> "pd.DataFrame":
    import pandas as pd

    rows = np.flatnonzero(predicted != expected)
    rest = probabilities[rows]  # a copy, of which the likeliest intent of each row is taken out
    rest[np.arange(len(rows)), rest.argmax(axis=1)] = -1
    second = rest.argmax(axis=1)
    first, none = predicted[rows], predicted[rows] >= probabilities.shape[1]
    confidence = np.where(none, 0.0, probabilities[rows, np.where(none, 0, first)].astype("float64"))
    table = pd.DataFrame(
        {
            "text": [texts[row] for row in rows.tolist()],
            "label": [names[expected[row]] for row in rows],
            "prediction": [names[number] for number in first],
            "confidence": confidence.round(4),
            "runner_up": [names[number] for number in second],
        }
    )
    return table.iloc[np.argsort(-confidence, kind="stable")].reset_index(drop=True)
