"""What ``--mix`` adds: sentences of the table with all the labels of their parts."""

import pandas as pd
import pytest

from intent_bert.config import TrainingConfig
from intent_bert.data.mixing import mix, mixed_tables, with_mixed
from intent_bert.data.tables import read_table
from intent_bert.errors import SettingsError

WORDS = {"apple": "fruit", "pear": "fruit", "oak": "tree", "ash": "tree", "rain": "weather", "hello": None}


@pytest.fixture
def table() -> pd.DataFrame:
    return read_table((list(WORDS), [[each] if each else [] for each in WORDS.values()]), label_separator="|")


def parts_of(text: str) -> list[str]:
    return [word for word in WORDS if word in text.lower()]


def test_a_mixed_sentence_has_the_labels_of_its_parts(table):
    rows = mix(list(table["text"]), list(table["intent"]), 500)
    assert len(rows) == 500
    for text, labels in rows:
        assert set(labels) == {WORDS[word] for word in parts_of(text)} - {None}
        assert list(labels) == sorted(labels)
    numbers = [len(parts_of(text)) for text, _ in rows]
    assert set(numbers) <= {1, 2, 3} and numbers.count(2) > numbers.count(3) > 50
    assert len({text.lower().replace(parts_of(text)[0], "") for text, _ in rows}) > 200  # joints, orders, punctuation


def test_the_seed_decides_what_is_mixed(table):
    texts = [list(with_mixed(table, 1.0, seed)["text"]) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_rows_are_added_behind_those_of_the_table(table):
    mixed = with_mixed(table, 0.5)
    assert mixed.iloc[:6].equals(table)
    assert len(mixed) == 9
    assert mixed.attrs == table.attrs


def test_train_and_held_out_rows_are_mixed_of_their_own_sentences_and_test_rows_are_not(table):
    config = TrainingConfig(multi_label=True, mix=1.0)
    tables = {"train": table.iloc[:3], "validation": table.iloc[3:], "test": table}
    mixed = mixed_tables(tables, config)
    assert {name: len(each) for name, each in mixed.items()} == {"train": 6, "validation": 6, "test": 6}
    for name in ("train", "validation"):
        words = {word for text in mixed[name]["text"] for word in parts_of(text)}
        assert words <= set(tables[name]["text"])
    real = read_table((["apple and oak"], ["fruit|tree"]), label_separator="|")
    assert mixed_tables({"train": table, "validation": real}, config)["validation"] is real
    assert mixed_tables(tables, TrainingConfig(multi_label=True)) is tables


def test_one_sentence_and_two_alike_can_be_mixed():
    rows = mix(["rain", "snow"], [("weather",), ("weather",)], 20)
    assert all(labels == ("weather",) for _, labels in rows)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"mix": 1.5, "multi_label": True}, "mix must be 0 to 1, a share of the table, not 1.5"),
        ({"mix": -0.1, "multi_label": True}, "mix must be 0 to 1, a share of the table, not -0.1"),
        ({"mix": 0.5}, "mix makes sentences with several intents: give multi_label as well"),
        (
            {"multi_label": True, "class_weight": "balanced"},
            "class_weight is for one intent a sentence: leave it out with multi_label",
        ),
        (
            {"label_separator": "+"},
            "label_separator joins several labels of a sentence: give multi_label as well",
        ),
        ({"label_separator": ""}, "label_separator is empty: expected what joins the labels, such as '|'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, expected):
    with pytest.raises(SettingsError) as caught:
        TrainingConfig(**settings)
    assert str(caught.value) == expected
