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

import logging
import pickle
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from intent_bert.config import INTENT, TEXT, CompareConfig
from intent_bert.data.datasets import read_tables
from intent_bert.data.labels import class_weights
from intent_bert.estimators.baselines import Method, bert_features, chosen
from intent_bert.estimators.comparison_result import Comparison
from intent_bert.estimators.folds import ALL, Folds
from intent_bert.estimators.outcomes import Outcome, Outcomes
from intent_bert.files.lock import one_writer
from intent_bert.machine import divide_the_cores

logger = logging.getLogger("intent_bert")


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
    if any(method.family in ("frozen", "tuned") for method in methods):
        divide_the_cores()  # before the first method starts TensorFlow, so that fine-tuning is as fast as in train
    folds = Folds.of(read_tables(config), config)
    sizes = [ALL if size is None else str(size) for size in config.sizes_asked()]
    _check(methods, folds, sizes, config)
    intents = sorted({str(label) for train, _ in folds.pairs for label in train[INTENT]})
    class_weights([], intents, config.class_weight)  # told before anything runs
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
            if getattr(estimator, "interrupted_", False):  # a method that has learnt in part is no outcome
                raise KeyboardInterrupt
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
