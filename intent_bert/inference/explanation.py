"""Which words carry a prediction: each is left out in turn, and the probability of the intent is looked at again.

    "Play our song now"   PlayMusic .998
         our song now               .412    Play  .586
    Play     song now               .996    our   .002     and so on: the words, the largest drop first

Words are what a reader takes for words (runs between spaces and signs, a Chinese character alone, a run of signs), not
WordPieces. A drop below 0 is a word that speaks against the intent. Two words that say the same hide each other: each
alone may be left out. With numpy alone; which training sentences are near is known_sentences.py's business.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from intent_bert.inference.known_sentences import Neighbour
from intent_bert.model.decision import Decision, Predictions

if TYPE_CHECKING:
    from intent_bert.data.labels import Label

AT_ONCE = 4096  # sentences with a word left out that are asked at a time
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_SIGNS = r"!-/:-@\[-`{-~¡-¿‐-⁞、-〿"
_LETTERS = rf"[^\s{_SIGNS}{_CHINESE}]+"
_WORD = re.compile(rf"[{_CHINESE}]|{_LETTERS}(?:['’.\-_]{_LETTERS})*|[{_SIGNS}]+")


class Word(NamedTuple):
    """A word of a text, and how much the probability of an intent falls when it is left out.

    Attributes:
        word: as it is written.
        start: where it begins in the text.
        drop: of the probability, -1 to 1.
    """

    word: str
    start: int
    drop: float


class ExplainedIntent(NamedTuple):
    """A predicted intent, its probability, and the words of the text: the one that carries it most first."""

    intent: "Label"
    confidence: float
    words: list[Word]


class Explanation(NamedTuple):
    """Why a text has its prediction.

    Attributes:
        text: the text.
        intents: those that are predicted, the likeliest first: one, or as many as a multi-label model gives.
        nearest: the training sentences whose vectors are nearest, the nearest first; None where none were given.
    """

    text: str
    intents: list[ExplainedIntent]
    nearest: list[Neighbour] | None

    @property
    def words(self) -> list[Word]:
        """The words of the likeliest predicted intent; none where none is predicted."""
        return self.intents[0].words if self.intents else []

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``predict --explain --json``: ``explanation``, and ``nearest``, None without sentences."""
        intents = [
            {"intent": each.intent, "words": [word._asdict() | {"drop": round(word.drop, 6)} for word in each.words]}
            for each in self.intents
        ]
        near = [each._asdict() | {"similarity": round(each.similarity, 6)} for each in self.nearest or ()]
        return {"explanation": intents, "nearest": None if self.nearest is None else near}


def words_of(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end.

    >>> text = "What's up, 7-Eleven?"
    >>> [text[start:end] for start, end in words_of(text)]
    ["What's", 'up', ',', '7-Eleven', '?']
    """
    return [match.span() for match in _WORD.finditer(text)]


def carrying_words(
    texts: Sequence[str],
    predict: Callable[[list[str]], Predictions],
    decision: Decision,
    classes: "Sequence[Label]",
    most_words: int,
) -> list[list[ExplainedIntent]]:
    """The predicted intents of each text with their words; none for a text without a prediction.

    Args:
        texts: N texts.
        predict: what the model predicts for texts.
        decision: tells which intents a text has.
        classes: the model's intents.
        most_words: those behind so many can't change a prediction: the model cuts texts at as many tokens.
    """
    predictions = predict(list(texts))
    chosen = decision.chosen(predictions)  # (N, C)
    columns = [_falling(np.flatnonzero(row), of) for row, of in zip(chosen, predictions.probabilities, strict=True)]
    spans = [words_of(text) if len(of) else [] for text, of in zip(texts, columns, strict=True)]
    left_out = _left_out(texts, [each[:most_words] for each in spans], columns, predict)
    found: list[list[ExplainedIntent]] = []
    for text, of, words, row in zip(texts, columns, spans, predictions.probabilities, strict=True):
        drops = np.zeros((len(words), len(of)))
        for place in range(min(len(words), most_words)):
            drops[place] = row[of] - next(left_out)
        intents = zip(of, drops.T, strict=True)
        found.append([_explained(classes[number], row[number], text, words, drop) for number, drop in intents])
    return found


def _left_out(
    texts: Sequence[str],
    spans: list[list[tuple[int, int]]],
    columns: list[np.ndarray],
    predict: Callable[[list[str]], Predictions],
) -> Iterator[np.ndarray]:
    """For each word of each text the probabilities, without it, of the text's own intents."""
    places = [(number, *span) for number, of in enumerate(spans) for span in of]
    for first in range(0, len(places), AT_ONCE):
        part = places[first : first + AT_ONCE]
        asked = predict([texts[number][:start] + texts[number][end:] for number, start, end in part])
        for (number, _, _), probabilities in zip(part, asked.probabilities, strict=True):
            yield probabilities[columns[number]]


def _falling(numbers: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return numbers[np.argsort(-probabilities[numbers], kind="stable")]


def _explained(
    intent: "Label", confidence: float, text: str, spans: list[tuple[int, int]], drops: np.ndarray
) -> ExplainedIntent:
    words = [Word(text[start:end], start, float(drop)) for (start, end), drop in zip(spans, drops, strict=True)]
    return ExplainedIntent(intent, float(confidence), sorted(words, key=lambda word: -word.drop))
