"""Models for the tests that need no network: what a sentence means is told by the words in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from intent_bert.inference.explanation import Explanation, carrying_words
from intent_bert.inference.known_sentences import KnownSentences
from intent_bert.model.decision import Decision, Predictions, is_wordless
from intent_bert.model.outputs import Outputs


class WordModel:
    """Logits are sums over the words of a text; the vectors count its words. Stands where an IntentPredictor does."""

    engine, max_seq_len, label_separator = "words", 32, "|"

    def __init__(self, words: dict[str, list[float]], classes: Sequence[Any], decision: Decision) -> None:
        self.words, self.classes, self.decision = words, list(classes), decision
        self.multi_label = decision.multi_label

    def outputs(self, texts: Sequence[str]) -> Outputs:
        counts = np.array([[text.lower().split().count(word) for word in self.words] for text in texts], "float32")
        counts = counts.reshape(len(texts), len(self.words))
        logits = counts @ np.array(list(self.words.values()), "float32")
        return Outputs(logits, counts, np.zeros((len(texts), 0), "float32"))

    def predictions(self, texts: Sequence[str]) -> Predictions:
        return self.decision.predictions(self.outputs(texts), is_wordless([[1, *text.split(), 2] for text in texts]))

    def explain_all(self, texts: Sequence[str], known: KnownSentences | None = None) -> list[Explanation]:
        intents = carrying_words(texts, self.predictions, self.decision, self.classes, self.max_seq_len)
        nearest = [None] * len(texts) if known is None else known.nearest(self.outputs(texts).vectors)
        return [Explanation(*each) for each in zip(texts, intents, nearest, strict=True)]
