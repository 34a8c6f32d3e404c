"""What usual sentences are like: counts by hand, short vectors that keep distances, the way into a file."""

import io

import numpy as np
import pytest

from intent_bert.errors import ModelFolderError
from intent_bert.model.decision import Decision
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.model.outputs import Outputs
from intent_bert.model.scope import Scope, Threshold
from intent_bert.model.sketch import LEAST_ROWS, MOST_VECTORS, Observed, Sketch, observed, token_kinds

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "##ing", "song", "##s", "!"]
CLASSES, WIDTH = 3, 12


def some(number: int, seed: int = 0, shift: float = 0.0) -> Observed:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=number).astype("float32")
    return Observed(
        rng.integers(0, CLASSES, number),
        rng.uniform(0.2, 1, number).astype("float32"),
        scores,
        scores < -1.6,
        rng.integers(1, 20, number),
        rng.choice([0.0, 0.3], number),
        (rng.normal(size=(number, 3 * WIDTH)) + shift).astype("float32"),
    )


def test_lengths_and_unknown_words_by_hand():
    kinds = token_kinds(VOCABULARY)
    ids = [
        [2, 4, 3],
        [2, 4, 5, 6, 7, 8, 3],
        [2, 1, 6, 3],
        [2, 3],
    ]  # play | play ##ing song ##s ! | [UNK] song | nothing
    nothing = np.zeros((4, WIDTH), "float32")
    outputs = Outputs(np.eye(4, CLASSES, dtype="float32"), nothing, np.zeros((4, 2 * WIDTH), "float32"))
    found = observed(ids, outputs, Decision(), kinds)
    assert found.lengths.tolist() == [1, 5, 2, 0]
    np.testing.assert_allclose(found.unknown_words, [0, 2 / 3, 1 / 2, 0])
    assert found.numbers.tolist() == [0, 1, 2, -1]  # the last has no word
    assert found.refused is None and np.isnan(found.scores).all()


def test_refused_is_what_the_threshold_refuses():
    rng = np.random.default_rng(0)
    outputs = Outputs(*(rng.normal(size=(60, width)).astype("float32") for width in (CLASSES, WIDTH, 2 * WIDTH)))
    scope = Scope.of(outputs, np.arange(60) % CLASSES, CLASSES)
    scores = scope.scores(outputs, outputs.logits.argmax(axis=1), np.zeros(60, bool))
    middle = float(np.median(scores))
    decision = Decision(scope=Scope(**{**_fields(scope), "threshold": Threshold(middle, 0.5, None, 60, "x")}))
    found = observed([[2, 4, 3]] * 60, outputs, decision, token_kinds(VOCABULARY))
    np.testing.assert_array_equal(found.refused, scores < middle)
    several = observed([[2, 4, 3]] * 60, outputs, MultiLabelDecision.unfitted(CLASSES), token_kinds(VOCABULARY))
    np.testing.assert_array_equal(several.refused, (outputs.logits < 0).all(axis=1))


def _fields(scope: Scope) -> dict:
    return {name: value for name, value in vars(scope).items() if not name.startswith("_")}


def test_every_sentence_is_in_one_cell_of_each_histogram():
    usual = some(400)
    sketch = Sketch.of(usual, CLASSES)
    for name, counts in sketch.usual.counts.items():
        assert counts.sum() == 400, name
        assert len(counts) == len(sketch.edges[name]) + 1
    intents = sketch.profile(usual._replace(numbers=np.array([-1, 0, 0, 2] * 100))).counts["intents"]
    assert intents.tolist() == [100, 200, 0, 100]
    assert sketch.usual.counts["refused"].tolist() == [int((~usual.refused).sum()), int(usual.refused.sum())]
    assert 30 <= sketch.usual.counts["score"].min() <= sketch.usual.counts["score"].max() <= 50  # tenths


def test_short_vectors_keep_distances():
    sketch = Sketch.of(some(400), CLASSES)
    new = some(60, seed=1)
    short = sketch.profile(new).vectors.astype("float64")
    standardised = (new.vectors - sketch.means) / sketch.spreads
    far, near = (np.linalg.norm(each[:30] - each[30:], axis=1) for each in (standardised, short))
    assert np.corrcoef(far, near)[0, 1] > 0.5
    assert short.std() == pytest.approx(32, rel=0.2)
    assert sketch.usual.vectors.dtype == np.int8


def test_few_sentences_tell_nothing_and_many_stay_small():
    assert Sketch.of(some(LEAST_ROWS - 1), CLASSES) is None
    many = some(5000)
    rng = np.random.default_rng(0)
    many = many._replace(vectors=rng.normal(size=(5000, 3 * 1024)).astype("float32"))  # a large BERT's
    sketch = Sketch.of(many, 150)
    assert len(sketch.usual.vectors) == MOST_VECTORS
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **sketch.arrays())
    assert len(file.getvalue()) < 300_000


def test_it_comes_back_from_its_arrays():
    sketch, new = Sketch.of(some(200), CLASSES), some(70, seed=2)
    again = Sketch.from_arrays(sketch.arrays())
    assert again.rows == 200
    before, after = sketch.profile(new), again.profile(new)
    np.testing.assert_array_equal(before.vectors, after.vectors)
    assert all((before.counts[name] == after.counts[name]).all() for name in before.counts)
    for lost in ("means", "counts score", "vectors"):
        arrays = {name: array for name, array in sketch.arrays().items() if name != lost}
        with pytest.raises(ModelFolderError, match="sketch of usual sentences can't be read"):
            Sketch.from_arrays(arrays)
    with pytest.raises(ModelFolderError, match="shapes of its vectors do not fit"):
        Sketch.from_arrays({**sketch.arrays(), "means": sketch.means[:-1]})


def test_what_the_model_can_not_tell_is_left_out():
    usual = some(100)._replace(
        refused=None, scores=np.full(100, np.nan, "float32"), vectors=np.empty((100, 0), "float32")
    )
    sketch = Sketch.of(usual, CLASSES)
    assert set(sketch.usual.counts) == {"intents", "confidence", "length", "unknown words"}
    assert sketch.usual.vectors.shape == (0, 0)
