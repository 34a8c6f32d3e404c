"""Ways of writing a sentence otherwise: what they change, that they are always the same, what they leave alone."""

import subprocess
import sys
import time

import pytest

from intent_bert.workbench.perturbations import PERTURBATIONS, VARIANTS, variants

TEXTS = [
    "Play our song now", "what's the weather like in Paris?", "I'd like to book a table, please.", "Don’t play it",
    "日本語の文", "ﬁx ß ÄÖ now", "a", "play  it\tnow", "NASA",
]  # fmt: skip


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_variants_differ_from_the_text_and_from_each_other(name):
    for text in TEXTS:
        made = variants(name, text)
        assert len(made) == len(set(made)) <= VARIANTS
        assert text not in made
        assert made == variants(name, text)


def test_another_seed_gives_other_typos_and_another_process_the_same():
    text = "play the soundtrack of the film"
    assert variants("typos", text) != variants("typos", text, seed=1)
    code = f"from intent_bert.workbench.perturbations import variants; print(variants('typos', {text!r}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == repr(variants("typos", text))


def test_typos_are_one_slip_in_one_word():
    for seed in range(30):
        for typo in variants("typos", "play the soundtrack", seed):
            words = typo.split()
            assert len(words) == 3
            assert sum(a != b for a, b in zip(words, ["play", "the", "soundtrack"], strict=True)) == 1
            assert abs(len(typo) - len("play the soundtrack")) <= 1


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("case", "play it", ["PLAY IT", "Play It"]),
        ("punctuation", "well, play it!", ["well, play it", "well play it", "well, play it."]),
        ("punctuation", "turn to 3.5 now", ["turn to 3.5 now.", "turn to 3.5 now?", "turn to 3.5 now!"]),
        ("politeness", "Play it, please.", ["Play it."]),
        ("politeness", "please play it", ["play it"]),
        ("contractions", "What is on, I am here", ["What's on, I'm here"]),
        ("contractions", "don’t go", ["do not go"]),
        ("contractions", "It's what is on", ["It's what's on", "It is what is on"]),
        ("contractions", "the thesis is on", []),
        ("typos", "!?", []),
        ("fillers", "...", []),
        ("politeness", "please", []),
    ],
)
def test_by_hand(name, text, expected):
    assert variants(name, text) == expected


def test_fillers_and_politeness_keep_the_words_in_their_order():
    for name in ("fillers", "politeness"):
        for seed in range(10):
            for made in variants(name, "play some jazz", seed):
                at = [made.lower().index(word) for word in ("play", "some", "jazz")]
                assert at == sorted(at)


def test_questions_are_not_asked_twice():
    for seed in range(20):
        assert not any(
            made.startswith(("could", "can", "i would")) for made in variants("politeness", "is it on", seed)
        )


def test_long_texts_take_no_quadratic_time():
    for text in ("." * 50_000 + "a", " " * 50_000 + "a", ", please" * 5_000):
        started = time.perf_counter()
        for name in PERTURBATIONS:
            variants(name, text)
        assert time.perf_counter() - started < 10
