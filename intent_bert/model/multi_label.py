"""The decision of a model whose sentences have several intents, or none: a probability and a threshold for each intent.

    logits   (N, C)  ->  sigmoid  ->  probabilities (N, C)  ->  at least its threshold?  ->  chosen, bool (N, C)

Thresholds are fitted on rows that the weights have not seen: one for all intents, where micro F1 is best, and one of
its own for an intent with enough rows there, where its F1 is best. With numpy alone.

A text without a word in it has no intent, and its probabilities are 0.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from intent_bert.errors import ModelFolderError
from intent_bert.model.decision import NO_INTENT, Answer, Decision, Predictions
from intent_bert.model.outputs import Outputs

if TYPE_CHECKING:
    from intent_bert.data.labels import Label

DEFAULT_THRESHOLD = 0.5
ROWS_FOR_A_THRESHOLD = 20  # of an intent among the held-out rows, to have a threshold of its own
MOST_BY_CHANCE = 0.05  # of F1, that are given for a threshold nearer to 0.5
_SCORES = "sigmoid"
_HIGHEST_LOGIT = 80.0  # beyond, float32 has no probability left between this one and 0


@dataclass(frozen=True)
class MultiLabelDecision(Decision):
    """Which intents a sentence has: those whose probability reaches their threshold.

    Attributes:
        thresholds: of each intent, in the order of the classes.
        fitted_on: how many held-out rows they come from; 0 where there were none, and all are 0.5.
    """

    thresholds: tuple[float, ...] = ()
    fitted_on: int = 0
    multi_label: ClassVar[bool] = True

    @classmethod
    def unfitted(cls, number_of_classes: int) -> Self:
        """The decision where no rows were held out."""
        return cls(thresholds=(DEFAULT_THRESHOLD,) * number_of_classes)

    @classmethod
    def fitted(cls, probabilities: np.ndarray, expected: np.ndarray) -> Self:
        """The decision for these held-out rows: float (N, C) and bool (N, C)."""
        return cls(thresholds=tuple(fit_thresholds(probabilities, expected).tolist()), fitted_on=len(expected))

    def predictions(self, outputs: Outputs, wordless: np.ndarray) -> Predictions:
        """The predictions for these outputs; the number is that of the likeliest intent among the chosen."""
        probabilities = sigmoid(outputs.logits)
        probabilities[wordless] = 0
        chosen = self._reached(probabilities)
        likeliest = np.where(chosen, probabilities, -1).argmax(axis=1)
        scores = (probabilities - np.array(self.thresholds, "float32")).max(axis=1)
        return Predictions(probabilities, np.where(chosen.any(axis=1), likeliest, NO_INTENT), scores)

    @property
    def threshold(self) -> float:
        """A score is by how much the surest intent is above its own threshold."""
        return 0.0

    def chosen(self, predictions: Predictions) -> np.ndarray:
        """Which intents each sentence has, bool (N, C)."""
        return self._reached(predictions.probabilities)

    def _reached(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities >= np.array(self.thresholds, "float32")

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``config.json``."""
        return {"scores": _SCORES, "thresholds": list(self.thresholds), "fitted_on": self.fitted_on}

    @classmethod
    def from_dict(cls, values: dict[str, Any], read_arrays: Callable[[], Any] | None = None) -> Self:
        """Read what ``to_dict`` gave.

        Raises:
            ModelFolderError: it holds something that this version does not know.
        """
        thresholds = values.get("thresholds")
        if (
            set(values) != {"scores", "thresholds", "fitted_on"}
            or not isinstance(thresholds, list)
            or not all(isinstance(each, float) and 0 < each <= 1 for each in thresholds)
            or not isinstance(values["fitted_on"], int)
        ):
            raise ModelFolderError(f"the model decides in a way that this version does not know ({values})")
        return cls(thresholds=tuple(thresholds), fitted_on=values["fitted_on"])


def decision_of(values: dict[str, Any], read_arrays: Callable[[], Any]) -> Decision:
    """The decision that stands in ``config.json``; ``read_arrays`` gives what stands beside it.

    Raises:
        ModelFolderError: it holds something that this version does not know.
    """
    kind = MultiLabelDecision if values.get("scores") == _SCORES else Decision
    return kind.from_dict(values, read_arrays)


def intents_of(
    probabilities: np.ndarray, chosen: np.ndarray, classes: "Sequence[Label]", k: int
) -> tuple[list[Answer], list[Answer]]:
    """The k likeliest intents of a sentence, or as many as it has, and those that it has; the likeliest first.

    Args:
        probabilities: float (C,); all 0 for a text without a word in it, which has neither.
        chosen: bool (C,).
        classes: the intents.
        k: how many to name.
    """
    if not probabilities.any():
        return [], []
    order = np.argsort(-probabilities, kind="stable")
    named = [(Answer(classes[number], float(probabilities[number])), bool(chosen[number])) for number in order]
    intents = [answer for answer, has in named if has]
    return [answer for answer, _ in named[: max(k, len(intents))]], intents


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, C) of logits (N, C), float32, none of them 0."""
    kept = np.clip(logits.astype("float64"), -_HIGHEST_LOGIT, _HIGHEST_LOGIT)
    return (1 / (1 + np.exp(-kept))).astype("float32")


def fit_thresholds(probabilities: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The threshold of each intent, float64 (C,), from probabilities (N, C) and labels bool (N, C)."""
    shared = best_threshold(probabilities.ravel(), expected.ravel())
    own = expected.sum(axis=0) >= ROWS_FOR_A_THRESHOLD
    columns: Iterable[int] = range(expected.shape[1])
    return np.array(
        [best_threshold(probabilities[:, each], expected[:, each]) if own[each] else shared for each in columns]
    )


def best_threshold(probabilities: np.ndarray, expected: np.ndarray) -> float:
    """The threshold nearest to 0.5 whose F1 is as good as the best, but for what two rows can change by chance.

    >>> best_threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    0.5

    Args:
        probabilities: float (M,).
        expected: bool (M,); without a True in it the threshold is ``DEFAULT_THRESHOLD``.
    """
    if not expected.any():
        return DEFAULT_THRESHOLD
    order = np.argsort(-probabilities, kind="stable")
    falling = np.clip(probabilities[order].astype("float64"), 1e-9, 1 - 1e-9)
    logits = np.log(falling) - np.log1p(-falling)
    below = np.append(logits[1:], min(logits[-1], -logits[0]) - 1)  # the likeliest that is not taken
    taken = np.arange(1, len(order) + 1)
    f1 = 2 * np.cumsum(expected[order]) / (taken + expected.sum())
    f1[logits == below] = -1  # equal ones are taken together
    good = f1 >= f1.max() - min(1 / expected.sum(), MOST_BY_CHANCE)
    margin = (logits - below) / 4  # from the probabilities on both sides
    nearest = np.clip(0.0, below + margin, logits - margin)[good]
    return float(1 / (1 + np.exp(-nearest[np.abs(nearest).argmin()])))
