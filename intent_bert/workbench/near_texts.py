"""Pairs of texts that are nearly the same, without comparing each text with each.

    text -> the hashes of its groups of GRAM letters -> MinHash (Broder 1997): HASHES smallest values
         -> BANDS bands of them; texts that agree in a whole band are candidates
         -> the share of groups that both have (Jaccard); LEAST at least

Texts that agree in a band stand side by side in sorted order and each is compared with the next ``WINDOW`` alone, so
that a million texts of one template cost no more than a million others: time and memory grow as the number of texts.
With these numbers a pair of Jaccard .8 is missed once in ten thousand times, but for crowded bands.
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np

GRAM = 4
BANDS, ROWS_IN_BAND = 16, 4
HASHES = BANDS * ROWS_IN_BAND
WINDOW = 8
LEAST = 0.8
_PRIME = (1 << 31) - 1
_TEXTS_AT_ONCE = 4096
_PAIRS_AT_ONCE = 1 << 16


def near_pairs(texts: Sequence[str], least: float = LEAST, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of texts of which at least this share of groups of letters is common.

    Args:
        texts: distinct texts, evened out.

    Returns:
        Their numbers, int64 (P, 2), the smaller first, and the shares, float64 (P,); each pair once.
    """
    grams = [_grams(text) for text in texts]
    bands = _bands(grams, seed)
    found: dict[tuple[int, int], float] = {}
    for band in range(BANDS):
        for pairs in _candidates(bands[:, band]):
            for one, other in pairs.tolist():
                pair = (one, other) if one < other else (other, one)
                if pair not in found:
                    found[pair] = _jaccard(grams[pair[0]], grams[pair[1]])
    kept = sorted(pair for pair, share in found.items() if share >= least)
    return np.array(kept, "int64").reshape(-1, 2), np.array([found[pair] for pair in kept])


def _grams(text: str) -> np.ndarray:
    """The hashes of a text's groups of letters, each once, sorted, int64; at least one."""
    padded = f" {text} ".encode("utf-8", "replace")
    hashes = {zlib.crc32(padded[start : start + GRAM]) for start in range(max(1, len(padded) - GRAM + 1))}
    return np.array(sorted(hashes), "int64")


def _bands(grams: list[np.ndarray], seed: int) -> np.ndarray:
    """A number for each band of each text's MinHash, uint64 (N, BANDS)."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(1, _PRIME, HASHES, "int64")
    offsets = rng.integers(0, _PRIME, HASHES, "int64")
    mix = rng.integers(1, 1 << 62, ROWS_IN_BAND, "uint64") | np.uint64(1)
    bands = np.empty((len(grams), BANDS), "uint64")
    for start in range(0, len(grams), _TEXTS_AT_ONCE):
        some = grams[start : start + _TEXTS_AT_ONCE]
        flat = np.concatenate(some) % _PRIME
        begins = np.cumsum([0, *(len(each) for each in some[:-1])])
        smallest = np.empty((len(some), HASHES), "uint64")
        for number, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
            smallest[:, number] = np.minimum.reduceat((flat * factor + offset) % _PRIME, begins)
        bands[start : start + len(some)] = (smallest.reshape(len(some), BANDS, ROWS_IN_BAND) * mix).sum(axis=2)
    return bands


def _candidates(band: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs of texts with the same number in a band, int64 (P, 2): each text with the next few in sorted order."""
    order = np.argsort(band, kind="stable")
    ordered = band[order]
    for step in range(1, min(WINDOW, len(order) - 1) + 1):
        same = np.flatnonzero(ordered[:-step] == ordered[step:])
        for start in range(0, len(same), _PAIRS_AT_ONCE):
            some = same[start : start + _PAIRS_AT_ONCE]
            yield np.stack([order[some], order[some + step]], axis=1)


def _jaccard(one: np.ndarray, other: np.ndarray) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
