"""What usual sentences are like, small enough to lie in the model folder: histograms, and vectors without their text.

    ids, outputs, decision -> observed    of N rows intent, confidence, score, refused?, length, unknown words, vectors
    observed -> Sketch.of                 the cells of each histogram, how vectors are made short
    sketch.profile(observed)              counts (cells,) for each histogram, short vectors int8 (N, d)

The sentences are held-out ones: of those that the weights have seen, a model is surer than it is of any other. Short
vectors are random projections (Johnson and Lindenstrauss 1984), which keep distances; no sentence chose them, so
held-out and new sentences lose alike. Whether a profile differs from the usual one is told in workbench/two_samples.py.
With numpy alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from intent_bert.errors import ModelFolderError
from intent_bert.model.decision import NO_INTENT, Decision, is_wordless
from intent_bert.model.outputs import Outputs, unit_rows

LEAST_ROWS = 50  # sentences that tell what is usual
MOST_VECTORS = 500  # that are kept
HISTOGRAMS = ("intents", "confidence", "score", "refused", "length", "unknown words")
_DIMENSIONS = 48  # of a short vector, for each of the two spaces
_CONFIDENCES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
_UNKNOWN_WORDS = (1e-9, 0.1, 0.2, 0.35, 0.5)  # shares; the first cell is none at all
_LEAST_STEP = 0.05  # between two edges of the score, more than engines differ by
_STEPS = 32.0  # of a short vector's numbers, whose spread is 1, in int8
_CONTINUES, _UNKNOWN = 1, 2  # kinds of WordPiece tokens; 0 begins a word


class Observed(NamedTuple):
    """What is looked at in N sentences."""

    numbers: np.ndarray  # int64 (N,), the predicted intents among the C classes, or NO_INTENT
    confidences: np.ndarray  # float32 (N,)
    scores: np.ndarray  # float32 (N,), NaN where the model can't tell
    refused: np.ndarray | None  # bool (N,); None where the model has no threshold
    lengths: np.ndarray  # int64 (N,), tokens without [CLS] and [SEP]
    unknown_words: np.ndarray  # float64 (N,), the share of words that the vocabulary does not have whole
    vectors: np.ndarray  # float32 (N, F + 2H), the tuned vector and two lower layers, each scaled to length 1


class Profile(NamedTuple):
    """How N sentences are spread: counts (cells,) for each histogram, and short vectors, int8 (S, d), S <= N."""

    counts: dict[str, np.ndarray]
    vectors: np.ndarray


@dataclass(frozen=True, eq=False)
class Sketch:
    """What usual sentences are like.

    Attributes:
        edges: where the cells of a histogram of numbers begin, but for the first: float64 (cells - 1,) each.
        usual: how the sentences that it was made of are spread.
        means, spreads: of their vectors, float32 (F + 2H,).
        signs: int8 (F + 2H, d), the random projection.
        rows: how many sentences there were.
    """

    edges: dict[str, np.ndarray]
    usual: Profile
    means: np.ndarray
    spreads: np.ndarray
    signs: np.ndarray
    rows: int

    @classmethod
    def of(cls, observed: Observed, number_of_classes: int, seed: int = 0) -> Self | None:
        """From usual sentences; None where they are fewer than ``LEAST_ROWS``."""
        rows = len(observed.numbers)
        if rows < LEAST_ROWS:
            return None
        rng = np.random.default_rng(seed)
        edges = {
            "intents": np.arange(NO_INTENT + 1, number_of_classes, dtype="float64"),
            "confidence": np.array(_CONFIDENCES),
            "length": _tenths(observed.lengths, 1.0),
            "unknown words": np.array(_UNKNOWN_WORDS),
        }
        if not np.isnan(observed.scores).any():
            edges["score"] = _tenths(observed.scores, _LEAST_STEP)
        if observed.refused is not None:
            edges["refused"] = np.array([1.0])
        width = observed.vectors.shape[1]
        spreads = observed.vectors.std(axis=0)
        signs = rng.choice(np.array([-1, 1], "int8"), (width, min(2 * _DIMENSIONS, width)))
        floor = 1e-3 * float(spreads.max(initial=0.0)) + 1e-12
        means = observed.vectors.mean(axis=0)
        nothing = Profile({}, np.empty((0, signs.shape[1]), "int8"))
        empty = cls(edges, nothing, means, np.maximum(spreads, floor).astype("float32"), signs, rows)
        profile = empty.profile(observed)
        kept = np.sort(rng.permutation(rows)[:MOST_VECTORS])
        usual = Profile(profile.counts, profile.vectors[kept] if len(profile.vectors) else profile.vectors)
        return cls(edges, usual, empty.means, empty.spreads, signs, rows)

    def profile(self, observed: Observed) -> Profile:
        """How sentences are spread over the same cells, and all their short vectors."""
        values = {
            "intents": observed.numbers,
            "confidence": observed.confidences,
            "score": observed.scores,
            "refused": observed.refused,
            "length": observed.lengths,
            "unknown words": observed.unknown_words,
        }
        counts = {}
        for name, edges in self.edges.items():
            value = values[name]
            if value is not None and not (name == "score" and np.isnan(value).any()):
                cells = np.searchsorted(edges, np.asarray(value, "float64"), side="right")
                counts[name] = np.bincount(cells, minlength=len(edges) + 1)
        return Profile(counts, self._shortened(observed.vectors))

    def _shortened(self, vectors: np.ndarray) -> np.ndarray:
        if vectors.shape[1] != len(self.means) or not len(self.means):
            return np.empty((0, self.signs.shape[1]), "int8")
        short = (vectors - self.means) / self.spreads @ self.signs.astype("float32")
        steps = np.round(short * np.float32(_STEPS / np.sqrt(len(self.means))))
        return np.clip(steps, -127, 127).astype("int8")

    # --- in the model folder

    def arrays(self) -> dict[str, np.ndarray]:
        """What goes into its file: numbers alone."""
        arrays = {"means": self.means, "spreads": self.spreads, "signs": self.signs, "rows": np.array(self.rows)}
        arrays["vectors"] = self.usual.vectors
        for name, edges in self.edges.items():
            arrays[f"edges {name}"], arrays[f"counts {name}"] = edges, self.usual.counts[name]
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Read what ``arrays`` gave.

        Raises:
            ModelFolderError: something is missing or of another shape.
        """
        try:
            names = [name for name in HISTOGRAMS if f"edges {name}" in arrays]
            edges = {name: arrays[f"edges {name}"] for name in names}
            counts = {name: arrays[f"counts {name}"] for name in names}
            means, spreads, signs = arrays["means"], arrays["spreads"], arrays["signs"]
            vectors = arrays["vectors"]
            if any(len(counts[name]) != len(edges[name]) + 1 for name in names):
                raise ValueError("a histogram has more or fewer cells than its edges make")
            if len(signs) != len(means) or means.shape != spreads.shape or vectors.shape[1:] != signs.shape[1:]:
                raise ValueError("the shapes of its vectors do not fit")
            return cls(edges, Profile(counts, vectors), means, spreads, signs, int(arrays["rows"]))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ModelFolderError(f"the sketch of usual sentences can't be read ({error!r})") from error


def observed(
    ids: Sequence[Sequence[int] | np.ndarray], outputs: Outputs, decision: Decision, kinds: np.ndarray
) -> Observed:
    """What is looked at in N sentences: their ids, what the model computes for them, and what that means.

    ``kinds`` is what ``token_kinds`` says of the vocabulary.
    """
    predictions = decision.predictions(outputs, is_wordless(ids))
    likeliest = predictions.probabilities.argmax(axis=1) if len(ids) else np.empty(0, "int64")
    numbers = np.where(predictions.numbers == NO_INTENT, likeliest, predictions.numbers)
    confidences = np.take_along_axis(predictions.probabilities, numbers[:, None], axis=1)[:, 0]
    refused = None
    if decision.threshold is not None and not np.isnan(predictions.scores).any():
        refused = predictions.scores < decision.threshold
    lengths, unknown_words = _words(ids, kinds)
    vectors = np.concatenate(
        [unit_rows(each) for each in (outputs.vectors, *np.split(outputs.layers, 2, axis=1))], axis=1
    )
    return Observed(predictions.numbers, confidences, predictions.scores, refused, lengths, unknown_words, vectors)


def token_kinds(vocabulary: Sequence[str], unknown: str = "[UNK]") -> np.ndarray:
    """Of each WordPiece token whether it begins a word (0), goes on with one (1) or stands for an unknown one (2)."""
    kinds = [_UNKNOWN if token == unknown else _CONTINUES if token.startswith("##") else 0 for token in vocabulary]
    return np.array(kinds, "int8")


def _words(ids: Sequence[Sequence[int] | np.ndarray], kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of each sentence, and the share of its words that take several tokens or are unknown."""
    tokens = np.fromiter(map(len, ids), "int64", len(ids))
    if not len(tokens):
        return tokens, np.empty(0)
    kind = kinds[np.concatenate([np.asarray(each) for each in ids])]
    follows = np.append(kind[1:] == _CONTINUES, False)
    begins = kind != _CONTINUES
    starts = np.append(0, np.cumsum(tokens)[:-1])
    words = np.add.reduceat(begins.astype("int64"), starts) - 2  # without [CLS] and [SEP]
    unknown = np.add.reduceat((begins & follows | (kind == _UNKNOWN)).astype("int64"), starts)
    return tokens - 2, unknown / np.maximum(words, 1)


def _tenths(values: np.ndarray, least_step: float) -> np.ndarray:
    """Edges that leave about a tenth of the values in each cell, none nearer to the next than ``least_step``."""
    edges: list[float] = []
    for edge in np.quantile(values.astype("float64"), np.linspace(0.1, 0.9, 9), method="higher"):
        if not edges or edge >= edges[-1] + least_step:
            edges.append(float(edge))
    return np.array(edges)
