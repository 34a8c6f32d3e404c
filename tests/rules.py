"""A model that answers by rules, for tests of what is made of answers: no weights, the same decision as a real one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import NO_INTENT, Decision, Predictions


class RuleDecision(Decision):
    """Refuses what has a score below ``least``; None: can't tell."""

    least: float | None = None

    @property
    def threshold(self) -> float | None:
        return self.least


class RulePredictor(IntentPredictor):
    """Finds words in texts, small letters or capital: ``rules`` are word -> intent (or several, of a multi-label one).

    The first rule that fits gives the intent with probability ``sure``; a text that none fits gets the first class,
    with 0.4. A text with "strange" in it is out of scope, where ``refuses``.
    """

    def __init__(
        self,
        classes: Sequence[Any],
        rules: Mapping[str, Any],
        *,
        sure: float = 0.9,
        refuses: bool = False,
        multi_label: bool = False,
    ) -> None:
        self.classes, self.rules, self.sure = list(classes), rules, sure
        self.decision = RuleDecision()
        object.__setattr__(self.decision, "least", 0.5 if refuses else None)
        self.multi_label, self.label_separator, self.engine = multi_label, "|", "rules"
        if multi_label:
            object.__setattr__(self.decision, "chosen", lambda given: given.probabilities > 0.5)
        self.asked: list[str] = []

    def predictions(self, texts: Sequence[str], scope: bool = True) -> Predictions:
        self.asked += texts
        probabilities = np.full((len(texts), len(self.classes)), 0.01, "float32")
        numbers = np.zeros(len(texts), "int64")
        for row, text in enumerate(texts):
            found = self._found(text)
            places = [self.classes.index(intent) for intent in found]
            if places:
                probabilities[row, places] = self.sure
            elif not self.multi_label:
                places, probabilities[row, 0] = [0], 0.4
            numbers[row] = places[0] if places else NO_INTENT
        scores = np.array([0.0 if "strange" in text else 1.0 for text in texts], "float32")
        return Predictions(probabilities, numbers, scores)

    def _found(self, text: str) -> list[Any]:
        hits = [intent for word, intent in self.rules.items() if word in text.lower()]
        if self.multi_label:
            return list(dict.fromkeys(hits))
        return hits[:1]
