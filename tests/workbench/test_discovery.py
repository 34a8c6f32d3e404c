"""Groups among refused sentences: heaps are found without being counted, and told by words, examples and neighbours."""

import numpy as np
import pandas as pd
import pytest

from intent_bert import calibrate, discover
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, SettingsError
from intent_bert.workbench import discovery
from intent_bert.workbench.discovery import WordCounts, grouped


def heaps(number: int, of_each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(number), of_each)
    vectors = np.eye(number, 24)[labels] + 0.08 * rng.normal(size=(len(labels), 24))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels


@pytest.mark.parametrize("number", [2, 5, 8])
def test_as_many_groups_as_there_are_heaps(number):
    vectors, labels = heaps(number, 30)
    groups = grouped(vectors)
    assert len(set(groups)) == number
    assert all(len(set(groups[labels == each])) == 1 for each in range(number))
    assert set(groups) == set(range(1, number + 1))


def test_the_largest_group_is_the_first_and_a_pair_is_none():
    vectors, _ = heaps(3, 30)
    lonely = np.eye(24)[[20, 20]]
    groups = grouped(np.concatenate([vectors[:30], vectors[30:45], lonely]))
    assert groups.tolist() == [1] * 30 + [2] * 15 + [0, 0]


def test_what_is_too_much_for_the_tree_goes_to_the_nearest_group(monkeypatch):
    monkeypatch.setattr(discovery, "MOST_GROUPED", 90)
    vectors, labels = heaps(4, 60)
    groups = grouped(vectors)
    assert len(set(groups)) == 4
    assert all(len(set(groups[labels == each])) == 1 for each in range(4))


def test_key_words_are_rare_elsewhere():
    counts = WordCounts()
    counts.add(["pay the bill now", "the bill is 12", "the song", "now play the song", "the end"])
    assert counts.key_words(["pay the bill now", "the bill is 12"]) == ["bill"]
    assert counts.key_words(["!!", "12"]) == []


@pytest.fixture(scope="module")
def rejecting(trained, tmp_path_factory):
    """The small model with a threshold."""
    import shutil

    folder = tmp_path_factory.mktemp("rejecting") / "model"
    shutil.copytree(trained.folder, folder)
    calibrate(folder, read_table(trained.folder.parent / "train.csv"))
    return folder


def test_a_table_is_grouped(rejecting, trained, tmp_path):
    known = pd.read_csv(trained.folder.parent / "train.csv")["text"].tolist()
    strange = [f"zx{'qk' * (n % 4)} {n % 3}{n % 4} vv" for n in range(40)]
    found = discover(rejecting, known + strange)
    assert found.rows == len(known) + 40
    assert 10 <= found.refused == len(found.sentences) <= found.rows
    assert found.groups["size"].sum() + found.alone == found.refused
    assert found.groups["group"].tolist() == list(range(1, len(found.groups) + 1))
    assert found.groups["size"].is_monotonic_decreasing
    assert set(found.groups["nearest_intent"]) <= {"music", "table", "weather"}
    first = found.sentences[found.sentences["group"] == 1]
    assert found.groups["typical_1"].iloc[0] == first["text"].iloc[0]
    assert [(known + strange)[row] for row in first["row"]] == first["text"].tolist()
    assert list(found.files()) == ["groups.csv", "sentences.csv"]
    for name, text in found.files().items():
        (tmp_path / name).write_text(text)
    assert pd.read_csv(tmp_path / "groups.csv")["intent"].isna().all()


def test_mistakes_get_a_sentence(rejecting, trained):
    known = pd.read_csv(trained.folder.parent / "train.csv")["text"].tolist()[:20]
    with pytest.raises(DataError, match=r"refuses \d of the 20 sentences of the table, too few to tell groups: 10"):
        discover(rejecting, known)
    with pytest.raises(SettingsError, match="can't tell which sentences are in scope"):
        discover(trained.folder, known)
