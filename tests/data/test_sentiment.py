"""The embedded `sentiment` data set: balanced, split without leaks, every sentence its own."""

import itertools
import re

import pytest

from intent_bert.data.datasets import load


@pytest.fixture(scope="module")
def splits():
    return load("sentiment")


def test_it_is_balanced_and_as_large_as_its_readme_says(splits):
    for table, rows in ((splits.train, 90), (splits.validation, 20), (splits.test, 20)):
        assert table["intent"].value_counts().to_dict() == {"negative": rows, "neutral": rows, "positive": rows}
    text = (splits.source / "README.md").read_text(encoding="utf-8")
    assert "270 to train, 60 to\nvalidate and 60 to test" in text


def test_no_two_sentences_share_more_than_half_of_their_words(splits):
    texts = [text for table in (splits.train, splits.validation, splits.test) for text in table["text"]]
    words = [frozenset(re.findall(r"[a-z']+", text.lower())) for text in texts]
    shares = [(len(one & two) / len(one | two), one, two) for one, two in itertools.combinations(words, 2)]
    assert len(texts) == len(set(texts)) == 390
    assert max(shares, key=lambda each: each[0])[0] <= 0.5


@pytest.mark.real_weights
def test_bert_understands_more_of_it_than_counted_words(splits, real_checkpoint):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from intent_bert import BertTransformer

    scores = []
    for features in (TfidfVectorizer(), BertTransformer()):
        pipeline = make_pipeline(features, LogisticRegression(max_iter=1000)).fit(
            splits.train.text, splits.train.intent
        )
        scores.append(pipeline.score(splits.test.text, splits.test.intent))
    assert 0.4 < scores[0] < scores[1] - 0.05
    assert scores[1] > 0.7
