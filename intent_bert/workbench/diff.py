"""Compare a model with its successor on a table that both answer.

difference = diff_models("runs/old", "runs/new", "test.csv")
difference.worse            bool: what ``intent-bert diff`` exits with 3 for
difference.per_intent       DataFrame, the intent that lost most first
difference.changes          DataFrame, the rows that the two answer differently
"""

from collections import Counter
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.config import INTENT, TEXT
from intent_bert.data.cells import shown
from intent_bert.data.streaming import chunks
from intent_bert.errors import DataError, SettingsError
from intent_bert.evaluation.significance import SIGNIFICANT
from intent_bert.workbench.diff_tables import bytes_of, difference_of
from intent_bert.workbench.differences import ModelDifference
from intent_bert.workbench.two_models import ROWS, answers_of, counted

if TYPE_CHECKING:
    from intent_bert.data.tables import Source
    from intent_bert.inference.predictor import IntentPredictor

_NAMED = 3  # intents in a sentence


def diff_models(
    old: "str | PathLike | IntentPredictor",
    new: "str | PathLike | IntentPredictor",
    table: "Source",
    *,
    text_column: str = TEXT,
    label_column: str = INTENT,
    label_separator: str | None = None,
    unknown_label: str | None = None,
    tolerance: float = 0.0,
    significance: float = SIGNIFICANT,
    engine: str = "auto",
    verbose: int = 0,
) -> ModelDifference:
    """Compare two models on a labelled table that neither has learnt from.

    Args:
        old, new: model folders, or predictors (``IntentPredictor.load(folder, engine=...)``).
        table: a path, a DataFrame, or a pair (texts, labels). A file is read twice, and never held whole.
        text_column, label_column: its columns.
        label_separator: what joins the labels of a row, for multi-label models; as in training by default.
        unknown_label: rows with this label mean none of the intents, and are judged by whether they are refused.
        tolerance: how much accuracy, as a share of the rows, NEW may lose.
        significance: the p-value below which a loss counts, however small it is; 0 asks for ``tolerance`` alone.
        engine: what computes for folders, as in ``IntentPredictor.load``.
        verbose: 1 shows bars on stderr, where it takes over two seconds.

    Raises:
        SettingsError: the models have no intent in common, or one gives one intent a sentence and the other several; a
            tolerance that is no share.
        DataError: the table can't be read, or has no label that a model knows.
        ModelFolderError: a folder can't be used.
    """
    _check_share("tolerance", tolerance)
    _check_share("significance", significance)
    facts = [_opened(each, name, engine) for each, name in ((old, "old"), (new, "new"))]
    predictors = [predictor for predictor, _, _ in facts]
    _check_kinds(predictors, [name for _, name, _ in facts])
    separator = _separator(predictors, label_separator)
    _check_unknown_label(predictors, unknown_label)

    def parts(description: str) -> Any:
        title = description if verbose else None
        return chunks(table, text_column, label_column, separator, rows=ROWS, description=title)

    labels, rows = counted(parts("reading"))
    name = str(table) if isinstance(table, str | PathLike) else getattr(table, "attrs", {}).get("source", "the table")
    _check_labels(predictors, labels, name, unknown_label)
    answers = answers_of(predictors[0], predictors[1], labels, rows, parts("comparing"), unknown_label)
    return difference_of(
        answers, labels, name, [each[1:] for each in facts], unknown_label, float(tolerance), float(significance)
    )


# --- what can't be compared --------------------------------------------------------------------------------------


def _check_share(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise SettingsError(f"{name} must be a share from 0 to 1, such as 0.01, not {shown(value)}")


def _opened(
    model: "str | PathLike | IntentPredictor", name: str, engine: str
) -> tuple["IntentPredictor", str, int | None]:
    """A predictor, what it is called, and the bytes of its files."""
    from intent_bert.inference.predictor import IntentPredictor

    if isinstance(model, IntentPredictor):
        return model, name, None
    predictor = IntentPredictor.load(model, engine=engine)
    return predictor, str(model), bytes_of(model, predictor.engine)


def _check_kinds(predictors: "list[IntentPredictor]", names: list[str]) -> None:
    old, new = predictors
    if old.multi_label != new.multi_label:
        several, one = names if old.multi_label else reversed(names)
        raise SettingsError(
            f"can't compare {names[0]} and {names[1]}: {several} gives several intents a sentence (multi-label), {one} "
            "gives one; name two models of the same kind"
        )
    if not set(map(str, old.classes)) & set(map(str, new.classes)):
        lists = [_some(predictor.classes) for predictor in predictors]
        raise SettingsError(
            f"{names[0]} and {names[1]} have no intent in common ({lists[0]}; {lists[1]}): name two models of one task"
        )


def _some(labels: Any) -> str:
    named = ", ".join(shown(str(label))[1:-1] for label in list(labels)[:_NAMED])
    return named + (f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else "")


def _separator(predictors: "list[IntentPredictor]", given: str | None) -> str | None:
    old, new = predictors
    if not old.multi_label:
        if given is not None:
            raise SettingsError("a label separator is for multi-label models, but these give one intent a sentence")
        return None
    if given is None and old.label_separator != new.label_separator:
        raise SettingsError(
            f"the models learnt from tables whose labels are joined by {old.label_separator!r} and "
            f"{new.label_separator!r}: say which this table has (--label-separator)"
        )
    return given or old.label_separator


def _check_unknown_label(predictors: "list[IntentPredictor]", label: str | None) -> None:
    if label is None:
        return
    if predictors[0].multi_label:
        raise SettingsError(
            "an unknown label is for models of one intent a sentence: give sentences that no intent fits an empty label"
        )
    if any(label in map(str, predictor.classes) for predictor in predictors):
        raise SettingsError(f"{label!r} is an intent of a model: name the label of sentences that mean none of them")


def _check_labels(
    predictors: "list[IntentPredictor]", labels: "Counter[str]", table: str, unknown_label: str | None
) -> None:
    if unknown_label is not None and unknown_label not in labels:
        raise SettingsError(f"no row of {table} has the label {unknown_label!r}")
    known = {str(label) for predictor in predictors for label in predictor.classes}
    if predictors[0].multi_label and not labels:  # sentences that no intent fits, alone
        return
    if not known & set(labels):
        raise DataError(
            f"{table} has no label that a model knows: it has {_some(labels)}, they know {_some(sorted(known))}; see "
            "--label-column"
        )
