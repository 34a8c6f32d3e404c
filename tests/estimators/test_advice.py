"""What is advised, from figures that leave no doubt and from figures that do."""

import numpy as np
import pytest

from intent_bert.estimators.advice import advise

ROWS = 200


def row(method: str, family: str, mistakes: int, seconds: float, p_holm: float) -> dict:
    accuracy = 1 - mistakes / ROWS
    return {
        "method": method, "family": family, "accuracy": accuracy, "train_seconds": seconds, "p_holm": p_holm,
    }  # fmt: skip


def answers(mistakes: int) -> np.ndarray:
    """Right everywhere but in the first so many rows."""
    return np.arange(ROWS) >= mistakes


def test_a_cheaper_equal_is_advised():
    rows = [row("tfidf-svm", "words", 40, 0.25, 0.0), row("bert-mean-svm", "frozen", 9, 20.4, 0.3),
            row("fine-tuning", "tuned", 6, 400, np.nan)]  # fmt: skip
    right = {"tfidf-svm": answers(40), "bert-mean-svm": answers(9), "fine-tuning": answers(6)}
    assert advise(rows, right) == [
        "fine-tuning is the most accurate with 97.0%, but bert-mean-svm (95.5%) can't be told from it on these "
        "sentences and trains in 20 s instead of 400 s: take that, unless you can test on more sentences.",
        "On these sentences frozen BERT (bert-mean-svm) adds 15.5 points to tfidf-svm, and fine-tuning (fine-tuning) "
        "can't be told from chance (+1.5 points, p = 0.25) beside bert-mean-svm.",
    ]


def test_fine_tuning_is_advised_where_it_is_worth_it():
    rows = [row("tfidf-svm", "words", 30, 0.2, 0.0), row("bert-mean-svm", "frozen", 40, 20, 0.001),
            row("fine-tuning", "tuned", 5, 400, np.nan)]  # fmt: skip
    right = {"tfidf-svm": answers(30), "bert-mean-svm": answers(40), "fine-tuning": answers(5)}
    first, second = advise(rows, right)
    assert first == (
        "fine-tuning is the most accurate with 97.5%, and every method that trains faster is worse by more than chance "
        "explains: take it."
    )
    assert "frozen BERT (bert-mean-svm) loses 5.0 points against tfidf-svm, and fine-tuning" in second


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("tfidf-svm", "words", 10, 0.2, np.nan)],
         ["tfidf-svm is the most accurate with 95.0%; there is nothing to set it against: compare it with another "
          "method.",
          "No method with BERT was run: add bert-mean-logreg and fine-tuning to learn what BERT would bring."]),
        ([("majority", "floor", 99, 0.1, 0.0), ("fine-tuning", "tuned", 2, 50, np.nan)],
         ["fine-tuning is the most accurate with 99.0%, and every method that trains faster is worse by more than "
          "chance explains: take it.",
          "Without BERT nothing was run to set fine-tuning against: add tfidf-svm."]),
        ([("last-2", "tuned", 9, 60, 0.0), ("tfidf-svm", "words", 2, 5, np.nan)],
         ["tfidf-svm is the most accurate with 99.0% and the fastest to train: take it.",
          "On these sentences fine-tuning (last-2) loses 3.5 points against tfidf-svm."]),
    ],
)  # fmt: skip
def test_with_few_methods(rows, expected):
    right = {method: answers(mistakes) for method, _, mistakes, _, _ in rows}
    assert advise([row(*each) for each in rows], right) == expected
