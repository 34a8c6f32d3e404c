"""Neighbours, doubts and suspects, on vectors made by hand."""

import numpy as np
import pytest

from intent_bert.workbench import neighbours
from intent_bert.workbench.doubts import Doubts, doubts_of
from intent_bert.workbench.label_errors import label_errors, outliers, overlaps, suspects
from intent_bert.workbench.neighbours import nearest_neighbours, unit
from intent_bert.workbench.sheets import sheets_of


def clouds(each: int = 40, classes: int = 4, width: int = 16, spread: float = 0.15, seed: int = 0):
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(classes, width)))
    own = np.repeat(np.arange(classes), each)
    return (centres[own] + rng.normal(0, spread, (len(own), width))).astype("float32"), own


def test_neighbours_are_exact_where_rows_are_few():
    vectors = unit(clouds()[0])
    near, similarity = nearest_neighbours(vectors, 5)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -2)
    assert (near == np.argsort(-products, axis=1)[:, :5]).all()
    np.testing.assert_allclose(similarity, -np.sort(-products, axis=1)[:, :5], rtol=1e-5)


def test_most_neighbours_are_found_where_rows_are_many(monkeypatch):
    monkeypatch.setattr(neighbours, "LEAF", 400)
    vectors = unit(clouds(each=500)[0])
    near, similarity = nearest_neighbours(vectors, 10)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -2)
    exact = np.argsort(-products, axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) for a, b in zip(near, exact, strict=True)]) > 8
    assert (near != np.arange(len(near))[:, None]).all()
    assert all(len(set(row)) == 10 for row in near)
    assert (np.diff(similarity, axis=1) <= 0).all()


def test_fewer_rows_than_neighbours():
    assert nearest_neighbours(unit(np.eye(3, dtype="float32")), 10)[0].shape == (3, 2)


@pytest.fixture(scope="module")
def turned():
    vectors, own = clouds()
    wrong = [3, 50, 51, 99, 120]
    labels = own.copy()
    labels[wrong] = (labels[wrong] + 1) % 4
    return vectors, [f"intent {number}" for number in labels], wrong, own


def test_turned_labels_come_first_with_the_right_proposal(turned):
    vectors, labels, wrong, own = turned
    numbers, proposed, score = suspects(doubts_of(vectors, labels, progress=False))
    assert sorted(numbers[: len(wrong)]) == wrong
    assert [proposed[place] == own[number] for place, number in enumerate(numbers[:5])] == [True] * 5
    assert (np.diff(score) <= 0).all()
    assert ((score > 0.5) & (score < 1)).all()


def test_a_finding_names_a_neighbour_that_agrees(turned):
    vectors, labels, wrong, own = turned
    sheet = sheets_of(([f"text {number}" for number in range(len(labels))], labels))[0]
    first = next(label_errors(sheet, range(len(labels)), doubts_of(vectors, labels, progress=False)))
    assert first.kind == "label-error"
    assert first.row in wrong
    assert first.suggestion == f"intent: intent {own[first.row]}"
    assert own[first.other_row] == own[first.row]


def test_an_intent_with_too_few_sentences_is_not_judged():
    vectors, own = clouds()
    labels = [f"intent {number}" for number in own]
    labels[0] = "alone"
    assert 0 not in suspects(doubts_of(vectors, labels, progress=False))[0]


def test_outliers_are_far_and_unlikely():
    own = np.repeat([0, 1], 10)
    p = np.where(np.arange(2) == own[:, None], 0.9, 0.1).astype("float32")
    p[7], p[8] = [0.4, 0.3], [0.4, 0.3]
    similarity = np.linspace(0.7, 0.8, 20, dtype="float32")[:, None].repeat(3, axis=1)
    similarity[[7, 9]] = 0.1  # 9 is far, but its intent is likely; of 8 no intent is likely, but it is not far
    doubts = Doubts(["a", "b"], own, p, np.ones(20, bool), np.zeros((20, 3), int), similarity)
    sheet = sheets_of(([f"text {number}" for number in range(20)], own.tolist()))[0]
    assert [(each.row, each.score) for each in outliers(sheet, range(20), doubts)] == [(7, pytest.approx(0.6))]


def test_overlaps_are_told_with_an_example_of_each():
    own = np.repeat([0, 1, 2], 10)
    p = np.full((30, 3), 0.1, "float32")
    p[np.arange(30), own] = 0.8
    p[[1, 2]] = [0.1, 0.8, 0.1]  # two of the first, and two of the second, are taken for the other
    p[[11, 12]] = [0.8, 0.1, 0.1]
    nothing = np.zeros((30, 1), int)
    doubts = Doubts(["a", "b", "c"], own, p, np.ones(30, bool), nothing, nothing.astype("float32"))
    sheet = sheets_of(([f"text {number}" for number in range(30)], [doubts.classes[each] for each in own]))[0]
    (found,) = overlaps(sheet, range(30), doubts)
    assert (found.intent, found.row, found.other_row) == ("a", 1, 11)
    assert found.score == pytest.approx(0.4)
    assert "4 of their 20 sentences" in found.why
