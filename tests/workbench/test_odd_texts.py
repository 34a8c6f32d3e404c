"""Odd texts: what is told of each, and that plain sentences are left in peace."""

import pytest

from intent_bert.workbench.languages import other_languages, other_scripts
from intent_bert.workbench.odd_texts import odd_texts, without_control, without_markup, without_mojibake
from intent_bert.workbench.sheets import sheets_of


def found(*texts: str) -> list[tuple]:
    return [
        (each.severity, each.row, each.suggestion)
        for each in odd_texts(sheets_of((list(texts), ["a"] * len(texts)))[0])
    ]


def test_each_oddity_has_a_proposal():
    assert found("play it", "?!", "mail jo@firm.com", "cafÃ© nearby", "<b>play</b> it", "pl\x07ay") == [
        ("error", 1, "delete"),
        ("error", 2, "text: mail name@example.com"),
        ("warning", 3, "text: café nearby"),
        ("warning", 4, "text: play it"),
        ("warning", 5, "text: play"),
    ]


def test_a_secret_is_shown_masked_in_every_finding():
    sheet = sheets_of((["<b>my password is hunter2</b>"], ["a"]))[0]
    assert len(odd_texts(sheet)) == 2
    assert "hunter2" not in repr(odd_texts(sheet))


@pytest.mark.parametrize("text", ["naïve café", "£5 – “quoted” €", "Ã is a letter", "Gö 日本"])
def test_right_characters_are_no_mojibake(text):
    assert without_mojibake(text) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("what&#39;s up", "what's up"),
        ("weather in [Berlin](city)", "weather in Berlin"),
        ('<a href="x">play</a>', "play"),
        ("a < b & c > d", "a < b & c > d"),
        ("I <3 you", "I <3 you"),
        ("the [first] one", "the [first] one"),
    ],
)
def test_markup(text, plain):
    assert without_markup(text) == plain


def test_line_ends_and_tabs_are_no_control_characters():
    assert without_control("a\tb\r\nc") == "a\tb\r\nc"


def test_another_script_is_told_by_the_table():
    english = ["play music", "book a table", "café", "включи музыку", "p\u0430ypal me"]
    assert [(number, why) for number, why, _ in other_scripts(english)] == [
        (3, "its letters are Cyrillic, those of the table Latin"),
        (4, "the letters of 'p\u0430ypal' are of two scripts that look alike"),
    ]
    assert [number for number, _, _ in other_scripts(["включи", "музыка", "play"])] == [2]


def test_another_language_is_told_by_its_commonest_words():
    english = ["what is the weather in paris", "play it for me", "how do i pay", "i want to go", "turn it on"]
    foreign = [
        "wie ist das wetter in berlin",
        "quiero pagar con la tarjeta en el banco",
        "où est la gare pour le train",
    ]
    told = {number: why for number, why, _ in other_languages([*english, *foreign])}
    assert [*told] == [5, 6, 7]
    assert told[5] == "it seems to be German, and the table English"


def test_a_table_of_no_known_language_is_not_judged():
    texts = ["xyzzy plugh", "foo bar", "quux corge", "grault garply", "waldo fred", "wie ist das wetter heute"]
    assert list(other_languages(texts)) == []
