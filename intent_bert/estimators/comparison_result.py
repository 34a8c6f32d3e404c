"""The result of a comparison: the metrics of every method on the same test sentences, as tables, plots and advice.

How the methods came to their predictions is ``comparison``'s business.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from intent_bert.config import TEXT
from intent_bert.estimators.advice import advise
from intent_bert.estimators.folds import Folds
from intent_bert.estimators.outcomes import Outcome
from intent_bert.evaluation.comparison_plots import FAMILIES, cost_plot, intent_f1_plot, learning_curve_plot
from intent_bert.evaluation.drawing import save_plot
from intent_bert.evaluation.significance import bootstrap_interval, holm, mcnemar
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.tables_out import write_csv
from intent_bert.model.folder import write_json

_WRITTEN = (
    "comparison.csv", "comparison.json", "per_intent.csv", "per_intent.png", "predictions.csv", "cost.png",
    "learning_curve.png",
)  # fmt: skip


@dataclass
class Comparison:
    """The result of ``compare``.

    Attributes:
        table: a row for each method and size: accuracy with a bootstrap 95 % interval (``low``, ``high``), macro_f1,
            train_rows, train_seconds, ms_per_sentence, megabytes; ``p_value`` of an exact McNemar test against the
            most accurate method of that size, and ``p_holm``, the same with Holm's correction for their number.
        per_intent: F1, a row for each size and intent, a column for each method.
        predictions: text, label, fold (from 1), and a column METHOD@SIZE for each method and size.
        advice: two sentences.
        folder: where all of it was written.
    """

    table: pd.DataFrame
    per_intent: pd.DataFrame
    predictions: pd.DataFrame
    advice: list[str]
    folder: Path

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], folds: Folds, folder: Path) -> Self:
        """The metrics of these outcomes, all on the same test sentences."""
        labels = folds.labels
        by_size = _by_size(outcomes)
        table = pd.concat([_metrics(some, labels) for some in by_size], ignore_index=True)
        per_intent = pd.concat([_f1_by_intent(some, labels) for some in by_size])
        predictions = pd.DataFrame({TEXT: folds.texts, "label": list(labels), "fold": folds.numbers})
        for each in outcomes:
            predictions[f"{each.method}@{each.size}"] = each.predictions
        largest = by_size[-1]
        rows = table.tail(len(largest)).to_dict("records")
        right = {each.method: np.array(each.predictions, object) == labels for each in largest}
        return cls(table, per_intent, predictions, advise(rows, right), folder)

    def report(self) -> str:
        """The table for the terminal."""
        shown = self.table.copy()
        shown["kind"] = [FAMILIES[family] for family in shown["family"]]
        shown["accuracy"] = [f"{each:.2%}" for each in shown["accuracy"]]
        shown["95 %"] = [f"{low:.1%} - {high:.1%}" for low, high in zip(shown["low"], shown["high"], strict=True)]
        shown["p"] = ["best" if np.isnan(p) else f"{p:.3f}" if p >= 0.001 else "<0.001" for p in shown["p_holm"]]
        shown["macro F1"] = [f"{each:.3f}" for each in shown["macro_f1"]]
        shown["train s"] = [f"{each:.1f}" for each in shown["train_seconds"]]
        shown["ms/sentence"] = [f"{each:.2f}" for each in shown["ms_per_sentence"]]
        shown["MB"] = [f"{each:.1f}" for each in shown["megabytes"]]
        columns = ["method", "kind", "accuracy", "95 %", "p", "macro F1", "train s", "ms/sentence", "MB"]
        if shown["size"].nunique() > 1:
            columns.insert(1, "size")
        return shown[columns].to_string(index=False)

    def write(self, settings: dict[str, Any], facts: dict[str, Any]) -> None:
        """Write tables and plots into the folder, all or none; what stands there under these names is replaced.

        Raises:
            DiskError: they can't be written.
        """
        with atomic_folder(self.folder, replace=True, keep=lambda name: name not in _WRITTEN) as work:
            per_intent = self.per_intent.reset_index()
            tables = {"comparison": self.table, "per_intent": per_intent, "predictions": self.predictions}
            for name, table in tables.items():
                write_csv(work / f"{name}.csv", table.columns, table.itertuples(index=False))
            rows = json.loads(self.table.to_json(orient="records"))
            content = {"settings": settings, **facts, "advice": self.advice, "methods": rows}
            write_json(work / "comparison.json", content)
            self._write_plots(work)

    def _write_plots(self, folder: Path) -> None:
        largest = self.table[self.table["size"] == self.table["size"].iloc[-1]]
        save_plot(cost_plot(largest), folder / "cost.png")
        save_plot(intent_f1_plot(self.per_intent.loc[largest["size"].iloc[0]]), folder / "per_intent.png")
        if self.table["size"].nunique() > 1:
            save_plot(learning_curve_plot(self.table), folder / "learning_curve.png")


def _by_size(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    sizes = list(dict.fromkeys(each.size for each in outcomes))
    return [[each for each in outcomes if each.size == size] for size in sizes]


def _metrics(outcomes: Sequence[Outcome], labels: np.ndarray) -> pd.DataFrame:
    """A row for each method of one size, in the order they came."""
    right = [np.array(each.predictions, object) == labels for each in outcomes]
    best = int(np.argmax([each.mean() for each in right]))
    p_values = [mcnemar(each, right[best]) if number != best else np.nan for number, each in enumerate(right)]
    rows = []
    for each, correct, p, p_holm in zip(outcomes, right, p_values, holm(p_values), strict=True):
        low, high = bootstrap_interval(correct)
        rows.append(
            {
                "method": each.method,
                "family": each.family,
                "size": each.size,
                "accuracy": accuracy_score(labels, each.predictions),
                "low": low,
                "high": high,
                "macro_f1": f1_score(labels, each.predictions, average="macro", zero_division=0),
                "train_rows": each.train_rows,
                "train_seconds": each.train_seconds,
                "ms_per_sentence": each.ms_per_sentence,
                "megabytes": each.megabytes,
                "p_value": p,
                "p_holm": p_holm,
            }
        )
    return pd.DataFrame(rows)


def _f1_by_intent(outcomes: Sequence[Outcome], labels: np.ndarray) -> pd.DataFrame:
    intents = sorted(set(labels.tolist()))
    columns = {
        each.method: precision_recall_fscore_support(labels, each.predictions, labels=intents, zero_division=0)[2]
        for each in outcomes
    }
    index = pd.MultiIndex.from_product([[outcomes[0].size], intents], names=["size", "intent"])
    return pd.DataFrame(columns, index=index)
