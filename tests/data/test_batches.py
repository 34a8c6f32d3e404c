"""Labels as numbers, sentences as ids, and batches with little padding."""

import logging

import numpy as np
import pytest

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.data.batches import bucketed_batches, encode, pad
from intent_bert.data.labels import classes_of, label_ids
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError


def test_labels_are_compared_as_written_and_sorted_by_value():
    assert classes_of([10, 9, 10]) == [9, 10]
    assert classes_of(["b", "a", "B"]) == ["B", "a", "b"]
    assert classes_of([True, False]) == [False, True]
    assert label_ids(["1", 2, "3", np.int64(1)], [1, 2]).tolist() == [0, 1, -1, 0]
    assert label_ids(["True"], [False, True]).tolist() == [1]
    with pytest.raises(DataError, match="the labels 1 and '1' differ in type only: use one of them"):
        classes_of([1, "1"])


def test_pad_lays_zeros_to_the_right():
    assert pad([[1, 2, 3], [4]]).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert pad([[1]], 3).tolist() == [[1, 0, 0]]
    assert pad([]).shape == (0, 0)
    assert pad([[1]]).dtype == np.int32


def snips_like_lengths(rng: np.random.Generator, number: int) -> list[list[int]]:
    """Token lists as long as SNIPS's sentences: 12.4 on average, 5 to 38."""
    lengths = np.clip(np.round(rng.gamma(9, 1.38, number)), 5, 38).astype(int)
    return [[1] * length for length in lengths]


def test_batches_hold_each_sentence_once_with_little_padding():
    ids = snips_like_lengths(np.random.default_rng(0), 3001)
    batches = list(bucketed_batches(ids, 32, np.random.default_rng(1)))
    assert len(batches) == 94
    assert sorted(np.concatenate(batches).tolist()) == list(range(3001))
    assert all(len(batch) <= 32 for batch in batches)
    padded = sum(len(batch) * max(len(ids[row]) for row in batch) for batch in batches)
    assert padded <= 1.15 * sum(map(len, ids))
    longest = [max(len(ids[row]) for row in batch) for batch in batches]
    assert longest != sorted(longest)


def test_batches_follow_their_seed_and_change_between_passes():
    ids = snips_like_lengths(np.random.default_rng(0), 200)

    def order(rng: np.random.Generator) -> list[int]:
        return np.concatenate(list(bucketed_batches(ids, 16, rng))).tolist()

    assert order(np.random.default_rng(5)) == order(np.random.default_rng(5))
    rng = np.random.default_rng(5)
    assert order(rng) != order(rng)
    assert list(bucketed_batches([], 16, rng)) == []


def test_encode_cuts_once_and_says_how_many(tiny_checkpoint, caplog):
    tokenizer = FullTokenizer(tiny_checkpoint / "vocab.txt")
    with caplog.at_level(logging.WARNING, "intent_bert"):
        ids = encode(["play my song now please", "play", "book a table for me now"], tokenizer, 5)
    assert [record.getMessage() for record in caplog.records] == ["2 sentences were cut to max_seq_len=5 tokens"]
    play = tokenizer.convert_tokens_to_ids(["[CLS]", "play", "my", "song", "[SEP]"])
    assert ids[0].tolist() == play
    assert ids[1].tolist() == [play[0], play[1], play[-1]]


def test_the_real_snips_is_encoded_whole_and_padded_little(real_data, real_checkpoint):
    tokenizer = FullTokenizer(real_checkpoint / "vocab.txt")
    train = read_table(real_data / "snips" / "train.csv")
    ids = encode(list(train["text"]), tokenizer, 192)
    assert len(ids) == 13784
    batches = bucketed_batches(ids, 32, np.random.default_rng(0))
    padded = sum(len(batch) * max(len(ids[row]) for row in batch) for batch in batches)
    assert padded <= 1.15 * sum(map(len, ids))
