"""Do you need BERT, and do you need to fine-tune it? Every method on the same split of the same table.

    compare(config)  ->  OUTPUT_DIR/comparison.csv, .json     a row for each method and size
                                    /per_intent.csv, .png     F1 of each intent by method
                                    /predictions.csv          what each method predicted for each sentence
                                    /cost.png                 accuracy against cost
                                    /learning_curve.png       with several sizes
                                    /outcomes.json            what is done, for a comparison that goes on

A method that is done is not run again, so a comparison that was interrupted goes on, and one that has ended can be
given more methods. What the methods are is ``baselines``' business.
"""

import json
import logging
import pickle
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from intent_bert.config import INTENT, TEXT, CompareConfig
from intent_bert.data.datasets import read_tables
from intent_bert.estimators.advice import advise
from intent_bert.estimators.baselines import Method, bert_features, chosen
from intent_bert.estimators.folds import ALL, Folds
from intent_bert.estimators.outcomes import Outcome, Outcomes
from intent_bert.evaluation.comparison_plots import FAMILIES, cost_plot, intent_f1_plot, learning_curve_plot
from intent_bert.evaluation.drawing import save_plot
from intent_bert.evaluation.significance import bootstrap_interval, holm, mcnemar
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.lock import one_writer
from intent_bert.files.tables_out import write_csv
from intent_bert.model.folder import write_json

logger = logging.getLogger("intent_bert")

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


def compare(config: CompareConfig) -> Comparison:
    """Run the chosen methods on the same split with the same seed, and write what came of it.

    All methods learn from the training table alone (or from as many sentences of each intent as ``sizes`` says, the
    smaller samples being part of the larger) and predict the same test sentences, or each fold's under ``folds``. No
    method chooses anything on a validation table; one that the data has is left out. TensorFlow is loaded only for a
    method with BERT.

    Raises:
        SettingsError: a mistake in the settings, or the output folder holds something else.
        DataError: a table that can't be used, or that a method can't learn from.
        DiskError: the output folder can't be written, or another run writes there.
    """
    config.validate()
    methods = chosen(config.methods)
    folds = Folds.of(read_tables(config), config)
    sizes = [ALL if size is None else str(size) for size in config.sizes_asked()]
    _check(methods, folds, sizes, config)
    with one_writer(config.output_dir):
        outcomes = _outcomes(methods, folds, sizes, config)
        result = Comparison.of(outcomes, folds, Path(config.output_dir))
        facts = {"test_rows": len(folds.labels), "intents": len(folds.intents)}
        result.write(asdict(config), facts)
    return result


def _outcomes(methods: Sequence[Method], folds: Folds, sizes: Sequence[str], config: CompareConfig) -> list[Outcome]:
    """Run what is not done yet, keep it, and give all of it."""
    kept = Outcomes(config, folds.fingerprint())
    labels = folds.labels
    logger.info("%d methods; %s; %d test sentences", len(methods), folds.described(), len(labels))
    runner = _Runner(config, folds)
    plan = [(size, method) for size in sizes for method in methods]
    outcomes = []
    for number, (size, method) in enumerate(plan, start=1):
        what = method.name if size == ALL else f"{method.name} with {size} sentences per intent"
        outcome = kept.get(method.name, size)
        if outcome is None:
            logger.info("[%d/%d] %s: %s ...", number, len(plan), what, method.what)
            outcome = runner.run(method, size)
            kept.keep(outcome)
        accuracy = np.mean(np.array(outcome.predictions) == labels)
        logger.info("[%d/%d] %s: accuracy %.2f %%", number, len(plan), what, 100 * accuracy)
        outcomes.append(outcome)
    return outcomes


def _check(methods: Sequence[Method], folds: Folds, sizes: Sequence[str], config: CompareConfig) -> None:
    """Have each method say what is wrong with the settings or the sentences before the first one runs."""
    tables = [list(train[TEXT]) for size in sizes for train, _ in folds.sampled(size, config.seed)]
    for method in methods:
        for texts in tables:
            method.check(config, texts)


class _Runner:
    """Fits and times methods; remembers what a sentence's BERT vector costs."""

    def __init__(self, config: CompareConfig, folds: Folds) -> None:
        self.config, self.folds = config, folds
        self.seconds_per_vector: dict[str, float] = {}

    def run(self, method: Method, size: str) -> Outcome:
        vector = self._vector_seconds(method)
        predictions: list[str] = []
        rows, train_seconds, test_seconds, size_in_bytes = 0, 0.0, 0.0, 0
        pairs = self.folds.sampled(size, self.config.seed)
        for train, test in pairs:
            texts, labels = list(train[TEXT]), [str(label) for label in train[INTENT]]
            estimator = method.make(self.config)
            started = time.perf_counter()
            estimator.fit(texts, labels)
            train_seconds += time.perf_counter() - started + vector * len(texts)
            estimator.predict(list(test[TEXT][:2]))  # what is compiled at the first call is no part of a prediction
            started = time.perf_counter()
            predictions += [str(label) for label in estimator.predict(list(test[TEXT]))]
            test_seconds += time.perf_counter() - started + vector * len(test)
            rows += len(texts)
            size_in_bytes = len(pickle.dumps(estimator)) + self._encoder_bytes(method)
        return Outcome(
            method=method.name,
            family=method.family,
            size=size,
            train_rows=round(rows / len(pairs)),
            train_seconds=train_seconds / len(pairs),
            ms_per_sentence=1000 * test_seconds / len(predictions),
            megabytes=size_in_bytes / 1e6,
            predictions=predictions,
        )

    def _vector_seconds(self, method: Method) -> float:
        """Seconds for one BERT vector; the first time, all sentences' vectors are computed for later."""
        if method.pooling is None:
            return 0.0
        if method.pooling not in self.seconds_per_vector:
            transformer = bert_features(self.config, method.pooling)
            texts = sorted({text for pair in self.folds.pairs for table in pair for text in table[TEXT]})
            transformer.fit(texts[:1]).transform(texts[:2])  # compiled outside the time
            self._encoder().forget(method.pooling)
            started = time.perf_counter()
            transformer.transform(texts)
            self.seconds_per_vector[method.pooling] = (time.perf_counter() - started) / len(texts)
        return self.seconds_per_vector[method.pooling]

    def _encoder_bytes(self, method: Method) -> int:
        """The encoder under BERT vectors, which pickle without it."""
        if method.pooling is None:
            return 0
        return sum(4 * int(np.prod(each.shape)) for each in self._encoder().bert.weights if each.dtype == "float32")

    def _encoder(self) -> Any:
        from intent_bert.estimators.shared_encoder import shared_encoder

        return shared_encoder(self.config.checkpoint, self.config.do_lower_case)


# --- the metrics -------------------------------------------------------------------------------------------------


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
