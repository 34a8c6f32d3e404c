"""Labels of a test table that may be wrong: the model is very sure of something else, and the neighbours agree.

A row is suspected where the label's probability is below ``LEAST`` and that of another intent at least ``SURE``, and
where most of the nearest training sentences have that intent. The neighbours are asked in the tuned vector, among the
sentences whose vectors the model folder keeps (without their text); a folder that keeps none is taken at its word.
Of several intents a sentence, each label and each intent is looked at on its own, and no neighbour is asked.

It is a reason to look, no proof: what is wrong may also be the model.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.workbench.report_rows import all_names, label_sets

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.inference.predictor import IntentPredictor
    from intent_bert.workbench.judging import Judged

LEAST, SURE = 0.05, 0.9
NEIGHBOURS = 5
COLUMNS = ("row", "text", "label", "proposal", "confidence", "label_probability", "neighbours")


def suspected_labels(rows: "pd.DataFrame", predictor: "IntentPredictor", judged: "Judged") -> "pd.DataFrame":
    """The suspects with ``COLUMNS``, the surest first; ``neighbours`` is how many of five agree, or None."""
    import pandas as pd

    found = _of_several(rows, predictor, judged) if predictor.multi_label else _of_one(rows, predictor)
    return pd.DataFrame(found, columns=list(COLUMNS)).sort_values("confidence", ascending=False, kind="stable")


def _of_one(rows: "pd.DataFrame", predictor: "IntentPredictor") -> list[tuple[Any, ...]]:
    doubtful = rows[
        rows["judged"] & ~rows["right"] & (rows["confidence"] >= SURE) & (rows["label_probability"] < LEAST)
    ]
    if doubtful.empty:
        return []
    scope, vectors = predictor.decision.scope, predictor.outputs(list(doubtful["text"])).vectors
    agreeing: list[int | None] = [None] * len(doubtful)
    needed = 0
    if scope is not None and vectors.shape[1]:
        nearest = scope.nearest_intents(vectors, NEIGHBOURS)
        numbers = {str(label): number for number, label in enumerate(predictor.classes)}
        proposed = np.array([numbers[name] for name in doubtful["prediction"]])
        agreeing = (nearest == proposed[:, None]).sum(axis=1).tolist()
        needed = nearest.shape[1] // 2 + 1
    names = ["row", "text", "label", "prediction", "confidence", "label_probability"]
    cells = doubtful[names].itertuples(index=False, name=None)
    return [(*row, agree) for row, agree in zip(cells, agreeing, strict=True) if agree is None or agree >= needed]


def _of_several(rows: "pd.DataFrame", predictor: "IntentPredictor", judged: "Judged") -> list[tuple[Any, ...]]:
    classes = [str(label) for label in predictor.classes]
    expected = label_sets(judged, predictor.decision, classes)[0][:, : len(classes)]
    probabilities, names = judged.predictions.probabilities, all_names(judged, classes)
    lacking = ~expected & (probabilities >= SURE)
    wrong = expected & (probabilities < LEAST)
    found: list[tuple[Any, ...]] = []
    for place, column in np.argwhere(lacking | wrong).tolist():
        row, text, label = rows.loc[place, ["row", "text", "label"]]
        likely = float(probabilities[place, column])
        sign, sure = ("+", likely) if lacking[place, column] else ("-", 1 - likely)
        found.append((row, text, label, f"{sign} {names[column]}", sure, likely if sign == "-" else None, None))
    return found
