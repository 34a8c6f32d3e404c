"""Two models on one table: figures worked by hand, what counts as worse, and what can't be compared."""

import json

import numpy as np
import pandas as pd
import pytest
from rules import RulePredictor

from intent_bert import diff_models
from intent_bert.data.streaming import chunks
from intent_bert.errors import DataError, SettingsError
from intent_bert.workbench.diff_report import report_of
from intent_bert.workbench.two_models import ROWS

CLASSES = ["music", "weather", "table"]
OLD = {"play": "music", "rain": "weather", "table": "table"}
NEW = {"play": "music", "sun": "weather", "table": "table", "zoo": "table"}
TEXTS = ["play it", "will it rain", "sun", "a table", "what", "zoo"]
LABELS = ["music", "weather", "weather", "table", "table", "weather"]


def old(**settings) -> RulePredictor:
    return RulePredictor(CLASSES, OLD, **settings)


def new(**settings) -> RulePredictor:
    return RulePredictor(CLASSES, NEW, **settings)


def strict_json(found) -> dict:
    text = json.dumps(found.to_dict())
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_six_rows_by_hand():
    found = diff_models(old(), new(sure=0.8), (TEXTS, LABELS))
    assert (found.all.rows, found.all.mended, found.all.broke, found.all.changed) == (6, 1, 1, 1)
    assert (found.all.old, found.all.new, found.all.p_value) == (0.5, 0.5, 1.0)
    assert found.all.interval[0] < 0 < found.all.interval[1]
    assert found.shared is None
    assert not found.worse
    columns = ["row", "text", "label", "kind", "old", "new"]
    assert found.changes[columns].to_numpy().tolist() == [
        [1, "will it rain", "weather", "broke", "weather", "music"],
        [5, "zoo", "weather", "changed", "music", "table"],
        [2, "sun", "weather", "mended", "music", "weather"],
    ]
    assert found.changes["old_confidence"].tolist() == pytest.approx([0.9, 0.4, 0.4])
    assert found.changes["new_confidence"].tolist() == pytest.approx([0.4, 0.8, 0.8])
    intents = found.per_intent.set_index("intent")
    assert intents.loc["weather", ["rows", "old", "new", "mended", "broke"]].tolist() == [3, 1 / 3, 1 / 3, 1, 1]
    assert intents.loc["table", ["rows", "old", "new", "known_to"]].tolist() == [2, 0.5, 0.5, "both"]
    assert intents.loc["music", "old_f1"] == pytest.approx(2 / (1 + 4))  # one hit, four predicted, one there
    assert intents.loc["table", "new_f1"] == 2 / (2 + 2)
    assert found.old.confidence == pytest.approx((0.9 * 3 + 0.4 * 3) / 6)
    assert found.old.confidence_right == pytest.approx(0.9)
    assert found.old.confidence_wrong == pytest.approx(0.4)
    assert (found.old.in_scope, found.old.threshold, found.old.bytes) == (None, None, None)
    assert found.old.sentences_a_second > 0
    assert found.new.milliseconds_alone > 0
    as_json = strict_json(found)
    assert as_json["all"]["broke"] == 1
    assert as_json["changes"][0]["text"] == "will it rain"
    assert len(as_json["per_intent"]) == 3


def table_of(broke: int, mended: int, both: int) -> tuple[list[str], list[str]]:
    texts = ["will it rain"] * broke + ["sun"] * mended + ["a table"] * both
    return [f"{text} {number}" for number, text in enumerate(texts)], ["weather"] * (broke + mended) + ["table"] * both


@pytest.mark.parametrize(
    ("counts", "settings", "worse"),
    [
        ((0, 0, 50), {}, False),
        ((0, 9, 50), {}, False),
        ((3, 3, 50), {}, False),
        ((1, 0, 99), {}, True),
        ((1, 0, 99), {"tolerance": 0.01}, False),  # exactly as much as is tolerated
        ((2, 0, 98), {"tolerance": 0.01}, True),
        ((6, 0, 94), {"tolerance": 0.1}, True),  # p = 2 / 64
        ((5, 0, 95), {"tolerance": 0.1}, False),  # p = 2 / 32
        ((6, 0, 94), {"tolerance": 0.1, "significance": 0.01}, False),
        ((9, 0, 91), {"tolerance": 0.1, "significance": 0}, False),
        ((50, 0, 0), {"tolerance": 1}, True),
        ((50, 0, 0), {"tolerance": 1, "significance": 0}, False),
    ],
)
def test_worse_is_more_than_the_tolerance_or_more_than_chance(counts, settings, worse):
    found = diff_models(old(), new(), table_of(*counts), **settings)
    assert found.worse is worse
    assert bool(found.complaints) is worse
    assert ("NEW is worse: on all" in report_of(found)) is worse


def test_the_mirror_image():
    table = table_of(7, 2, 20)
    there, back = diff_models(old(), new(), table), diff_models(new(), old(), table)
    assert (there.all.mended, there.all.broke) == (back.all.broke, back.all.mended)
    assert there.all.interval == pytest.approx((-back.all.interval[1], -back.all.interval[0]))
    assert there.all.p_value == back.all.p_value
    assert there.worse
    assert not back.worse


def test_a_long_table_in_parts_is_the_same_table(tmp_path):
    rng = np.random.default_rng(0)
    words, intents = np.array(["play", "rain", "sun", "table", "zoo"]), np.array(CLASSES)
    rows = 2 * ROWS + 17
    texts = [f"{word} {number}" for number, word in enumerate(rng.choice(words, rows))]
    table = pd.DataFrame({"text": texts, "intent": rng.choice(intents, rows)})
    table.to_csv(tmp_path / "t.csv", index=False)
    found = diff_models(old(), new(), tmp_path / "t.csv")
    answers = [np.array([each.intent for each in model.predict(texts)]) for model in (old(), new())]
    right = [each == table["intent"].to_numpy() for each in answers]
    assert (found.all.rows, found.all.old, found.all.new) == (rows, right[0].mean(), right[1].mean())
    assert found.all.broke == (right[0] & ~right[1]).sum()
    assert found.all.changed == (~right[0] & ~right[1] & (answers[0] != answers[1])).sum()
    expected = np.flatnonzero(answers[0] != answers[1]) + 2  # as a spreadsheet counts
    assert sorted(found.changes["row"]) == expected.tolist()
    for label in CLASSES:
        of_it = table["intent"].to_numpy() == label
        line = found.per_intent.set_index("intent").loc[label]
        assert line["broke"] == (right[0] & ~right[1] & of_it).sum()
        assert line["old"] == pytest.approx(right[0][of_it].mean())


def test_the_stream_is_read_table(tmp_path, small_table):
    small_table.to_csv(tmp_path / "t.csv", index=False)
    parts = list(chunks(tmp_path / "t.csv", rows=20))
    assert [len(part) for part in parts[:-1]] == [20] * (len(parts) - 1)
    whole = pd.concat(parts)
    assert whole["text"].tolist() == small_table["text"].tolist()
    assert whole.index.tolist() == list(range(2, len(small_table) + 2))
    in_memory = pd.concat(chunks(small_table, rows=20))
    assert in_memory["intent"].tolist() == small_table["intent"].tolist()
    (tmp_path / "bad.csv").write_text("text,intent\na,x\nb,\n")
    with pytest.raises(DataError, match="row 3, column 'intent': the label is empty"):
        list(chunks(tmp_path / "bad.csv", rows=1))


# --- intents that only one knows ---------------------------------------------------------------------------------


def test_a_gain_on_new_intents_hides_no_loss_on_the_others():
    old_model = RulePredictor(["music", "weather"], {"rain": "weather"})
    new_model = RulePredictor(["music", "weather", "table"], {"table": "table"})
    table = (["play", "rain", *["table"] * 10, "odd"], ["music", "weather", *["table"] * 10, "sport"])
    found = diff_models(old_model, new_model, table)
    assert found.all.new > found.all.old
    assert (found.shared.rows, found.shared.old, found.shared.new) == (2, 1.0, 0.5)
    assert found.worse
    assert found.complaints == [
        "on the 2 rows whose intents both know it lost 50.00 points, more than the 0 that are tolerated"
    ]
    assert (found.added, found.removed) == ({"table": {"rows": 10, "found": 10}}, {})
    assert found.unknown_labels == {"sport": 1}
    known_to = found.per_intent.set_index("intent")["known_to"].to_dict()
    assert known_to == {"music": "both", "weather": "both", "table": "new", "sport": "neither"}
    report = report_of(found)
    assert "intents added: table (10 of 10 rows found)" in report
    assert "labels that neither model knows, wrong for both: sport (1)" in report
    back = diff_models(new_model, old_model, table)
    assert back.removed == {"table": {"rows": 10, "found": 10}}
    assert back.worse


def test_numbers_are_the_labels_that_a_csv_has(tmp_path):
    models = RulePredictor([1, 2], {"two": 2}), RulePredictor([1, 2, 3], {"two": 2})
    (tmp_path / "t.csv").write_text("text,intent\none,1\ntwo,2\n")
    found = diff_models(*models, tmp_path / "t.csv")
    assert (found.all.old, found.all.new) == (1, 1)
    assert found.added == {"3": {"rows": 0, "found": 0}}
    assert strict_json(found)["per_intent"][-1]["difference"] is None  # no row has it


# --- unknown sentences, several intents --------------------------------------------------------------------------


def test_unknown_rows_are_judged_by_whether_they_are_refused():
    table = (["play", "strange play", "strange", "what"], ["music", "none", "none", "none"])
    accepts = RulePredictor(CLASSES, OLD, refuses=True)
    accepts.decision.__dict__["least"] = -1.0
    found = diff_models(old(refuses=True), accepts, table, unknown_label="none")
    assert found.all.rows == 1
    assert (found.unknown.rows, found.unknown.old, found.unknown.new, found.unknown.broke) == (3, 2 / 3, 0, 2)
    assert (found.old.in_scope, found.new.in_scope) == (1, 1)
    assert not found.worse
    assert found.changes[["text", "label", "kind", "old", "new"]].to_numpy().tolist() == [
        ["strange play", "none", "broke", None, "music"],
        ["strange", "none", "broke", None, "music"],
    ]
    assert "none" not in found.per_intent["intent"].tolist()
    assert "unknown ones refused" in report_of(found)
    assert diff_models(old(), accepts, table, unknown_label="none").unknown is None  # one can't tell


def test_several_intents_are_right_as_exact_sets():
    models = old(multi_label=True), new(multi_label=True)
    table = pd.DataFrame(
        {
            "text": ["play at the table", "play in the rain", "play in the sun", "so what", "sun and rain"],
            "intent": ["music|table", "music|weather", "weather|music", "", "weather"],
        }
    )
    found = diff_models(*models, table)
    assert (found.all.mended, found.all.broke, found.all.changed) == (1, 1, 0)
    assert found.multi_label
    assert found.changes[["label", "kind", "old", "new"]].to_numpy().tolist() == [
        [("music", "weather"), "broke", ("music", "weather"), ("music",)],
        [("music", "weather"), "mended", ("music",), ("music", "weather")],
    ]
    weather = found.per_intent.set_index("intent").loc["weather"]
    assert weather[["rows", "old", "new", "mended", "broke"]].tolist() == [3, 2 / 3, 2 / 3, 1, 1]
    assert strict_json(found)["changes"][0]["old"] == ["music", "weather"]
    assert found.old.ece is None
    assert "music + weather: was music + weather 0.900, now music 0.900" in report_of(found)


# --- what can't be compared --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "table", "settings", "expected"),
    [
        ((old(), RulePredictor(["a", "b"], {})), (["x"], ["a"]), {}, r"old and new have no intent in common \(music,"),
        ((old(), new(multi_label=True)), (["x"], ["music"]), {}, r"new gives several intents a sentence \(multi-"),
        ((old(), new()), (["x"], ["a"]), {}, "has no label that a model knows: it has a, they know music, table"),
        ((old(), new()), (["x"], ["none"]), {"unknown_label": "none"}, "has no label that a model knows"),
        ((old(), new()), (TEXTS, LABELS), {"tolerance": -1}, "share from 0 to 1, such as 0.01, not -1"),
        ((old(), new()), (TEXTS, LABELS), {"tolerance": float("nan")}, "tolerance must be a share"),
        ((old(), new()), (TEXTS, LABELS), {"significance": "5%"}, "significance must be a share"),
        ((old(), new()), (TEXTS, LABELS), {"label_separator": ","}, "a label separator is for multi-label models"),
        ((old(), new()), (TEXTS, LABELS), {"unknown_label": "music"}, "'music' is an intent of a model"),
        ((old(), new()), (TEXTS, LABELS), {"unknown_label": "none"}, "no row of the table has the label"),
        ((old(multi_label=True), new(multi_label=True)), (TEXTS, LABELS), {"unknown_label": "no"}, "give sentences"),
        ((old(), new()), ([], []), {}, "is empty"),
    ],
)  # fmt: skip
def test_what_cant_be_compared(models, table, settings, expected):
    with pytest.raises((DataError, SettingsError), match=expected) as caught:
        diff_models(*models, table, **settings)
    assert "\n" not in str(caught.value)


def test_texts_on_the_terminal_can_not_steer_it():
    table = (["play \x1b[31m red\nline", "rain \u202e"], ["music", "weather"])
    found = diff_models(old(), RulePredictor(CLASSES, {}), table)
    assert "\x1b" not in report_of(found)
    assert "\u202e" not in report_of(found)
    assert r"rain \u202e" in report_of(found)
