"""A labelled table read for a model, and the model judged by it: predictions, metrics, how long it took.

    table, separator = labelled_table(folder, "test.csv")
    judged = judge(predictor, table, separator)      judged.evaluation, judged.predictions

What ``evaluate`` prints and ``report`` shows comes from here; what is made of it is not known here.
"""

from dataclasses import dataclass
from os import PathLike
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.config import INTENT, LABEL_SEPARATOR, TEXT
from intent_bert.data.tables import Source, read_table
from intent_bert.data.unknown import check_unknown_label
from intent_bert.errors import DataError, SettingsError
from intent_bert.files.progress import progress_bar
from intent_bert.model.decision import Predictions

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.evaluation.multi_label import AnyEvaluation
    from intent_bert.inference.predictor import IntentPredictor
    from intent_bert.model.folder import ModelFolder

AT_ONCE = 512


@dataclass(frozen=True)
class Judged:
    """What a model makes of N labelled sentences.

    Attributes:
        table: columns text and intent; its index numbers the rows as their owner sees them.
        predictions: of the N.
        evaluation: the metrics.
        seconds: that the predictions took.
    """

    table: "pd.DataFrame"
    predictions: Predictions
    evaluation: "AnyEvaluation"
    seconds: float

    @property
    def texts(self) -> list[str]:
        """The N sentences."""
        return list(self.table[TEXT])

    @property
    def labels(self) -> list[Any]:
        """Their labels, or label sets."""
        return list(self.table[INTENT])


def labelled_table(
    folder: "ModelFolder",
    source: Source,
    text_column: str = TEXT,
    label_column: str = INTENT,
    label_separator: str | None = None,
    unknown_label: str | None = None,
) -> tuple["pd.DataFrame", str]:
    """A table as this model can be judged by, and what joins its labels.

    Args:
        folder: the model.
        source, text_column, label_column: as in ``read_table``.
        label_separator: for a multi-label model; that of its training by default.
        unknown_label: of sentences that mean none of the intents.

    Raises:
        DataError: the table can't be used, or has unknown sentences alone.
        SettingsError: an option that this kind of model has no use for, or a label that no row has.
    """
    several = folder.decision.multi_label
    if label_separator and not several:
        raise SettingsError(
            f"--label-separator is for a multi-label model, but {folder.path} gives one intent a sentence"
        )
    separator: str = label_separator or folder.config["settings"].get("label_separator", LABEL_SEPARATOR)
    table = read_table(source, text_column, label_column, separator if several else None)
    if unknown_label is not None and several:
        raise SettingsError(
            f"--unknown-label is for one intent a sentence, but {folder.path} is a multi-label model: give sentences "
            "that no intent fits an empty label"
        )
    check_unknown_label(unknown_label, table, folder.classes)
    if unknown_label is not None and (table[INTENT].map(str) == unknown_label).all():
        raise DataError(
            f"{_name(source, table)} has unknown sentences alone: put them into one table with sentences in scope, "
            "which they are to be told from"
        )
    return table, separator


def _name(source: Source, table: "pd.DataFrame") -> str:
    return str(source) if isinstance(source, str | PathLike) else str(table.attrs.get("source", "the table"))


def judge(
    predictor: "IntentPredictor",
    table: "pd.DataFrame",
    separator: str = LABEL_SEPARATOR,
    unknown_label: str | None = None,
    description: str | None = "evaluating",
) -> Judged:
    """Predict the sentences of a table that ``labelled_table`` gave, and compare them with its labels."""
    from intent_bert.evaluation.multi_label import evaluate_predictions

    texts, parts, started = list(table[TEXT]), [], perf_counter()
    with progress_bar(len(texts), description, "sentence", delay=2, leave=False) as bar:
        for first in range(0, len(texts), AT_ONCE):
            parts.append(predictor.predictions(texts[first : first + AT_ONCE]))
            bar.update(len(parts[-1].numbers))
    predictions = Predictions(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    seconds = perf_counter() - started
    evaluation = evaluate_predictions(
        predictor.decision, texts, list(table[INTENT]), predictions, predictor.classes, separator, unknown_label
    )
    return Judged(table, predictions, evaluation, seconds)
