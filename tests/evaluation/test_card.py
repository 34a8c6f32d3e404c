"""The model card: facts of the run, and labels as text."""

from types import SimpleNamespace

import numpy as np

from intent_bert.bert.config import BertConfig
from intent_bert.evaluation.card import model_card
from intent_bert.evaluation.metrics import evaluate_probabilities
from intent_bert.model.calibration import Calibration
from intent_bert.model.decision import Decision
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.model.scope import Threshold


def card(classes: list, labels: list, decision: Decision | None = None, **settings: object) -> str:
    probabilities = np.full((len(labels), len(classes)), 1 / len(classes), "float32")
    evaluation = evaluate_probabilities(["text"] * len(labels), labels, probabilities, classes)
    facts = {"checkpoint": "all-MiniLM-L6-v2", **settings}
    return model_card(facts, classes, {"test": evaluation}, BertConfig(100), decision or Decision())


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


def test_it_says_whether_it_can_be_trusted():
    text = card(["a", "b"], ["a"])
    assert "Probabilities are not calibrated" in text and "It can't reject sentences" in text
    threshold = Threshold(-2.0, 0.95, (0.93, 0.97), 420, "validation")
    decision = Decision(Calibration(1.25, 420, "validation"), SimpleNamespace(threshold=threshold))
    text = card(["a", "b"], ["a"], decision)
    assert "Probabilities are calibrated with temperature 1.250, from 420 sentences (validation)." in text
    assert "set on 420 sentences, its threshold accepts 93.0% to 97.0% of those in scope." in text
    unknown = Decision(scope=SimpleNamespace(threshold=Threshold(-2.0, None, None, 30, "x")))
    assert "30 known and unknown ones set the threshold" in card(["a", "b"], ["a"], unknown)
    assert "Can it be trusted?" not in card(["a", "b"], ["a"], MultiLabelDecision.unfitted(2))
