"""What the network's outputs mean: logits and vectors -> probabilities -> the prediction. With numpy alone.

Every road goes through here: ``predict``, ``predict_proba``, ``evaluate``, ``IntentClassifier``, files, the checks of
exports.

A text without a word in it (empty, or white space: its ids are [CLS] [SEP] alone) has no intent: its prediction is
None with confidence 0, its probabilities are all alike, and where it has a label the prediction counts as wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from intent_bert.errors import ModelFolderError, SettingsError
from intent_bert.model.calibration import Calibration
from intent_bert.model.outputs import Outputs
from intent_bert.model.scope import Scope

if TYPE_CHECKING:
    from intent_bert.data.labels import Label

NO_INTENT = -1  # in place of a label's number
_SCORES = "softmax"


class Answer(NamedTuple):
    """An intent and its probability; ``intent`` is None, with confidence 0, for a text without a word in it."""

    intent: "Label | None"
    confidence: float


class Prediction(NamedTuple):
    """All that is known of one sentence.

    Attributes:
        answer: the predicted intent; None where there is none, or where it was rejected.
        ranking: the likeliest intents, the likeliest first; empty for a text without a word in it.
        intents: those that the sentence has, one at most unless the model is a multi-label one.
        in_scope: whether the sentence is one of those that the intents are made for; None where the model can't tell.
        score: how much so, higher is more; None where the model can't tell.
    """

    answer: Answer
    ranking: list[Answer]
    intents: list[Answer]
    in_scope: bool | None
    score: float | None


class Predictions(NamedTuple):
    """What N sentences mean."""

    probabilities: np.ndarray  # float32 (N, C)
    numbers: np.ndarray  # int64 (N,), of the predicted intent among the classes, or NO_INTENT
    scores: np.ndarray  # float32 (N,), higher: more in scope; NaN where the model can't tell


@dataclass(frozen=True)
class Decision:
    """How outputs become predictions; it is part of the model folder.

    Attributes:
        calibration: the temperature that the logits are divided by; None where no held-out sentences told it.
        scope: what tells sentences in scope from others; None where the model was saved without.
    """

    multi_label: ClassVar[bool] = False
    calibration: Calibration | None = None
    scope: Scope | None = field(default=None, compare=False)

    @property
    def temperature(self) -> float:
        """What the logits are divided by."""
        return 1.0 if self.calibration is None else self.calibration.temperature

    @property
    def threshold(self) -> float | None:
        """The score from which on a sentence is in scope."""
        return None if self.scope is None or self.scope.threshold is None else self.scope.threshold.value

    def predictions(self, outputs: Outputs, wordless: np.ndarray) -> Predictions:
        """The predictions for these outputs; ``wordless``, bool (N,), says which texts have no word in them."""
        predicted = outputs.logits.argmax(axis=1)
        probabilities = self.probabilities(outputs.logits)
        probabilities[wordless] = 1 / outputs.logits.shape[1]
        if self.scope is None or not outputs.layers.shape[1]:
            scores = np.full(len(predicted), np.nan, "float32")
        else:
            scores = self.scope.scores(outputs, predicted, wordless)
        return Predictions(probabilities, np.where(wordless, NO_INTENT, predicted), scores)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities (N, C) of logits (N, C), float32."""
        return softmax(logits / np.float32(self.temperature))

    def check_threshold(self, folder: str | PathLike | None = None) -> None:
        """Raise SettingsError where the model, that of a folder, can't tell which sentences are in scope."""
        if self.threshold is None:
            named = "the model" if folder is None else f"the model in {folder}"
            raise SettingsError(
                f"{named} can't tell which sentences are in scope: intent-bert calibrate {folder or 'MODEL_DIR'} "
                "TABLE, with labelled sentences that training has not seen, adds what it needs"
            )

    def chosen(self, predictions: Predictions) -> np.ndarray:
        """Which intents each sentence has, bool (N, C): here the predicted one, or none."""
        return predictions.numbers[:, None] == np.arange(predictions.probabilities.shape[1])

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``config.json``, without the arrays of ``scope``."""
        return {
            "scores": _SCORES,
            "calibration": None if self.calibration is None else self.calibration._asdict(),
            "scope": None if self.scope is None else self.scope.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], read_arrays: Callable[[], Any] | None = None) -> Self:
        """Read what ``to_dict`` gave; ``read_arrays`` gives those of ``scope``.

        Raises:
            ModelFolderError: it holds something that this version does not know.
        """
        known = {"scores", "calibration", "scope"}
        if values.get("scores") != _SCORES or not known.issuperset(values):
            raise ModelFolderError(f"the model decides in a way that this version does not know ({values})")
        calibration, scope = values.get("calibration"), values.get("scope")
        try:
            calibration = None if calibration is None else Calibration(**calibration)
        except TypeError as error:
            raise ModelFolderError(f"the model's calibration can't be read ({error})") from error
        if scope is not None:
            scope = Scope.from_dict(scope, None if read_arrays is None else read_arrays())
        return cls(calibration, scope)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, C) of logits (N, C), float32."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype("float32")


def is_wordless(ids: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
    """Which sentences hold [CLS] and [SEP] alone: ids of N sentences -> bool (N,)."""
    return np.fromiter((len(sentence) == 2 for sentence in ids), bool, len(ids))


def rankings(predictions: Predictions, classes: "Sequence[Label]", k: int) -> list[list[Answer]]:
    """The k likeliest intents of each sentence, the likeliest first; none where it has no intent."""
    probabilities = predictions.probabilities
    order = probabilities.argmax(axis=1)[:, None] if k == 1 else np.argsort(-probabilities, axis=1, kind="stable")
    best = order[:, :k]
    values = np.take_along_axis(probabilities, best, axis=1)
    return [
        [Answer(classes[index], value) for index, value in zip(*row, strict=True)] if number != NO_INTENT else []
        for number, *row in zip(predictions.numbers.tolist(), best.tolist(), values.tolist(), strict=True)
    ]
