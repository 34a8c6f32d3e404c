"""The model card: facts of the run, and labels as text."""

import numpy as np

from intent_bert.bert.config import BertConfig
from intent_bert.evaluation.card import model_card
from intent_bert.evaluation.metrics import evaluate_probabilities


def card(classes: list, labels: list, **settings: object) -> str:
    probabilities = np.full((len(labels), len(classes)), 1 / len(classes), "float32")
    evaluation = evaluate_probabilities(["text"] * len(labels), labels, probabilities, classes)
    return model_card({"checkpoint": "all-MiniLM-L6-v2", **settings}, classes, {"test": evaluation}, BertConfig(100))


def test_labels_and_settings_are_text():
    lines = card(["a|b", "`c`\nd"], ["a|b", "<b>"], train_file="my_file|x.csv", epochs=None).split("\n")
    assert "Intents: `a|b`, `` `c` d ``." in lines
    assert "Counted as mistakes, because training never had them: `<b>`." in lines
    assert r"| train_file | my\_file\|x.csv |" in lines
    assert "| test | 2 | 0.5000 | 0.3333 | 0.6931 |" in lines
    assert not [line for line in lines if "epochs" in line]


def test_without_a_known_label_there_is_no_loss():
    assert "| test | 1 | 0.0000 | 0.0000 | - |" in card(["a", "b"], ["new"])


def test_many_intents_are_not_all_listed():
    text = card([f"intent {number}" for number in range(45)], ["intent 0"])
    assert "`intent 39` and 5 more (labels.json)." in text and "`intent 40`" not in text
