"""Which known sentences are nearest."""

import numpy as np
import pytest

from intent_bert.errors import DataError, SettingsError
from intent_bert.inference import known_sentences
from intent_bert.inference.known_sentences import KnownSentences
from intent_bert.inference.predictor import IntentPredictor

VECTORS = np.array([[2, 0], [0, 3], [1, 1], [5, 0]], "float32")


def test_the_nearest_by_cosine_come_first_and_the_first_of_equal_ones(monkeypatch):
    known = KnownSentences.of(["a", "b", "c", "d"], ["x", "y", "x", "z"], VECTORS)
    for at_once in (1 << 24, 4):
        monkeypatch.setattr(known_sentences, "_AT_ONCE", at_once)
        right, up = known.nearest(np.array([[9, 0], [0, 0.1]], "float32"), 3)
        assert [(near.text, near.label) for near in right] == [("a", "x"), ("d", "z"), ("c", "x")]
        assert [near.similarity for near in right] == pytest.approx([1, 1, 0.5**0.5], abs=1e-6)
        assert [near.text for near in up][:2] == ["b", "c"]
    assert len(known.nearest(VECTORS[:1], 9)[0]) == 4


def test_what_can_t_be_compared_is_told():
    with pytest.raises(DataError, match=r"^expected sentences and a label for each, got 2 and 1$"):
        KnownSentences.of(["a", "b"], ["x"], VECTORS[:2])
    with pytest.raises(DataError, match=r"got 0 and 0$"):
        KnownSentences.of([], [], VECTORS[:0])
    with pytest.raises(SettingsError, match=r"^the model gives no vectors to compare sentences by.*intent-bert export"):
        KnownSentences.of(["a"], ["x"], np.zeros((1, 0), "float32"))


def test_a_predictor_finds_the_sentence_itself(trained, small_table):
    predictor = IntentPredictor.load(trained.folder)
    known = predictor.known_sentences(small_table["text"], list(small_table["intent"]))
    nearest = predictor.explain("play music now", known).nearest
    assert (nearest[0].text, nearest[0].label) == ("play music now", "music")
    assert nearest[0].similarity == pytest.approx(1, abs=1e-5)
    assert {near.label for near in nearest} == {"music"}
