"""A model judged by a table: what the report's tables say, and that the page shows it."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from word_model import WordModel

from intent_bert import IntentPredictor, report_model
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, SettingsError
from intent_bert.inference.known_sentences import KnownSentences
from intent_bert.model.decision import Decision
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.workbench import report_matrix
from intent_bert.workbench.report import report_of
from intent_bert.workbench.report_page import report_page
from intent_bert.workbench.report_results import Report

NASTY = "</script><b>&$x$"
WORDS = {"play": [4.0, 0, 0], "song": [1.0, 0, 0], "rain": [0, 6.0, 0], "book": [0, 0, 3.0], "please": [0, 0, 0]}
CLASSES = ["music", "weather", NASTY]
ROWS = [
    ("play song", "music"),
    ("play song please", "music"),
    ("rain please", "weather"),
    ("rain", "music"),  # surely wrong: or the label is
    ("book song", "music"),  # wrong
    ("book", NASTY),
    ("please", "sport"),  # a label that training never had
]


def model() -> WordModel:
    return WordModel(WORDS, CLASSES, Decision())


def report(**options: Any) -> Report:
    return report_of(
        model(), "a model", read_table(pd.DataFrame(ROWS, columns=["text", "intent"])), **options, verbose=0
    )


def several() -> Report:
    rows = [("play rain", "music|weather"), ("play", "music|weather"), ("rain book", "weather"), ("please", "")]
    decision = MultiLabelDecision(thresholds=(0.9, 0.9, 0.9))
    table = read_table(pd.DataFrame(rows, columns=["text", "intent"]), label_separator="|")
    return report_of(WordModel(WORDS, CLASSES, decision), "m", table, verbose=0)


def html_of(found: Report) -> str:
    return report_page(found).html()


def listed(html: str) -> dict[str, Any]:
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    read: dict[str, Any] = json.loads(data)
    return read


def test_every_row_is_told_with_what_the_model_makes_of_it():
    rows = report().rows
    assert rows["prediction"].tolist() == ["music", "music", "weather", "weather", NASTY, NASTY, "music"]
    assert rows["right"].tolist() == [True, True, True, False, False, True, False]
    assert rows["runner_up"].tolist()[:1] == ["weather"]
    shares = np.exp([0.0, 6.0, 0.0])
    assert rows.loc[3, ["confidence", "label_probability"]].tolist() == pytest.approx(
        [shares[1] / sum(shares), 1 / sum(shares)]
    )
    assert np.isnan(rows.loc[6, "label_probability"])
    assert rows["in_scope"].isna().all()


def test_mistakes_come_the_surest_first_with_the_words_that_led_to_them():
    mistakes = report().mistakes
    assert mistakes["text"].tolist() == ["rain", "book song", "please"]
    assert mistakes["words"].tolist()[:2] == [["rain"], ["book"]]
    assert mistakes["confidence"].is_monotonic_decreasing
    of_two = report(explained=1)
    assert of_two.mistakes["words"].tolist() == [["rain"], None, None]
    assert "The words of the 1 surest mistakes were looked at." in html_of(of_two)


def test_a_label_is_suspected_where_the_model_is_very_sure_of_another():
    suspects = report().suspects
    assert suspects[["row", "text", "label", "proposal"]].values.tolist() == [[3, "rain", "music", "weather"]]
    assert suspects["neighbours"].tolist() == [None]


def test_the_page_shows_it_and_keeps_texts_texts():
    known = KnownSentences.of(["rain rain", "book"], ["weather", NASTY], model().outputs(["rain rain", "book"]).vectors)
    html = html_of(report(known=known))
    assert "<b>" not in html
    assert html.count("</script>") == 2
    assert "3 of 7" not in html and "4 of 7 sentences get the right intent." in html
    assert "Labels that training never had, which count as mistakes: sport (1)." in html
    assert '<mark class="up4">rain</mark>' in html
    assert '<mark class="up4">book</mark> <mark class="down' in html
    assert "rain −0." in html
    assert "rain rain (weather, 1.00)" in html
    assert "report --train-file FILE" not in html and "report --train-file FILE" in html_of(report())
    assert "can&#39;t tell which sentences are in scope" in html
    data = listed(html)
    assert data["rows"] == [*CLASSES, "sport"]
    assert data["sentences"]["0,1"] == [["3", "rain", "0.99"]]
    assert [cells[1] for cells in data["sentences"]["0,0"]] == ["play song", "play song please"]


def test_rows_of_the_unknown_label_count_for_scope_alone():
    table = read_table(pd.DataFrame([*ROWS, ("please please", "none")], columns=["text", "intent"]))
    found = report_of(model(), "m", table, unknown_label="none", verbose=0)
    assert found.rows["judged"].tolist() == [True] * 7 + [False]
    assert found.evaluation.rows == 7
    assert "please please" not in found.mistakes["text"].tolist()
    assert "none" not in listed(html_of(found))["rows"]


def test_of_several_intents_each_label_is_told():
    found = several()
    assert found.rows["found"].tolist() == [("music", "weather"), ("music",), ("weather",), ()]
    assert found.rows["missed"].tolist() == [(), ("weather",), (), ()]
    assert found.rows["added"].tolist() == [(), (), (NASTY,), ()]
    assert found.mistakes["text"].tolist() == ["rain book", "play"]
    assert found.mistakes["label"].tolist() == ["weather", "music|weather"]
    html = html_of(found)
    assert "2 of 4 sentences get exactly the right intents." in html
    assert '<mark class="up4">book</mark>' in html
    data = listed(html)
    none = len(data["rows"]) - 1
    assert data["rows"][none] == "(no intent)"
    assert [cells[1] for cells in data["sentences"][f"1,{none}"]] == ["play"]
    assert [cells[1] for cells in data["sentences"][f"{none},2"]] == ["rain book"]
    assert [cells[1] for cells in data["sentences"]["0,0"]] == ["play", "play rain"]
    assert [cells[1] for cells in data["sentences"][f"{none},{none}"]] == ["please"]
    counts = {place: len(cells) for place, cells in data["sentences"].items()}
    shown = re.findall(r'<td class="s\d[^"]*"><button[^>]*data-row="(\d)" data-column="(\d)"[^>]*>(\d+)<', html)
    assert counts == {f"{row},{column}": int(count) for row, column, count in shown}
    assert "1 of 4 sentences (25.0%) get no intent; in 1 of them that is good." in html


def test_labels_that_occur_together_stand_in_the_page_of_several_intents():
    html = html_of(several())
    assert "What occurs together" in html
    assert re.search(
        r"<td class=\"short\">music</td><td class=\"short\">weather</td><td[^>]*>2</td><td[^>]*>50.0%</td>", html
    )


def test_of_very_many_intents_the_most_confused_are_shown(monkeypatch):
    monkeypatch.setattr(report_matrix, "WHOLE_UP_TO", 3)
    monkeypatch.setattr(report_matrix, "PART", 2)
    html = html_of(report())
    data = listed(html)
    assert data["rows"] == ["music", "weather"]
    assert set(data["sentences"]) == {"0,0", "0,1", "1,1"}
    assert "The 2 labels that are confused most, of 4" in html


def test_a_page_of_many_rows_and_intents_stays_small():
    rng = np.random.default_rng(0)
    classes = [f"intent number {number} {NASTY}" for number in range(160)]
    words = {f"word{number}": (8 * np.eye(160)[number]).tolist() for number in range(160)}
    drawn = rng.integers(0, 160, 12_000)
    told = np.where(rng.random(12_000) < 0.7, drawn, rng.integers(0, 160, 12_000))
    texts = [f"word{number} " + "and more of it " * 20 for number in drawn]
    table = read_table((texts, [classes[number] for number in told]))
    found = report_of(WordModel(words, classes, Decision()), "m", table, explained=20, verbose=0)
    assert len(html_of(found).encode()) < 5_000_000


def test_a_trained_model_is_reported_on(trained, small_table, tmp_path):
    place = tmp_path / "report.html"
    found = report_model(trained.folder, small_table, place, train=small_table, verbose=0)
    evaluated = IntentPredictor.load(trained.folder).predict(list(small_table["text"]))
    assert found.rows["prediction"].tolist() == [answer.intent for answer in evaluated]
    assert found.evaluation.accuracy == found.rows["right"].mean()
    assert found.seconds["all"] > found.seconds["predictions"] > 0
    html = place.read_text(encoding="utf-8")
    assert f"{found.evaluation.accuracy:.2%}" in html
    assert len(found.refused) == found.rows["in_scope"].eq(False).sum()
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_multi_label_model_is_reported_on(several, tmp_path):
    found = report_model(several.folder, several.folder.parent / "test.csv", tmp_path / "r.html", verbose=0)
    assert found.evaluation.subset_accuracy == found.rows["right"].mean()
    assert "exactly right" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_what_can_t_be_reported_on_is_told_before_the_work(trained, small_table, tmp_path: Path):
    other = small_table.assign(intent="sport")
    told = r"^no label of the DataFrame is an intent of .*: the table has 'sport', the model knows 'music', 'table', "
    with pytest.raises(DataError, match=told):
        report_model(trained.folder, other)
    with pytest.raises(SettingsError, match=r"it is a folder; name a file"):
        report_model(trained.folder, small_table, tmp_path)
    with pytest.raises(DataError, match=r"no such file"):
        report_model(trained.folder, small_table, train=tmp_path / "train.csv")
    with pytest.raises(SettingsError, match=r"^--label-separator is for a multi-label model"):
        report_model(trained.folder, small_table, label_separator="|")
