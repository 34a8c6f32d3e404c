"""Labelled sentences that a model can compare others with: which of them are nearest, in the tuned vector. Numpy alone.

A model folder keeps no text of its training. Whoever wants to see the sentences that are near gives them:

    known = predictor.known_sentences(table["text"], table["intent"])
    predictor.explain("play it again", known).nearest
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from intent_bert.errors import DataError, SettingsError
from intent_bert.model.outputs import unit_rows

NEAREST = 3
_AT_ONCE = 1 << 24  # similarities that are held


class Neighbour(NamedTuple):
    """A known sentence, its label, and the cosine of its vector and that of the sentence it is compared with."""

    text: str
    label: Any
    similarity: float


@dataclass(frozen=True, eq=False)
class KnownSentences:
    """Sentences with their labels and vectors.

    Attributes:
        texts: S sentences.
        labels: a label for each.
        vectors: of length 1, float32 (S, F).
    """

    texts: Sequence[str]
    labels: Sequence[Any]
    vectors: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str], labels: Sequence[Any], vectors: np.ndarray) -> "KnownSentences":
        """From the vectors (S, F) that a model gives for them.

        Raises:
            DataError: no sentence, or not as many labels.
            SettingsError: the model gives no vectors.
        """
        if not len(texts) or len(texts) != len(labels):
            raise DataError(f"expected sentences and a label for each, got {len(texts)} and {len(labels)}")
        if not vectors.shape[1]:
            raise SettingsError(
                "the model gives no vectors to compare sentences by, as models of older versions: intent-bert export "
                "MODEL_DIR writes one that does"
            )
        return cls(texts, labels, unit_rows(vectors))

    def nearest(self, vectors: np.ndarray, number: int = NEAREST) -> list[list[Neighbour]]:
        """The nearest known sentences for each of N vectors (N, F), the nearest first; fewer where fewer are known."""
        number, found = min(number, len(self.texts)), []
        for part in np.array_split(vectors, max(-(-len(vectors) * len(self.texts) // _AT_ONCE), 1)):
            similar = unit_rows(part) @ self.vectors.T  # (n, S)
            best = np.argpartition(-similar, number - 1, axis=1)[:, :number]
            for row, places in zip(similar, best, strict=True):
                order = places[np.lexsort((places, -row[places]))]
                found.append([Neighbour(self.texts[at], self.labels[at], float(row[at])) for at in order])
        return found
