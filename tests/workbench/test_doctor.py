"""The whole doctor on small tables: what it finds, in which order, and what it leaves out."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from intent_bert import diagnose
from intent_bert.errors import DataError, SettingsError
from intent_bert.inference.engines import OnnxEngine
from intent_bert.workbench.doctor import Diagnosis, examine
from intent_bert.workbench.doctor_page import doctor_page
from intent_bert.workbench.findings import COLUMNS, KINDS, SEVERITIES, Finding, in_order, one_line
from intent_bert.workbench.sheets import sheets_of
from intent_bert.workbench.vectors import FrozenEncoder


class Stub:
    """An encoder whose vectors are made by hand: a direction for each first word."""

    is_tuned, max_seq_len = False, 32

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def vectors(self, texts, memory=None, progress=True):
        words = sorted({text.split()[0] for text in texts})
        rng = np.random.default_rng(0)
        return np.array(
            [np.eye(16)[words.index(text.split()[0])] + rng.normal(0, 0.05, 16) for text in texts], "float32"
        )


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sheets():
    words = ["play", "book", "rain"]
    rows = [(f"{word} {chr(97 + number)} {chr(107 + number)}", word) for word in words for number in range(12)]
    rows += [("book zz yy", "rain"), ("play a k", "play"), ("mail jo@firm.com", "book"), ("?!", "book")]
    return sheets_of(tuple(zip(*rows, strict=True)))


def test_the_worst_first_and_each_kind_with_its_row(sheets, tiny_checkpoint, cache):
    stub = Stub(FrozenEncoder(tiny_checkpoint).tokenizer)
    diagnosis = examine(sheets, stub, progress=False)
    found = diagnosis.findings
    ranks = [SEVERITIES.index(each.severity) for each in found]
    assert ranks == sorted(ranks)
    by_kind = {each.kind: each for each in reversed(found)}
    assert by_kind["label-error"].row == 36
    assert by_kind["label-error"].suggestion == "intent: book"
    assert (by_kind["duplicate"].row, by_kind["duplicate"].other_row) == (37, 0)
    assert {each.row for each in found if each.kind == "odd-text"} == {38, 39}
    assert "too-few" in by_kind
    assert not any("jo@firm.com" in repr(each) for each in found)
    assert diagnosis.left_out == []


def test_diagnose_gives_a_frame(tiny_checkpoint, cache):
    found = diagnose((["play it", "play it", "stop"], ["a", "b", "b"]), checkpoint=tiny_checkpoint, quick=True)
    assert [*found.columns] == [*COLUMNS, "why"]
    assert found.kind[0] == "contradiction"
    assert (found.row[0], found.other_row[0]) == (1, 0)
    assert set(found.kind) <= set(KINDS)


def test_a_clean_table_gives_an_empty_frame(tiny_checkpoint, cache):
    rows = [(f"play {a}{b} {b}{a}", "music" if number % 2 else "video") for number, (a, b) in enumerate(
        (chr(97 + i), chr(97 + j)) for i in range(11) for j in range(11))]  # fmt: skip
    table = pd.DataFrame(rows, columns=["text", "intent"])
    found = diagnose(table, checkpoint=tiny_checkpoint, quick=True)
    assert len(found[found.kind != "near-duplicate"]) == 0
    assert [*found.columns] == [*COLUMNS, "why"]


def test_broken_rows_are_findings(tmp_path, tiny_checkpoint, cache):
    (tmp_path / "t.csv").write_text("text,intent\n,music\nplay it,\nplay,music\n")
    found = diagnose(tmp_path / "t.csv", checkpoint=tiny_checkpoint, quick=True)
    broken = found[found.kind == "odd-text"]
    assert broken[["severity", "row", "suggestion"]].to_numpy().tolist() == [
        ["error", 2, "delete"], ["error", 3, "(fill in the intent, or delete the row)"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("text,intent\n,music\n", "no row with a text and an intent; the first row: the text is empty"),
        ("text,label\nplay,music\n", r"no column 'intent'; it has: text, label \(name one with --label-column\)"),
    ],
)
def test_a_table_that_is_none(tmp_path, content, sentence):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=sentence):
        diagnose(tmp_path / "t.csv", quick=True)


def test_what_is_no_table():
    with pytest.raises(DataError, match=r"expected a path, a DataFrame or \(texts, labels\)"):
        diagnose(7)
    with pytest.raises(DataError, match="of one length"):
        diagnose((["a"], ["x", "y"]))
    with pytest.raises(SettingsError, match="can't both be in the column"):
        diagnose((["a"], ["x"]), text_column="intent")


@pytest.mark.parametrize(
    ("table", "separator", "reason"),
    [
        ((["a b", "c d"], ["x", "x"]), None, "there is one intent only"),
        ((["a b", "c d"], ["x", "y"]), None, "fewer than 10 different sentences tell nothing"),
        ((["a b", "c d"], ["x|y", "y"]), "|", "a row may have several labels"),
    ],
)
def test_what_is_not_looked_for_is_said(table, separator, reason, tiny_checkpoint, cache):
    diagnosis = examine(sheets_of(table, separator=separator), Stub(FrozenEncoder(tiny_checkpoint).tokenizer))
    assert diagnosis.left_out == [f"no label-error, outlier and overlap: {reason}"]


def test_of_several_proposals_for_a_row_the_first_stays():
    rows = [
        Finding("duplicate", "warning", "", 3, suggestion="delete"),
        Finding("contradiction", "error", "", 3, suggestion="intent: a"),
        Finding("odd-text", "error", "", 3, suggestion="text: b"),
        Finding("label-error", "warning", "", 3, suggestion="intent: c"),
        Finding("label-error", "warning", "", 4, suggestion="intent: d", score=0.2),
        Finding("label-error", "warning", "", 5, suggestion="intent: d", score=0.9),
    ]
    see = "(see the other finding of this row)"
    assert [(each.row, each.suggestion) for each in in_order(rows)] == [
        (3, "intent: a"), (3, "text: b"), (3, see), (3, see), (5, "intent: d"), (4, "intent: d"),
    ]  # fmt: skip


def test_a_text_for_the_terminal_cannot_steer_it():
    assert one_line("a\x1b[2Jb") == "a\\x1b[2Jb"


# --- vectors -----------------------------------------------------------------------------------------------------


def test_vectors_are_those_of_keras(tiny_checkpoint, cache):
    from intent_bert import BertTransformer

    texts = ["play music", "book a table for me", "play music", "will it rain tomorrow?"]
    encoder = FrozenEncoder(tiny_checkpoint)
    assert not encoder.is_drawn
    vectors = encoder.vectors(texts)
    assert FrozenEncoder(tiny_checkpoint).is_drawn
    np.testing.assert_allclose(vectors, BertTransformer(tiny_checkpoint).transform(texts), atol=1e-5)


def test_kept_vectors_are_read_again(tiny_checkpoint, cache, tmp_path, monkeypatch):
    encoder = FrozenEncoder(tiny_checkpoint)
    first = encoder.vectors(["play music", "rain"], memory=tmp_path / "memory")
    asked: list[int] = []
    outputs = OnnxEngine.outputs
    monkeypatch.setattr(OnnxEngine, "outputs", lambda self, ids: asked.append(len(ids)) or outputs(self, ids))
    found = encoder.vectors(["rain", "play music", "weather"], memory=tmp_path / "memory")
    assert (found[:2] == first[::-1]).all()
    assert asked == [1, 1]  # how wide a vector is, and the one that is new


def test_once_drawn_no_tensorflow_is_imported(tiny_checkpoint, cache):
    FrozenEncoder(tiny_checkpoint).vectors(["play"])
    script = (
        "import sys\nfrom intent_bert import diagnose\n"
        f"texts = [f'play {{n}} {{chr(97 + n)}}' for n in range(20)]\n"
        f"diagnose((texts, ['a', 'b'] * 10), checkpoint={str(tiny_checkpoint)!r})\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_model_folder_gives_its_own_vectors(trained, cache, caplog):
    encoder = FrozenEncoder(trained.folder)
    assert encoder.is_tuned
    assert encoder.is_drawn
    assert encoder.max_seq_len == 32
    texts = [f"play {first} {second}" for first in "abcd" for second in "xyz"]
    examine(sheets_of((texts, ["a", "b"] * 6)), encoder, progress=False)
    assert "it has learnt its mistakes as well" in caplog.text


# --- the page ----------------------------------------------------------------------------------------------------


def test_the_page_holds_every_kind_and_escapes_texts():
    sheet = sheets_of((["<script>alert(1)</script>", "b"], ["<i>", "y"]))
    findings = [
        sheet[0].finding(kind, severity, "because", 0) for kind, severity in zip(KINDS, SEVERITIES * 4, strict=True)
    ]
    text = doctor_page(Diagnosis(sheet, findings, ["no label-error: there is one intent only"])).html()
    for kind in KINDS:
        assert re.search(rf">\s*{kind}\s*<", text)
    assert "<script>alert" not in text
    assert "<i>" not in text
    assert "No label-error: there is one intent only." in text


def test_a_page_of_many_findings_stays_small():
    sheet = sheets_of((["a long text " * 20, "b"], ["x", "y"]))
    findings = [sheet[0].finding("label-error", "warning", "because " * 10, 0)] * 20_000
    assert len(doctor_page(Diagnosis(sheet, findings, [])).html()) < 5_000_000
