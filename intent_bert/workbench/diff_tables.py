"""The figures of a comparison, from what both models said to each row (two_models.py)."""

from collections import Counter
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from intent_bert.evaluation.calibration import expected_calibration_error
from intent_bert.evaluation.significance import holm, mcnemar_of_counts, paired_interval, wilson_interval
from intent_bert.workbench.differences import Judgement, ModelDifference, ModelFacts
from intent_bert.workbench.two_models import BROKE, CHANGED, MENDED, Answers, Side

if TYPE_CHECKING:
    import pandas as pd


def difference_of(
    answers: Answers,
    labels: "Counter[str]",
    table: str,
    models: Sequence[tuple[str, int | None]],
    unknown_label: str | None,
    tolerance: float,
    significance: float,
) -> ModelDifference:
    """The difference between OLD and NEW.

    Args:
        answers: what they said.
        labels: how often each label stands in the table.
        table: what that is called.
        models: what OLD and NEW are called, and the bytes of their files.
        unknown_label: of rows that mean none of the intents.
        tolerance, significance: what "worse" is measured by.
    """
    known = ~answers.unknown
    shared = int(answers.shared.sum())
    return ModelDifference(
        table=table,
        multi_label=answers.old.predictor.multi_label,
        old=_facts(answers.old, known, answers.support, *models[0]),
        new=_facts(answers.new, known, answers.support, *models[1]),
        all=_judgement(answers, known),
        shared=_judgement(answers, answers.shared) if 0 < shared < known.sum() else None,
        added=_only_of(answers, answers.new, answers.old),
        removed=_only_of(answers, answers.old, answers.new),
        unknown_labels=_known_to_neither(answers, labels, unknown_label),
        unknown=_judged_unknown(answers),
        tolerance=tolerance,
        significance=significance,
        per_intent=_per_intent(answers),
        changes=_changes(answers),
    )


def bytes_of(model: str | PathLike, engine: str) -> int:
    """The bytes of the files that predictions on this engine need."""
    from intent_bert.bert.tokenization import TOKENIZER_CONFIG_FILE, VOCAB_FILE
    from intent_bert.inference.engines import ENGINE_FILES
    from intent_bert.model.folder import CONFIG_FILE, LABELS_FILE, SCOPE_FILE, WEIGHTS_FILE

    path = Path(model)
    if path.is_file():  # sealed
        return path.stat().st_size
    names = (CONFIG_FILE, LABELS_FILE, VOCAB_FILE, TOKENIZER_CONFIG_FILE, SCOPE_FILE)
    files = [path / name for name in (*names, ENGINE_FILES.get(engine, WEIGHTS_FILE))]
    return sum(file.stat().st_size for file in files if file.is_file())


def _facts(side: Side, known: np.ndarray, support: np.ndarray, name: str, size: int | None) -> ModelFacts:
    right, confidence = side.right[known], side.confidence[known].astype("float64")
    decision = side.predictor.decision
    multi_label = side.predictor.multi_label
    present = (support + side.predicted) > 0
    f1 = _f1(side, support)[present]
    return ModelFacts(
        model=name,
        engine=side.predictor.engine,
        intents=len(side.places),
        accuracy=float(right.mean()),
        accuracy_interval=wilson_interval(int(right.sum()), len(right)),
        macro_f1=float(f1.mean()) if len(f1) else 0.0,
        confidence=float(confidence.mean()),
        confidence_right=_mean(confidence[right]),
        confidence_wrong=_mean(confidence[~right]),
        ece=None if multi_label else expected_calibration_error(confidence, right),
        temperature=decision.temperature,
        threshold=None if decision.threshold is None else float(decision.threshold),
        in_scope=_mean(side.in_scope[known]) if len(side.in_scope) else None,
        bytes=size,
        sentences_a_second=median(side.speeds),
        milliseconds_alone=1000 * median(side.alone),
    )


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _f1(side: Side, support: np.ndarray) -> np.ndarray:
    return 2 * side.hits / np.maximum(support + side.predicted, 1)


def _judgement(answers: Answers, rows: np.ndarray) -> Judgement:
    """Of some of the rows, bool (rows,)."""
    changed = answers.changed & rows
    return Judgement.of(answers.old.right[rows], answers.new.right[rows], int(changed.sum()))


def _judged_unknown(answers: Answers) -> Judgement | None:
    can_tell = len(answers.old.in_scope) and len(answers.new.in_scope)
    return _judgement(answers, answers.unknown) if answers.unknown.any() and can_tell else None


def _only_of(answers: Answers, side: Side, other: Side) -> dict[str, dict[str, int]]:
    """The intents that this model has and the other lacks."""
    only = sorted(set(side.places.tolist()) - set(other.places.tolist()))
    return {
        answers.names[place]: {"rows": int(answers.support[place]), "found": int(side.hits[place])} for place in only
    }


def _known_to_neither(answers: Answers, labels: "Counter[str]", unknown_label: str | None) -> dict[str, int]:
    known = {answers.names[place] for side in (answers.old, answers.new) for place in side.places.tolist()}
    return {label: count for label, count in labels.items() if label not in known and label != unknown_label}


def _per_intent(answers: Answers) -> "pd.DataFrame":
    import pandas as pd

    old, new, rows = answers.old, answers.new, answers.support
    in_old, in_new = (np.isin(np.arange(len(rows)), side.places) for side in (old, new))
    found = {"old": old.hits / np.maximum(rows, 1), "new": new.hits / np.maximum(rows, 1)}
    known_to = np.select([in_old & in_new, in_old, in_new], ["both", "old", "new"], "neither")
    table = pd.DataFrame({"intent": answers.names, "known_to": known_to, "rows": rows})
    for name, side in (("old", old), ("new", new)):
        table[name] = np.where(rows > 0, found[name], np.nan)
        table[[f"{name}_low", f"{name}_high"]] = _intervals(wilson_interval, side.hits, rows)
    table["difference"] = np.where(rows > 0, (answers.mended - answers.broke) / np.maximum(rows, 1), np.nan)
    table[["low", "high"]] = _intervals(paired_interval, answers.broke, answers.mended, rows)
    table["mended"], table["broke"] = answers.mended, answers.broke
    p_values = [
        mcnemar_of_counts(*each[:2]) if each[2] else float("nan")
        for each in zip(answers.broke.tolist(), answers.mended.tolist(), rows.tolist(), strict=True)
    ]
    table["p_value"] = holm(p_values)
    table["old_f1"], table["new_f1"] = _f1(old, rows), _f1(new, rows)
    kept = table[(rows > 0) | (old.predicted + new.predicted > 0) | (table["known_to"] != "neither")]
    return kept.sort_values(["difference", "broke"], ascending=[True, False], kind="stable", ignore_index=True)


def _intervals(interval: Callable[..., tuple[float, float]], *counts: np.ndarray) -> np.ndarray:
    """Float64 (L, 2); the last counts are the rows, and where there are none there is no interval."""
    lines = zip(*(each.tolist() for each in counts), strict=True)
    return np.array([interval(*line) if line[-1] else (np.nan, np.nan) for line in lines]).reshape(-1, 2)


def _changes(answers: Answers) -> "pd.DataFrame":
    import pandas as pd

    columns = ["row", "text", "label", "kind", "old", "new", "old_confidence", "new_confidence"]
    order = {BROKE: 0, CHANGED: 1, MENDED: 2}
    rows = sorted(answers.changes, key=lambda each: (order[each[3]], -each[7]))
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    if not answers.old.predictor.multi_label:
        for column in ("label", "old", "new"):
            table[column] = pd.Series([each[0] if each else None for each in table[column]], dtype=object)
    return table.astype({"old_confidence": "float64", "new_confidence": "float64"})
