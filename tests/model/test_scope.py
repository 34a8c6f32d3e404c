"""Is a sentence in scope: the parts of the score by hand, what is kept of training, the way into a file."""

import io
import json

import numpy as np
import pytest

from intent_bert.errors import ModelFolderError
from intent_bert.model.outputs import Outputs
from intent_bert.model.scope import MOST_OF_AN_INTENT, Scope, Threshold, energy, kept_rows

WIDTH, CLASSES = 24, 3


def outputs_of(number: int, seed: int = 0, spread: float = 0.3) -> tuple[Outputs, np.ndarray]:
    """Sentences in three heaps, and which heap each is in."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, number)
    heaps = np.random.default_rng(99).normal(size=(CLASSES, 3 * WIDTH))
    values = (heaps[labels] + spread * rng.normal(size=(number, 3 * WIDTH))).astype("float32")
    logits = 8 * np.eye(CLASSES, dtype="float32")[labels] + rng.normal(size=(number, CLASSES)).astype("float32")
    return Outputs(logits, values[:, :WIDTH], values[:, WIDTH:]), labels


@pytest.fixture(scope="module")
def scope() -> Scope:
    return Scope.of(*outputs_of(300), CLASSES)


def test_the_parts_are_those_of_the_nearest_sentence_of_the_predicted_intent(scope):
    trained, labels = outputs_of(300)
    asked, predicted = outputs_of(40, seed=1)
    found = scope.parts(asked, predicted)
    vectors = [each.vectors - scope.centers[0] for each in (trained, asked)]
    near, far = ((each @ scope.projections[0]) for each in vectors)
    near, far = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (near, far))
    for row in range(40):
        expected = (near[labels == predicted[row]] @ far[row]).max()
        assert found[row, 0] == pytest.approx(expected, abs=0.01)  # the sentences are kept as int8
    np.testing.assert_allclose(found[:, 2], np.log(np.exp(asked.logits.astype("float64")).sum(axis=1)), rtol=1e-5)


def test_a_sentence_has_the_same_score_alone_and_in_company(scope):
    asked, predicted = outputs_of(30, seed=2)
    wordless = np.zeros(30, bool)
    together = scope.scores(asked, predicted, wordless)
    alone = [
        scope.scores(Outputs(*(each[row : row + 1] for each in asked)), predicted[row : row + 1], wordless[:1])[0]
        for row in range(30)
    ]
    np.testing.assert_allclose(alone, together, atol=1e-4)
    assert together.dtype == np.float32


def test_what_lies_elsewhere_or_has_no_word_has_a_lower_score(scope):
    asked, predicted = outputs_of(100, seed=3)
    rng = np.random.default_rng(4)
    strange = Outputs(*(rng.normal(size=each.shape).astype("float32") for each in asked))
    scope = scope.standardised(scope.parts(asked, predicted))
    known = scope.scores(asked, predicted, np.zeros(100, bool))
    unknown = scope.scores(strange, strange.logits.argmax(axis=1), np.zeros(100, bool))
    assert np.median(unknown) < known.min()
    assert scope.scores(asked, predicted, np.ones(100, bool)).max() < unknown.min()
    np.testing.assert_allclose(known.mean(), 0, atol=0.01)


def test_few_sentences_standardise_nothing(scope):
    asked, predicted = outputs_of(29, seed=3)
    assert scope.standardised(scope.parts(asked, predicted)) is scope


@pytest.mark.parametrize("number", [2, 3, 5])
def test_a_handful_of_sentences_will_do(number):
    outputs, _ = outputs_of(number)
    found = Scope.of(outputs, np.arange(number) % 2, CLASSES)  # the third intent has none
    scores = found.scores(outputs, np.full(number, 2), np.zeros(number, bool))
    assert np.isfinite(scores).all()


def test_an_intent_keeps_so_many_sentences_and_all_of_them_fit_into_a_file():
    labels = np.repeat([0, 1], [2000, 40])
    rows = kept_rows(labels, 2)
    assert np.bincount(labels[rows]).tolist() == [MOST_OF_AN_INTENT, 40]
    np.testing.assert_array_equal(rows, kept_rows(labels, 2))
    assert not np.array_equal(rows, kept_rows(labels, 2, seed=1))

    many = np.repeat(np.arange(150), 400)
    rng, rows = np.random.default_rng(0), kept_rows(many, 150)
    assert len(rows) == 150 * (16_000 // 150)
    shapes = (len(rows), 150), (len(rows), 384), (len(rows), 768)
    outputs = Outputs(*(rng.normal(size=shape).astype("float32") for shape in shapes))
    file = io.BytesIO()
    np.savez(file, **Scope.of(outputs, many[rows], 150).arrays())
    assert len(file.getvalue()) < 5e6


def test_it_comes_back_from_its_arrays_and_numbers(scope):
    asked, predicted = outputs_of(50, seed=5)
    told = Scope(**{**fields_of(scope), "threshold": Threshold(-1.5, 0.95, (0.9, 0.98), 50, "validation")})
    again = Scope.from_dict(json.loads(json.dumps(told.to_dict())), told.arrays())
    np.testing.assert_array_equal(*(each.scores(asked, predicted, np.zeros(50, bool)) for each in (told, again)))
    assert vars(again.threshold) == vars(told.threshold)
    for values, arrays in (
        (told.to_dict(), {}),
        ({}, told.arrays()),
        ({**told.to_dict(), "threshold": {"x": 1}}, told.arrays()),
    ):
        with pytest.raises(ModelFolderError, match="in scope can't be read"):
            Scope.from_dict(values, arrays)


def fields_of(scope: Scope) -> dict:
    return {name: value for name, value in vars(scope).items() if not name.startswith("_")}


def test_the_energy_is_that_of_large_logits_too():
    assert energy(np.array([[1000.0, 1000.0]], "float32"))[0] == pytest.approx(1000 + np.log(2))
    assert energy(np.empty((0, 3), "float32")).shape == (0,)
