"""The words that carried a prediction: how much of the intent's probability goes when each is left out."""

import re
from typing import NamedTuple

from intent_bert.serving.models import Loaded
from intent_bert.serving.problems import TooLarge

MOST_WORDS = 100
_WORD = re.compile(r"\S+")


class Word(NamedTuple):
    """A word of a text, ``text[start:end]``, and how much the intent's probability falls without it."""

    word: str
    start: int
    end: int
    weight: float


async def explain(loaded: Loaded, text: str) -> list[Word]:
    """The words of a text with their weights; none where the text has no intent.

    Raises:
        TooLarge: it has more than ``MOST_WORDS`` words.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    if len(spans) > MOST_WORDS:
        raise TooLarge(f"the text has {len(spans):,} words: at most {MOST_WORDS} are explained")
    without = [f"{text[:start]}{text[end:]}" for start, end in spans]
    whole, *rows = await loaded.batcher.ask([text, *without])
    if whole.number < 0:
        return []
    number = int(whole.probabilities.argmax())
    weights = [float(whole.probabilities[number] - row.probabilities[number]) for row in rows]
    return [Word(text[start:end], start, end, weight) for (start, end), weight in zip(spans, weights, strict=True)]
