"""Labels of a test table that may be wrong, and whether the neighbours agree."""

import numpy as np
import pandas as pd
import pytest
from word_model import WordModel

from intent_bert.data.tables import read_table
from intent_bert.model.decision import Decision
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.model.outputs import Outputs
from intent_bert.model.scope import Scope
from intent_bert.workbench.report import report_of

WORDS = {"play": [6.0, 0], "song": [0.5, 0], "rain": [0, 6.0], "sun": [0, 1.0]}
TRAINED_ON = ["play song", "play play song", "play", "play song song", "rain sun", "rain", "rain rain", "sun rain sun"]


def scope() -> Scope:
    vectors = WordModel(WORDS, ["music", "weather"], Decision()).outputs(TRAINED_ON).vectors
    layers = np.random.default_rng(0).normal(0, 1, (8, 4)).astype("float32")
    return Scope.of(Outputs(np.zeros((8, 2), "float32"), vectors, layers), np.repeat([0, 1], 4), 2)


def test_the_intents_of_the_nearest_training_sentences():
    vectors = WordModel(WORDS, ["music", "weather"], Decision()).outputs(["play song", "rain sun sun"]).vectors
    nearest = scope().nearest_intents(vectors, 4)
    assert nearest.tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]
    assert scope().nearest_intents(vectors, 20).shape == (2, 8)
    assert scope().nearest_intents(vectors[:0], 3).shape == (0, 3)


def test_a_sure_mistake_is_a_suspect_where_the_neighbours_agree():
    rows = [("play song", "weather"), ("rain", "music"), ("rain sun", "weather"), ("sun", "music")]
    table = read_table(pd.DataFrame(rows, columns=["text", "intent"]))
    model = WordModel(WORDS, ["music", "weather"], Decision(scope=scope()))
    suspects = report_of(model, "m", table, verbose=0).suspects
    assert suspects[["text", "label", "proposal"]].values.tolist() == [
        ["play song", "weather", "music"], ["rain", "music", "weather"],
    ]  # fmt: skip
    assert (suspects["neighbours"] >= 3).all()
    assert (suspects["label_probability"] < 0.05).all()
    turned = Scope(
        scope().centers, scope().projections, tuple(each[::-1] for each in scope().sentences), scope().starts
    )
    model = WordModel(WORDS, ["music", "weather"], Decision(scope=turned))
    assert report_of(model, "m", table, verbose=0).suspects.empty


def test_of_several_intents_a_label_too_many_and_one_too_few_are_suspected():
    rows = [("play rain", "music"), ("play", "music|weather"), ("play", "music")]
    table = read_table(pd.DataFrame(rows, columns=["text", "intent"]), label_separator="|")
    words = {"play": [6.0, -3.0], "rain": [-2.0, 9.0]}
    model = WordModel(words, ["music", "weather"], MultiLabelDecision(thresholds=(0.5, 0.5)))
    suspects = report_of(model, "m", table, verbose=0).suspects
    assert suspects[["row", "proposal"]].values.tolist() == [[0, "+ weather"], [1, "- weather"]]
    assert suspects["confidence"].tolist() == pytest.approx([0.9975, 0.9526], abs=1e-3)
