"""Intents' names as sentences."""

import pandas as pd

from intent_bert.data.label_names import with_label_names, words_of_label


def test_labels_become_words():
    labels = ["Refund_not_showing_up", "reverted_card_payment?", "GetWeather", "RESTAdress", "größe_ändern", "", "?"]
    assert [words_of_label(label) for label in labels] == [
        "refund not showing up", "reverted card payment", "get weather", "rest adress", "größe ändern", "", "",
    ]  # fmt: skip


def test_each_name_is_one_more_row_unless_it_tells_nothing():
    rows = [
        ("play it", "PlayMusic"), ("Get Weather", "GetWeather"), ("a", 7), ("b", "x-y"), ("c", "x_y"), ("d", "Rate it"),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["text", "intent"])
    named = with_label_names(table)
    pd.testing.assert_frame_equal(named[:6], table)
    assert named[6:].to_numpy().tolist() == [["play music", "PlayMusic"], ["rate it", "Rate it"]]
