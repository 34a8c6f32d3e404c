"""The nearest neighbours of many vectors, without looking at every pair.

    vectors (N, H) -> random trees, each of which halves the rows until LEAF are left
                   -> a row's neighbours: the most similar among those that share a leaf with it in any tree

Each tree is balanced, so time grows as N and memory as N * K. Up to ``LEAF`` rows the neighbours are exact; beyond, a
near one is missed now and then, which a vote of many does not notice. Vectors have length 1; similarity is the cosine.
"""

from collections.abc import Iterator

import numpy as np

LEAF = 2048
TREES = 3
_ROWS_AT_ONCE = 1024


def unit(vectors: np.ndarray) -> np.ndarray:
    """The rows scaled to length 1, float32 (N, H)."""
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype("float32")


def nearest_neighbours(vectors: np.ndarray, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar other rows of each row, the most similar first.

    Args:
        vectors: float32 (N, H) of length 1, with N > 1.
        k: how many; at most N - 1 are given.

    Returns:
        Their numbers, int64 (N, k), and their similarities, float32 (N, k).
    """
    number, k = len(vectors), min(k, len(vectors) - 1)
    near = np.full((number, k), -1, "int64")
    similar = np.full((number, k), -np.inf, "float32")
    rng = np.random.default_rng(seed)
    for _ in range(TREES if number > LEAF else 1):
        for leaf in _leaves(vectors, np.arange(number), rng):
            _look_in(vectors, leaf, near, similar)
    return near, similar


def _leaves(vectors: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The rows in parts of at most ``LEAF``, halved again and again along the line between two of them."""
    waiting = [rows]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= LEAF:
            yield rows
            continue
        one, other = rng.choice(rows, 2, replace=False)
        along = vectors[rows] @ (vectors[one] - vectors[other])
        order = np.argpartition(along, len(rows) // 2)
        waiting += [rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]]


def _look_in(vectors: np.ndarray, leaf: np.ndarray, near: np.ndarray, similar: np.ndarray) -> None:
    """Better neighbours of the rows of a leaf, from the leaf itself; ``near`` and ``similar`` are changed."""
    k = near.shape[1]
    for start in range(0, len(leaf), _ROWS_AT_ONCE):
        rows = leaf[start : start + _ROWS_AT_ONCE]
        products = vectors[rows] @ vectors[leaf].T  # (rows, leaf)
        products[np.arange(len(rows)), np.arange(start, start + len(rows))] = -np.inf
        best = np.argpartition(products, -min(k, len(leaf) - 1), axis=1)[:, -min(k, len(leaf) - 1) :]
        found = np.take_along_axis(products, best, axis=1)
        numbers = np.concatenate([near[rows], leaf[best]], axis=1)
        values = np.concatenate([similar[rows], found], axis=1)
        known = (leaf[best][:, :, None] == near[rows][:, None, :]).any(axis=2)  # found in an earlier tree
        values[:, k:][known] = -np.inf
        order = np.argsort(-values, axis=1, kind="stable")[:, :k]
        near[rows] = np.take_along_axis(numbers, order, axis=1)
        similar[rows] = np.take_along_axis(values, order, axis=1)
