"""The files that show where a model goes wrong: every reader gives back the same rows."""

import numpy as np
import pandas as pd

from intent_bert import read_table
from intent_bert.evaluation.metrics import evaluate_probabilities
from intent_bert.evaluation.reports import write_reports

CLASSES = ["a\rb", 'quoted "," $x_{$', "line\nfeed"]
TEXTS = ["play\rnow", "one\r\ntwo", ' spaces, and "quotes"', "=1+1", "ü 漢"]


def test_pandas_and_our_own_reader_give_the_same_rows_back(tmp_path):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 50).astype("float32")
    texts = [f"{TEXTS[row % 5]} {row}" for row in range(50)]
    evaluation = evaluate_probabilities(texts, [CLASSES[row % 3] for row in range(50)], probabilities, CLASSES)
    write_reports(tmp_path, evaluation, "test $x_{$.csv")
    mistakes = pd.read_csv(tmp_path / "mistakes.csv")
    pd.testing.assert_frame_equal(mistakes, evaluation.mistakes, check_dtype=False)
    read = read_table(tmp_path / "mistakes.csv", label_column="prediction")
    assert list(read["text"]) == list(mistakes["text"]) and list(read["intent"]) == list(mistakes["prediction"])
    confusion = pd.read_csv(tmp_path / "confusion_matrix.csv", index_col="label")
    pd.testing.assert_frame_equal(confusion, evaluation.confusion_table())
    assert (tmp_path / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"
