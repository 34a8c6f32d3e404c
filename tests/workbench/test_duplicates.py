"""Contradictions, duplicates, leaks and near-duplicates, with rows as their owner counts them."""

import time

import numpy as np
import pandas as pd
import pytest

from intent_bert.workbench.duplicates import near_texts, repeated_texts
from intent_bert.workbench.near_texts import LEAST, near_pairs
from intent_bert.workbench.sheets import evened, sheets_of


def told(findings) -> list[tuple]:
    return sorted((each.kind, str(each.row), str(each.other_row), each.suggestion) for each in findings)


def test_within_a_table():
    table = (
        ["play it", "Play it!", "play  it", "stop", "stop", "go"],
        ["music", "music", "video", "halt", "end", "go"],
    )
    assert told(repeated_texts(sheets_of(table))) == [
        ("contradiction", "2", "0", "intent: music"),
        ("contradiction", "4", "3", "(decide: halt or end)"),
        ("duplicate", "1", "0", "delete"),
    ]


def test_an_exact_contradiction_is_surer():
    findings = repeated_texts(sheets_of((["a b", "a b", "c d", "C D"], list("xyxy"))))
    assert [each.score for each in findings] == [1.0, 0.99]


def test_between_tables(tmp_path):
    (tmp_path / "train.csv").write_text('text,intent\n"play\nit",music\nstop,halt\n')
    (tmp_path / "valid.csv").write_text("text,intent\nrain,weather\nPlay it,music\n")
    (tmp_path / "test.csv").write_text("text,intent\nstop,end\nrain?,weather\n")
    assert told(repeated_texts(sheets_of(tmp_path))) == [
        ("contradiction", "3", "test.csv:2", "(decide: halt or end)"),
        ("leak", "2", "valid.csv:3", "delete"),
        ("leak", "3", "test.csv:2", "delete"),
        ("leak", "valid.csv:2", "test.csv:3", "(delete it in one of valid.csv and test.csv)"),
    ]


def test_several_labels_in_any_order_are_the_same():
    findings = repeated_texts(sheets_of((["a b", "a b", "c", "c"], ["x|y", "y|x", "x", ""]), separator="|"))
    assert [each.kind for each in findings] == ["duplicate", "contradiction"]


def test_near_texts_name_the_other_row():
    table = (["how do i activate my new card", "how do I activate my new cards", "play it"], ["a", "b", "c"])
    against = (["how do i activate my own card now", "how do I activate my new card"], ["a", "a"])
    (near,) = near_texts(sheets_of(table))
    assert (near.kind, near.severity, near.row, near.other_row) == ("near-duplicate", "warning", 1, 0)
    assert near.score > LEAST
    leaks = [each for each in near_texts(sheets_of(table, against)) if each.kind == "leak"]
    assert [(each.row, each.other_row) for each in leaks] == [(1, "against:1")]


def exact_pairs(texts: list[str]) -> set[tuple[int, int]]:
    """By hand: every pair, its groups of four letters as sets of bytes."""
    grams = [{f" {text} ".encode()[i : i + 4] for i in range(max(1, len(text.encode()) - 1))} for text in texts]
    return {
        (one, other)
        for one in range(len(texts))
        for other in range(one + 1, len(texts))
        if len(grams[one] & grams[other]) / len(grams[one] | grams[other]) >= LEAST
    }


def some_texts(number: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    words = ["".join(chr(97 + letter) for letter in rng.integers(0, 26, 5)) for _ in range(500)]
    texts: list[str] = []
    while len(texts) < number:
        sentence = [words[word] for word in rng.integers(0, 500, 14)]
        texts += [" ".join(sentence), " ".join([*sentence[:-1], words[rng.integers(0, 500)]])]
    return list(dict.fromkeys(texts))[:number]


def test_the_pairs_are_those_of_a_full_comparison():
    texts = some_texts(300)
    pairs, shares = near_pairs(texts)
    expected = exact_pairs(texts)
    assert {(one, other) for one, other in pairs.tolist()} == expected
    assert len(expected) > 50
    assert (shares >= LEAST).all()
    assert len(near_pairs(["abc"])[0]) == 0


@pytest.mark.slow
def test_a_thousand_alike_are_no_square():
    """All in one band: candidates grow as the texts, not as their pairs."""
    many = [f"transfer money to my savings account number {number:05} right now please" for number in range(20_000)]
    started = time.process_time()
    pairs, _ = near_pairs(many)
    assert 0 < len(pairs) < 20_000 * 16 * 8
    assert time.process_time() - started < 120


def test_evened():
    assert evened("Ｐlay\u00a0 IT!") == "play it"
    assert evened("👍") == "👍"
    table = pd.DataFrame({"text": ["👍", "👎"], "intent": ["yes", "no"]}, index=[7, 9])
    assert repeated_texts(sheets_of(table)) == []
