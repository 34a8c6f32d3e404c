"""Is a sentence in scope? How like it is to the sentences that its predicted intent was trained on. With numpy alone.

    vectors (N, F) -> projected -> cosine to the nearest training sentence of the predicted intent --┐
    layers (N, 2H) -> projected, whitened -> the same -----------------------------------------------┼-> score (N,)
    logits (N, C) -> energy, the logarithm of the sum of their exponentials --------------------------┘

Each of the three is standardised by what held-out sentences in scope have, and weighted. The tuned vector tells what
the model makes of a sentence, the lower layers which words stand in it: they fail on different sentences. The energy is
that of Liu et al. 2020 (arXiv 2010.03759), the nearest neighbours follow Sun et al. 2022 (arXiv 2204.06507). How the
weights were found is told in docs/trusted-answers.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from intent_bert.errors import ModelFolderError
from intent_bert.model.outputs import Outputs, unit_rows

DIMENSIONS = 128  # of each projection
MOST_SENTENCES, MOST_OF_AN_INTENT = 16_000, 500  # that are kept
WEIGHTS = (1.0, 1.0, 0.25)  # of vector, lower layers and energy; benchmarks/scope.py found them
USUAL_MEANS, USUAL_SPREADS = (0.95, 0.65, 8.0), (0.05, 0.14, 1.3)  # where no held-out sentences tell them
LEAST_ROWS = 30  # held-out sentences that tell them
_LEAST_SPREADS = (0.01, 0.01, 0.1)  # below, engines would not agree
_LOWEST = -1.0  # a cosine; a text without a word is like no sentence
_AT_ONCE = 256  # vectors that are compared with every kept sentence at a time
_WHITENED = (False, True)  # the vector, the lower layers


@dataclass(frozen=True, eq=False)
class Threshold:
    """From which score on a sentence counts as in scope.

    Attributes:
        value: the score.
        known_acceptance: the share of sentences in scope that it was to accept; None where unknown sentences chose it.
        interval: in which the share that it will accept lies, with 95 % probability, given so few sentences.
        rows: how many sentences chose it.
        source: which.
    """

    value: float
    known_acceptance: float | None
    interval: tuple[float, float] | None
    rows: int
    source: str


@dataclass(frozen=True, eq=False)
class Scope:
    """What training leaves of its sentences, C intents, to compare others with.

    Attributes:
        centers: of the two spaces, float32 (D,) each.
        projections: float32 (D, d) each.
        sentences: int8 (S, d) each, one intent behind the other; only the direction of a row counts.
        starts: int64 (C + 1,), where each intent's sentences begin.
        means, spreads: of the three parts of the score on sentences in scope.
        weights: of the three parts.
        threshold: None where too few sentences could tell it.
    """

    centers: tuple[np.ndarray, np.ndarray]
    projections: tuple[np.ndarray, np.ndarray]
    sentences: tuple[np.ndarray, np.ndarray]
    starts: np.ndarray
    means: tuple[float, ...] = USUAL_MEANS
    spreads: tuple[float, ...] = USUAL_SPREADS
    weights: tuple[float, ...] = WEIGHTS
    threshold: Threshold | None = None
    _unit: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)
    _fuse: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)  # means (3,), and what is between the parts

    def __post_init__(self) -> None:
        object.__setattr__(self, "_unit", tuple(unit_rows(each.astype("float32")) for each in self.sentences))
        scale = np.array(self.weights, "float32") / np.array(self.spreads, "float32")
        object.__setattr__(self, "_fuse", (np.array(self.means, "float32"), scale))

    @classmethod
    def of(cls, outputs: Outputs, labels: np.ndarray, number_of_classes: int) -> Self:
        """From the outputs for training sentences and the numbers of their labels, int (S,); one of -1 is left out.

        The order of the sentences does not matter beyond ``kept_rows``.
        """
        order = np.argsort(labels, kind="stable")
        order = order[labels[order] >= 0]
        starts = np.searchsorted(labels[order], np.arange(number_of_classes + 1))
        spaces = [np.asarray(each)[order].astype("float32") for each in _spaces(outputs)]
        projections = [_principal(space, whitened) for space, whitened in zip(spaces, _WHITENED, strict=True)]
        centers = [space.mean(axis=0) for space in spaces]
        sentences = [
            _as_int8(unit_rows((space - center) @ projection))
            for space, center, projection in zip(spaces, centers, projections, strict=True)
        ]
        return cls(_pair(centers), _pair(projections), _pair(sentences), starts)

    def scores(self, outputs: Outputs, predicted: np.ndarray, wordless: np.ndarray) -> np.ndarray:
        """How much each sentence is in scope, float32 (N,), higher is more; ``predicted`` int (N,) are its intents."""
        parts = self.parts(outputs, predicted)
        parts[wordless, :2] = _LOWEST
        return self.fused(parts)

    def fused(self, parts: np.ndarray) -> np.ndarray:
        """Parts (N, 3) -> scores (N,)."""
        means, scale = self._fuse
        return ((parts - means) @ scale).astype("float32")

    def parts(self, outputs: Outputs, predicted: np.ndarray) -> np.ndarray:
        """The three parts of the score, as they are: float32 (N, 3)."""
        parts = np.empty((len(predicted), 3), "float32")
        for column, (space, center, projection, unit) in enumerate(
            zip(_spaces(outputs), self.centers, self.projections, self._unit, strict=True)
        ):
            projected = unit_rows((space - center) @ projection)
            for rows, start, end in self._by_intent(predicted):
                parts[rows, column] = (projected[rows] @ unit[start:end].T).max(axis=1, initial=_LOWEST)
        parts[:, 2] = energy(outputs.logits)
        return parts

    def nearest_intents(self, vectors: np.ndarray, number: int) -> np.ndarray:
        """The intents of the training sentences that are nearest to vectors (N, F): int64 (N, number), nearest first.

        Fewer where fewer sentences were kept. What they say is not known any more.
        """
        intents = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        number = min(number, len(intents))
        projected = unit_rows((vectors - self.centers[0]) @ self.projections[0])
        nearest = np.empty((len(vectors), number), "int64")
        for start in range(0, len(vectors), _AT_ONCE):
            similar = projected[start : start + _AT_ONCE] @ self._unit[0].T
            nearest[start : start + _AT_ONCE] = intents[np.argsort(-similar, axis=1, kind="stable")[:, :number]]
        return nearest

    def _by_intent(self, predicted: np.ndarray) -> Iterator[tuple[Any, int, int]]:
        """The rows that an intent is predicted for, and where its sentences are."""
        if not len(predicted):
            return
        if len(predicted) == 1:
            yield slice(None), self.starts[predicted[0]], self.starts[predicted[0] + 1]
            return
        order = np.argsort(predicted, kind="stable")
        numbers, begins = np.unique(predicted[order], return_index=True)
        for number, rows in zip(numbers, np.split(order, begins[1:]), strict=True):
            yield rows, self.starts[number], self.starts[number + 1]

    def standardised(self, parts: np.ndarray) -> Self:
        """With means and spreads from the parts (N, 3) of sentences in scope that training has not seen, if enough."""
        if len(parts) < LEAST_ROWS:
            return self
        spreads = np.maximum(parts.std(axis=0), _LEAST_SPREADS)
        return replace(self, means=_floats(parts.mean(axis=0)), spreads=_floats(spreads))

    # --- in the model folder

    def arrays(self) -> dict[str, np.ndarray]:
        """What goes into its file."""
        arrays = {"starts": self.starts}
        for name in ("centers", "projections", "sentences"):
            for space, array in zip(("vector", "layers"), getattr(self, name), strict=True):
                arrays[f"{space}_{name}"] = array
        return arrays

    def to_dict(self) -> dict[str, Any]:
        """What stands in ``config.json``."""
        threshold = None
        if self.threshold is not None:
            threshold = {**vars(self.threshold), "interval": self.threshold.interval and [*self.threshold.interval]}
        numbers = {name: [*getattr(self, name)] for name in ("means", "spreads", "weights")}
        return {**numbers, "threshold": threshold}

    @classmethod
    def from_dict(cls, values: dict[str, Any], arrays: Any) -> Self:
        """Read what ``to_dict`` and ``arrays`` gave.

        Raises:
            ModelFolderError: something is missing or of another kind.
        """
        try:
            threshold = values["threshold"]
            if threshold is not None:
                interval = threshold["interval"]
                threshold = Threshold(**{**threshold, "interval": interval and tuple(interval)})

            def both(name: str) -> tuple[np.ndarray, np.ndarray]:
                return arrays[f"vector_{name}"], arrays[f"layers_{name}"]

            means, spreads, weights = (_floats(values[name]) for name in ("means", "spreads", "weights"))
            spaces = both("centers"), both("projections"), both("sentences")
            return cls(*spaces, arrays["starts"], means, spreads, weights, threshold)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFolderError(f"what tells whether a sentence is in scope can't be read ({error!r})") from error


def energy(logits: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of the exponentials of logits (N, C): float32 (N,)."""
    largest = logits.max(axis=1, keepdims=True, initial=-np.inf)
    return (largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=1))).astype("float32")


def kept_rows(labels: np.ndarray, number_of_classes: int, seed: int = 0) -> np.ndarray:
    """Which training sentences are kept, of S with these label numbers: all, or as many of each intent as fit."""
    most = min(MOST_OF_AN_INTENT, max(MOST_SENTENCES // max(number_of_classes, 1), 1))
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == number))[:most] for number in range(number_of_classes)]
    return np.sort(np.concatenate(rows)) if rows else np.empty(0, "int64")


def _spaces(outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """What is compared, (N, D) each: the vector, and the two layers, each scaled to length 1."""
    two = outputs.layers.reshape(len(outputs.layers), 2, outputs.layers.shape[1] // 2)  # (N, 2, H)
    return outputs.vectors, unit_rows(two).reshape(outputs.layers.shape)


def _principal(space: np.ndarray, whitened: bool) -> np.ndarray:
    """The main directions of rows (S, D) as columns, float32 (D, d), each divided by its spread where whitened."""
    centered = (space - space.mean(axis=0)).astype("float64")
    variances, directions = np.linalg.eigh(centered.T @ centered / max(len(space) - 1, 1))
    dimensions = max(min(DIMENSIONS, space.shape[1], (len(space) - 1) // 2), 1)
    variances, directions = variances[-dimensions:], directions[:, -dimensions:]
    if whitened:
        directions = directions / np.sqrt(np.maximum(variances, 1e-6 * max(variances[-1], 1e-12)))
    return directions.astype("float32")


def _as_int8(rows: np.ndarray) -> np.ndarray:
    largest = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12)
    return np.round(rows / largest * 127).astype("int8")


def _floats(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _pair(values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    first, second = values
    return first, second
