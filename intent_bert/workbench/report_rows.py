"""What a report tells of every sentence, as a DataFrame: label, prediction, how sure, right or not, in scope or not.

    row, text, label, prediction, right, confidence, in_scope, score, judged
    of one intent a sentence:       label_probability, runner_up
    of several intents a sentence:  found, missed, added (tuples)

``judged`` is False for rows of the label that means none of the intents: no metric but those of scope counts them.
Confidence is that of the prediction; of several intents, of what is surest among what is wrong, or that of the
likeliest intent in a row that is right.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.config import LABEL_SEPARATOR
from intent_bert.data.label_sets import all_labels, joined, label_matrix
from intent_bert.data.labels import label_ids
from intent_bert.evaluation.metrics import NO_INTENT_NAME
from intent_bert.model.decision import NO_INTENT
from intent_bert.workbench.judging import Judged

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.model.decision import Decision


def rows_of_one(
    judged: Judged, decision: "Decision", classes: list[str], unknown_label: str | None = None
) -> "pd.DataFrame":
    """The rows of a model that gives one intent a sentence."""
    import pandas as pd

    probabilities, numbers, _ = judged.predictions
    labels = [str(label) for label in judged.labels]
    expected, at = label_ids(labels, classes), np.arange(len(labels))
    rest = probabilities.copy()
    rest[at, rest.argmax(axis=1)] = -1
    names = np.array([*classes, NO_INTENT_NAME], object)
    given = np.where(expected >= 0, probabilities[at, expected], np.nan)
    confidence = np.where(numbers == NO_INTENT, 0, probabilities[at, numbers])
    return pd.DataFrame(
        {
            **_common(judged, labels, names[numbers], (numbers == expected) & (expected >= 0), confidence, decision),
            "judged": [label != unknown_label for label in labels],
            "label_probability": given,
            "runner_up": names[rest.argmax(axis=1)],
        }
    )


def rows_of_several(
    judged: Judged, decision: "Decision", classes: list[str], separator: str = LABEL_SEPARATOR
) -> "pd.DataFrame":
    """The rows of a model that gives several intents a sentence."""
    import pandas as pd

    probabilities = judged.predictions.probabilities
    names = all_names(judged, classes)
    expected, chosen = label_sets(judged, decision, classes)
    missed, added = expected & ~chosen, chosen & ~expected
    given = np.zeros(expected.shape, "float32")
    given[:, : len(classes)] = probabilities
    wrong = np.maximum(np.where(added, given, 0), np.where(missed, 1 - given, 0)).max(axis=1)
    right = ~(missed | added).any(axis=1)
    confidence = np.where(right, probabilities.max(axis=1), wrong)
    predicted = [joined(named, separator) or NO_INTENT_NAME for named in _named(chosen, names)]
    labels = [joined(each, separator) for each in judged.labels]
    return pd.DataFrame(
        {
            **_common(judged, labels, predicted, right, confidence, decision),
            "judged": True,
            "found": _named(expected & chosen, names),
            "missed": _named(missed, names),
            "added": _named(added, names),
        }
    )


def all_names(judged: Judged, classes: list[str]) -> list[str]:
    """The model's intents, then what else stands in the table."""
    return list(dict.fromkeys([*classes, *map(str, all_labels(judged.labels))]))


def label_sets(judged: Judged, decision: "Decision", classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and chosen intents, bool (N, L) each, in the order of ``all_names``."""
    expected = label_matrix(judged.labels, all_names(judged, classes))
    chosen = np.zeros_like(expected)
    chosen[:, : len(classes)] = decision.chosen(judged.predictions)
    return expected, chosen


def _common(
    judged: Judged, labels: Any, predicted: Any, right: np.ndarray, confidence: np.ndarray, decision: "Decision"
) -> dict[str, Any]:
    scores, threshold = judged.predictions.scores, decision.threshold
    tells = threshold is not None and not np.isnan(scores).any()
    return {
        "row": list(judged.table.index),
        "text": judged.texts,
        "label": labels,
        "prediction": predicted,
        "right": right,
        "confidence": confidence.astype("float64"),
        "in_scope": scores >= threshold if tells else None,
        "score": scores.astype("float64"),
    }


def _named(matrix: np.ndarray, names: list[str]) -> list[tuple[str, ...]]:
    return [tuple(names[number] for number in np.flatnonzero(row)) for row in matrix]
