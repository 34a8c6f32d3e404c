"""What the other sentences say of each sentence's intent: probabilities that were not learnt from it.

    vectors (N, F) -> logistic regression, out of fold -> probabilities (N, C)   ┐
                   -> NEIGHBOURS nearest, weighted votes -> shares (N, C)        ┴-> their mean: (N, C)

All sentences that are one text, case and punctuation aside, stand on one side of a fold and are no neighbours of each
other, so that a mistake that was copied does not confirm itself. Which of the sentences are suspects is label_errors'
business.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from intent_bert.files.progress import progress_bar
from intent_bert.workbench.neighbours import nearest_neighbours, unit

FOLDS = 5
NEIGHBOURS = 10
LEAST_ROWS = 2 * FOLDS  # distinct sentences


@dataclass(frozen=True)
class Doubts:
    """What is thought of each of N distinct sentences.

    Attributes:
        classes: the intents as text, C of them.
        own: the number of each sentence's intent, int (N,).
        probabilities: of each intent, without having learnt from the sentence, float32 (N, C).
        judged: whether its intent had another sentence to be learnt from, bool (N,).
        near: its nearest neighbours' numbers, int (N, k), the nearest first.
        similarity: of each of these, float32 (N, k).
    """

    classes: list[str]
    own: np.ndarray
    probabilities: np.ndarray
    judged: np.ndarray
    near: np.ndarray
    similarity: np.ndarray


def doubts_of(vectors: np.ndarray, intents: Sequence[str], seed: int = 0, progress: bool = True) -> Doubts:
    """Ask the other sentences about each sentence.

    Args:
        vectors: float32 (N, F), of distinct texts, at least ``LEAST_ROWS`` of them.
        intents: of each, at least two different ones.
        seed: of the folds.
        progress: shows a bar on stderr when the work takes over two seconds.
    """
    classes, own = np.unique(np.array(intents, object).astype(str), return_inverse=True)
    learnt = out_of_fold(unit(vectors), own, seed, progress)
    return doubts_from(unit(vectors), own, learnt, classes.tolist(), seed)


def doubts_from(vectors: np.ndarray, own: np.ndarray, learnt: np.ndarray, classes: list[str], seed: int = 0) -> Doubts:
    """What was learnt out of fold, float32 (N, C), together with what the neighbours say; ``vectors`` have length 1."""
    near, similarity = nearest_neighbours(vectors, NEIGHBOURS, seed)
    votes = _votes(near, similarity, own, len(classes))
    return Doubts(classes, own, (learnt + votes) / 2, np.bincount(own)[own] >= FOLDS, near, similarity)


def _votes(near: np.ndarray, similarity: np.ndarray, own: np.ndarray, classes: int) -> np.ndarray:
    """The share of each intent among the neighbours, the more similar counting more, float32 (N, C)."""
    shares = np.zeros((len(near), classes), "float32")
    weights = np.maximum(similarity, 0) ** 4
    for place in range(near.shape[1]):
        np.add.at(shares, (np.arange(len(near)), own[near[:, place]]), weights[:, place])
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)


def out_of_fold(vectors: np.ndarray, own: np.ndarray, seed: int = 0, progress: bool = True) -> np.ndarray:
    """What a logistic regression on the other folds says of each row, float32 (N, C)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    probabilities = np.zeros((len(own), own.max() + 1), "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of intents with fewer sentences than folds, which are not judged
        warnings.simplefilter("ignore", ConvergenceWarning)  # close enough to rank by
        folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(vectors, _foldable(own)))
        with progress_bar(FOLDS, "judging intents" if progress else None, "fold", delay=2, leave=False) as bar:
            for rest, held_out in folds:
                model = LogisticRegression(C=10.0, max_iter=100, tol=1e-3).fit(vectors[rest], own[rest])
                probabilities[held_out[:, None], model.classes_] = model.predict_proba(vectors[held_out])
                bar.update(1)
    return probabilities


def _foldable(own: np.ndarray) -> np.ndarray:
    """The classes to divide by: all that are smaller than the folds count as one."""
    counts = np.bincount(own)
    return np.where(counts[own] >= FOLDS, own, -1)
