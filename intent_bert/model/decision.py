"""What the network's outputs mean: logits and vectors -> probabilities -> the prediction. With numpy alone.

Every road goes through here: ``predict``, ``predict_proba``, ``evaluate``, ``IntentClassifier``, files, the checks of
exports.

A text without a word in it (empty, or white space: its ids are [CLS] [SEP] alone) has no intent: its prediction is
None with confidence 0, its probabilities are all alike, and where it has a label the prediction counts as wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from intent_bert.errors import ModelFolderError

if TYPE_CHECKING:
    from intent_bert.data.labels import Label

NO_INTENT = -1  # in place of a label's number
_SCORES = "softmax"


class Outputs(NamedTuple):
    """What an engine computes for N sentences; ``vectors`` has no columns where an older export gives none."""

    logits: np.ndarray  # float32 (N, C)
    vectors: np.ndarray  # float32 (N, F)


class Answer(NamedTuple):
    """An intent and its probability; ``intent`` is None, with confidence 0, for a text without a word in it."""

    intent: "Label | None"
    confidence: float


class Predictions(NamedTuple):
    """What N sentences mean."""

    probabilities: np.ndarray  # float32 (N, C)
    numbers: np.ndarray  # int64 (N,), of the predicted intent among the classes, or NO_INTENT


@dataclass(frozen=True)
class Decision:
    """How outputs become predictions; it is part of the model folder."""

    multi_label: ClassVar[bool] = False

    def predictions(self, outputs: Outputs, wordless: np.ndarray) -> Predictions:
        """The predictions for these outputs; ``wordless``, bool (N,), says which texts have no word in them."""
        probabilities = softmax(outputs.logits)
        probabilities[wordless] = 1 / outputs.logits.shape[1]
        return Predictions(probabilities, np.where(wordless, NO_INTENT, probabilities.argmax(axis=1)))

    def chosen(self, predictions: Predictions) -> np.ndarray:
        """Which intents each sentence has, bool (N, C): here the predicted one, or none."""
        return predictions.numbers[:, None] == np.arange(predictions.probabilities.shape[1])

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``config.json``."""
        return {"scores": _SCORES}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what ``to_dict`` gave.

        Raises:
            ModelFolderError: it holds something that this version does not know.
        """
        if values != {"scores": _SCORES}:
            raise ModelFolderError(f"the model decides in a way that this version does not know ({values})")
        return cls()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, C) of logits (N, C), float32."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype("float32")


def is_wordless(ids: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
    """Which sentences hold [CLS] and [SEP] alone: ids of N sentences -> bool (N,)."""
    return np.fromiter((len(sentence) == 2 for sentence in ids), bool, len(ids))


def ranking(probabilities: np.ndarray, number: int, classes: "Sequence[Label]", k: int) -> list[Answer]:
    """The k likeliest intents of a sentence, the likeliest first; none where it has no intent."""
    if number == NO_INTENT:
        return []
    best = np.argsort(-probabilities, kind="stable")[:k]
    return [Answer(classes[index], float(probabilities[index])) for index in best]
