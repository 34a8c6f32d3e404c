"""Texts that are cut, words that nobody knows, intents that are too small, too different or spelt twice."""

import pytest

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.workbench.intents import distinct_sentences, intent_findings
from intent_bert.workbench.sheets import sheets_of
from intent_bert.workbench.tokens import token_findings


@pytest.fixture
def tokenizer(tiny_checkpoint):
    return FullTokenizer(tiny_checkpoint / "vocab.txt")


def test_cut_and_unknown_words(tokenizer):
    texts = ["play my song now please", "play ☃ music", "☃", "play music"]
    found = list(token_findings(sheets_of((texts, list("abcd")))[0], tokenizer, 5))
    assert [(each.kind, each.severity, each.row, round(each.score, 3)) for each in found] == [
        ("cut", "warning", 0, 0.286),  # [CLS] play my song now please [SEP]: two of seven
        ("unknown-words", "info", 1, 0.333),
        ("unknown-words", "warning", 2, 1.0),
    ]
    assert found[0].suggestion == "(shorten it, or train with --max-seq-len 7)"
    assert "☃" in found[1].why


def table(**sizes: int):
    rows = [(f"{intent} text {number}", intent) for intent, size in sizes.items() for number in range(size)]
    return sheets_of(tuple(zip(*rows, strict=True)))[0]


def test_too_few_says_how_many_more():
    found = [each for each in intent_findings(table(a=60, b=49, c=4, d=1)) if each.kind == "too-few"]
    assert [(each.intent, each.severity, each.suggestion) for each in found] == [
        ("b", "info", "(write 1 more)"),
        ("c", "warning", "(write 1 more at least)"),
        ("d", "error", "(write 4 more at least)"),
    ]
    assert [each.score for each in found] == sorted(each.score for each in found)


def test_a_sentence_counts_once():
    assert distinct_sentences(sheets_of((["a b", "A b!", "c"], ["x", "x", "y"]))[0]) == {"x": 1, "y": 1}
    assert distinct_sentences(sheets_of((["a b", "c"], ["x|y", "x"]), separator="|")[0]) == {"x": 2, "y": 1}


@pytest.mark.parametrize(("most", "found"), [(599, False), (600, True)])
def test_imbalance_is_ten_times(most, found):
    kinds = [each.kind for each in intent_findings(table(a=most, b=60))]
    assert ("imbalance" in kinds) == found


def test_one_intent_in_two_spellings():
    (found,) = [each for each in intent_findings(table(PlayMusic=60, play_music=50, stop=50)) if each.kind == "overlap"]
    assert (found.intent, found.severity) == ("play_music", "error")
    assert "PlayMusic" in found.why
