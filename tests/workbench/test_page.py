"""One HTML file that opens offline: what stands in it is text, nothing is fetched, and it stays small."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from intent_bert.errors import DiskError, SettingsError
from intent_bert.workbench import page as pages
from intent_bert.workbench.page import MOST_BYTES, Page, check_page_place
from intent_bert.workbench.page_blocks import (
    Column,
    Figure,
    Matrix,
    Metric,
    Metrics,
    Pick,
    Section,
    Table,
    Tag,
    Text,
    Words,
)
from intent_bert.workbench.page_views import LONGEST_TEXT, script_json

NASTY = "</script><b>&$x$\"'{{ 7 * 7 }}<!--"
PNG = b"\x89PNG\r\n\x1a\n"
VOID = {"meta", "link", "input", "img"}


class Reader(HTMLParser):
    """The elements of a page with their attributes, and the text of all; each must be closed as it was opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def nasty_page() -> Page:
    cells = [NASTY, Tag(NASTY, "bad"), Words([(NASTY, 1.0), (NASTY, -0.2)]), Pick(NASTY, "m", 0, 0)]
    matrix = Matrix("m", [NASTY], [NASTY], [[3]], {(0, 0): [[NASTY], [Words([(NASTY, 1.0)])]]}, opened=NASTY)
    blocks = [
        Text(NASTY, "warn"),
        Metrics([Metric(NASTY, NASTY, NASTY)]),
        Table([NASTY, "b", "c", Column("d", note=NASTY)], [cells], caption=NASTY, rest=NASTY),
        Table(["a"], [], empty=NASTY),
        Figure(PNG, NASTY, NASTY),
        matrix,
    ]
    return Page(NASTY, [Section(NASTY, blocks), Section("b", [])], NASTY)


def test_texts_stay_texts_wherever_they_stand():
    html = nasty_page().html()
    reader = Reader(html)
    assert {name for name, _ in reader.elements}.isdisjoint({"b", "iframe", "object"})
    assert len(reader.named("script")) == 2  # the data of the matrix, and the page's own
    assert html.count("</script>") == 2
    assert "{{ 7 * 7 }}" in "".join(reader.texts)
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    read = json.loads(data)
    assert read["rows"] == read["columns"] == [NASTY]
    assert read["sentences"] == {"0,0": [[NASTY], [[[NASTY, "up4"]]]]}
    shown = "".join(reader.texts)
    assert shown.count(NASTY) >= 15  # title, header, contents, section, text, tile, table, picture, matrix
    assert {"title": NASTY, "type": "button"} in reader.named("button")


def test_nothing_is_fetched_and_no_script_runs_but_the_page_s_own():
    html = nasty_page().html()
    reader = Reader(html)
    (policy,) = [
        meta["content"] for meta in reader.named("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for element, rule in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    for name, attributes in reader.elements:
        assert not any(attribute.startswith("on") or attribute == "style" for attribute in attributes), name
        for address in (attributes.get("src"), attributes.get("href")):
            assert address is None or address.startswith(("data:", "#"))
    assert not re.search(r"https?://|@import|url\(|eval|innerHTML|fetch|XMLHttp|localStorage", html)


def test_cells_are_written_for_people_and_sorted_by_value():
    rows = [[np.float32(0.5), None, True, 1234567, float("nan"), "x" * 5000, float("inf")]]
    names = [Column("share", ".1%"), "none", "yes", Column("n", ",d"), "nan", "long", "inf"]
    html = Page("t", [Section("s", [Table(names, rows)])]).html()
    assert '<td class="number" data-v="0.5">50.0%</td>' in html
    assert '<td class="number" data-v="1234567">1,234,567</td>' in html
    assert html.count("<td data-none></td>") == 2
    assert '<td class="short">yes</td>' in html
    assert '<td class="short">inf</td>' in html
    assert "x" * (LONGEST_TEXT - 1) + "…" in html
    assert "x" * LONGEST_TEXT not in html
    frame = pd.DataFrame({"text": ["play"], "score": [0.25]})
    html = Page("t", [Section("s", [Table.of(frame, {"score": ".2f"}, caption="all")])]).html()
    assert '<td class="short">play</td><td class="number" data-v="0.25">0.25</td>' in html


def test_words_are_shaded_by_their_weight():
    words = Words([("play", 1.0), (" ", 0.0), ("a", 0.04), ("song", 0.3), ("rain", -0.6), ("y" * 3000, 0.0)])
    assert words.text.startswith("play asongrain")
    html = Page("t", [Section("s", [Table(["w"], [[words]])])]).html()
    assert '<mark class="up4">play</mark> a<mark class="up1">song</mark><mark class="down3">rain</mark>yyy' in html
    assert "y" * LONGEST_TEXT not in html


def test_a_matrix_shows_what_is_not_0_and_how_much_of_its_row():
    counts = [[98, 2, 0], [0, 1, 0], [0, 0, 0]]
    html = Page("t", [Section("s", [Matrix("m", ["a", "b", "c"], ["a", "b", "c"], counts)])]).html()
    buttons = re.findall(r'<td class="(s\d)( right)?"><button[^>]*data-row="(\d)" data-column="(\d)"[^>]*>(\d+)<', html)
    assert buttons == [("s8", " right", "0", "0", "98"), ("s1", "", "0", "1", "2"), ("s8", " right", "1", "1", "1")]
    assert html.count("<td></td>") == 6
    many = [str(number) for number in range(31)]
    html = Page("t", [Section("s", [Matrix("m", many, many, np.eye(31, dtype=int).tolist())])]).html()
    assert 'class="matrix small"' in html


def test_a_page_stays_small_whatever_it_is_given():
    rows = [[f"{number} " + "word " * 60, number] for number in range(60_000)]
    table = Table(["text", "n"], rows, rest="all.csv has all")
    html = Page("t", [Section("s", [table, table, table])]).html()
    assert len(html.encode()) < MOST_BYTES
    shown = [int(number.replace(",", "")) for number in re.findall(r"The first ([\d,]+) of 60,000 rows\.", html)]
    assert len(shown) == 3 and all(number >= 1000 for number in shown)
    assert html.count("all.csv has all") == 3


def test_a_plot_stands_inside_and_gives_the_same_bytes_again():
    from matplotlib.figure import Figure as Plot

    def drawn() -> bytes:
        plot = Plot(figsize=(2, 2))
        plot.add_subplot().plot([0, 1], [0, 1])
        return Figure.of(plot, "a line").image

    assert drawn() == drawn()
    html = Page("t", [Section("s", [Figure(drawn(), "a line"), Figure(PNG, "dots")])]).html()
    assert 'src="data:image/svg+xml;base64,' in html and 'src="data:image/png;base64,' in html


def test_a_page_is_written_whole_in_the_place_of_an_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = tmp_path / "report.html"
    place.write_text("old")
    broken = Page("half \ud83d a character", [Section("s", [])])
    broken.write(place)
    assert "half ? a character" in place.read_text(encoding="utf-8")
    monkeypatch.setattr(pages, "_asset", lambda name: (_ for _ in ()).throw(OSError("gone")))
    before = place.read_bytes()
    with pytest.raises(OSError, match="gone"):
        broken.write(place)
    assert place.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_where_a_page_can_t_stand_is_told_before_the_work(tmp_path: Path):
    assert check_page_place(tmp_path / "new.html") == tmp_path / "new.html"
    with pytest.raises(SettingsError, match=r"it is a folder; name a file, such as .*report\.html$"):
        check_page_place(tmp_path)
    with pytest.raises(SettingsError, match=r"^expected a name that ends in \.html, not 'report\.txt'$"):
        check_page_place(str(tmp_path / "report.txt"))
    with pytest.raises(SettingsError, match=r"there is no folder .*nowhere$"):
        check_page_place(tmp_path / "nowhere" / "a.html")
    (tmp_path / "file").write_text("")
    with pytest.raises((SettingsError, DiskError)):
        check_page_place(tmp_path / "file" / "a.html")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]


def test_json_can_t_end_its_script_element():
    read = script_json({"a": "</script>\u2028&"})
    assert "<" not in read and ">" not in read and "&" not in read and "\u2028" not in read
    assert json.loads(read) == {"a": "</script>\u2028&"}


def test_the_script_and_the_style_use_the_same_names():
    """The page's script finds its elements by classes that the templates give them."""
    templates = Path(pages.__file__).parent / "templates"
    script = (templates / "page.js").read_text()
    markup = (templates / "blocks.html").read_text()
    for name in re.findall(r'querySelector(?:All)?\("\.(\w+)', script) + re.findall(r'closest\("button\.(\w+)', script):
        assert re.search(rf'class="[^"]*\b{name}\b', markup), name
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write", script)
