"""Sentences as ids, and ids as batches: what a model takes in.

    "play a song"  ->  [CLS] play a song [SEP]  ->  [101, 2377, 1037, 2299, 102]   encode
    sentences of unlike length  ->  one int32 matrix, 0 to the right               pad
    many sentences  ->  shuffled batches of about the same length                  bucketed_batches

Nothing here knows of tables or needs pandas.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from intent_bert.bert.tokenization import FullTokenizer

logger = logging.getLogger("intent_bert")

_CHUNK = 8192  # texts that are tokenized at a time

Ids: TypeAlias = Sequence[int] | np.ndarray  # of one sentence


def encode(texts: Sequence[str], tokenizer: FullTokenizer, max_seq_len: int) -> list[np.ndarray]:
    """``[CLS] ids... [SEP]`` of each text, int32, at most ``max_seq_len`` long; says once how many were cut."""
    ids: list[np.ndarray] = []
    cut = 0
    for start in range(0, len(texts), _CHUNK):  # the tokenizer's own answers take some kilobytes a text
        some, cut_here = tokenizer.encode(texts[start : start + _CHUNK], max_seq_len)
        ids += [np.array(sentence, "int32") for sentence in some]
        cut += cut_here
    if cut:
        many = "1 sentence was" if cut == 1 else f"{cut} sentences were"
        logger.warning("%s cut to max_seq_len=%d tokens", many, max_seq_len)
    return ids


def pad(ids: Sequence[Ids], length: int | None = None) -> np.ndarray:
    """Lay ids in a matrix (sentences, length) of int32, 0 to the right; length defaults to the longest."""
    length = max(map(len, ids), default=0) if length is None else length
    matrix = np.zeros((len(ids), length), "int32")
    for row, sentence in enumerate(ids):
        matrix[row, : len(sentence)] = sentence
    return matrix


def bucketed_batches(
    ids: Sequence[Ids], batch_size: int, rng: np.random.Generator, pool: int = 200
) -> Iterator[np.ndarray]:
    """Give every sentence's index once, in batches of about the same length, in random order.

    The sentences are shuffled, sorted by length within pools of ``pool`` batches, cut into batches, and the batches
    of all pools are shuffled: a batch is as long as its longest sentence, and little of it is padding.
    """
    order = rng.permutation(len(ids))
    lengths = np.array([len(sentence) for sentence in ids])
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool * batch_size):
        part = order[start : start + pool * batch_size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
    for number in rng.permutation(len(batches)):
        yield batches[number]
