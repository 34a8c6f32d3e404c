"""Which words carry a prediction: each left out in turn."""

import numpy as np
import pytest

from intent_bert.errors import DataError
from intent_bert.inference import explanation
from intent_bert.inference.explanation import Explanation, Word, carrying_words, words_of
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import NO_INTENT, Decision, Predictions
from intent_bert.model.multi_label import MultiLabelDecision

CLASSES = ["music", "weather"]


def by_hand(texts: list[str]) -> Predictions:
    """Music .5, play adds .4, song .05, rain takes .3; a text without a word has no intent."""
    music = np.array([0.5 + 0.4 * ("play" in t) + 0.05 * ("song" in t) - 0.3 * ("rain" in t) for t in texts])
    wordless = np.array([not text.strip() for text in texts], bool)
    probabilities = np.column_stack([music, 1 - music]).astype("float32")
    numbers = np.where(wordless, NO_INTENT, probabilities.argmax(axis=1))
    return Predictions(probabilities, numbers, np.zeros(len(texts), "float32"))


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in words_of(text)]


def test_words_are_what_a_reader_takes_for_words():
    assert words("Play our song, now!") == ["Play", "our", "song", ",", "now", "!"]
    assert words("what's on at 7.30 in the O’Neill-Hall?!") == [
        "what's", "on", "at", "7.30", "in", "the", "O’Neill-Hall", "?!",
    ]  # fmt: skip
    assert words("放首歌 हिंदी गाना\tcafé…") == ["放", "首", "歌", "हिंदी", "गाना", "café", "…"]
    assert words(" \n ") == words("") == []


def test_each_word_is_left_out_and_the_one_that_carries_most_comes_first():
    texts = ["play a song", "rain", "", "rain or play song"]
    music, weather, nothing, mixed = carrying_words(texts, by_hand, Decision(), CLASSES, 20)
    (intent,) = music
    assert (intent.intent, intent.confidence) == ("music", pytest.approx(0.95))
    assert [word[:2] for word in intent.words] == [("play", 0), ("song", 7), ("a", 5)]
    np.testing.assert_allclose([word.drop for word in intent.words], [0.4, 0.05, 0.0], atol=1e-6)
    assert weather[0].intent == "weather"
    assert weather[0].words == [Word("rain", 0, pytest.approx(0.3))]
    assert nothing == []
    assert [(word.word, round(word.drop, 3)) for word in mixed[0].words] == [
        ("play", 0.4), ("song", 0.05), ("or", 0.0), ("rain", -0.3),
    ]  # fmt: skip


def test_each_predicted_intent_of_a_multi_label_model_has_its_own_words():
    decision = MultiLabelDecision(thresholds=(0.5, 0.3))
    both, none = carrying_words(["rain play song", "play or rain"], by_hand, decision, CLASSES, 20)
    assert [each.intent for each in both] == ["music", "weather"]
    assert [each.words[0].word for each in both] == ["play", "rain"]
    assert [each.intent for each in none] == ["music", "weather"]
    assert carrying_words(["play song"], by_hand, MultiLabelDecision(thresholds=(1.0, 1.0)), CLASSES, 20) == [[]]


def test_long_texts_and_many_are_asked_in_parts_and_words_that_are_cut_off_carry_nothing(monkeypatch):
    asked: list[int] = []

    def counted(texts: list[str]) -> Predictions:
        asked.append(len(texts))
        return by_hand(texts)

    monkeypatch.setattr(explanation, "AT_ONCE", 4)
    texts = ["play a song now", "rain", "a b c play song"]
    found = carrying_words(texts, counted, Decision(), CLASSES, 3)
    assert asked == [3, 4, 3]  # the texts, then 3 + 1 + 3 words
    whole = carrying_words(texts, by_hand, Decision(), CLASSES, 20)
    assert found[:2] == whole[:2]
    assert {word.word: word.drop for word in found[2][0].words} == dict.fromkeys(["a", "b", "c", "play", "song"], 0.0)


def test_a_predictor_explains(trained, several):
    predictor = IntentPredictor.load(trained.folder)
    found = predictor.explain("play my song now")
    assert found.text == "play my song now"
    assert [each.intent for each in found.intents] == ["music"]
    assert found.nearest is None
    assert sorted(word.word for word in found.words) == ["my", "now", "play", "song"]
    drops = [word.drop for word in found.words]
    assert drops == sorted(drops, reverse=True)
    first = found.words[0]
    without = "play my song now".replace(first.word, "", 1)
    column = predictor.classes.index("music")
    before, after = predictor.predict_proba(["play my song now", without])[:, column]
    assert first.drop == pytest.approx(before - after, abs=1e-6)
    assert predictor.explain(" ") == Explanation(" ", [], None)
    assert predictor.explain(" ").words == []
    with pytest.raises(DataError, match=r"^explain takes one text, not list: use explain_all for several$"):
        predictor.explain(["a"])
    assert predictor.explain_all([]) == []
    of_several = IntentPredictor.load(several.folder)
    text = "play music and will it rain"
    intents = of_several.explain(text).intents
    assert [each.intent for each in intents] == [each.intent for each in of_several.predict_intents(text)[0]]
