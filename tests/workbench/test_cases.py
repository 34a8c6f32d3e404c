"""Files of cases: what they may hold, and that every mistake is one sentence with its line."""

import re
from pathlib import Path

import pytest
import yaml

from intent_bert.errors import DataError
from intent_bert.workbench.cases import AT_LEAST, MUST, SAME, UNKNOWN, Case, read_cases

GOOD = """\
seed: 7
pass-rate: 95%
reject: true
must:
  yes: 42
  "play: this": PlayMusic
capabilities:
  music:
    pass-rate: .5
    must:
      - play some jazz: PlayMusic
      - both of it: [a, b]
    same:
      play some jazz: [typos, case, typos]
      put it on: all
      stop: case
    at-least:
      play some jazz: 90%
      stop: {PlayMusic: 0.25}
  others:
    unknown:
      - what is life
    same: [one text, another]
"""


def test_a_whole_file(tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD)
    cases = read_cases(tmp_path / "c.yaml")
    assert (cases.seed, cases.reject) == (7, True)
    assert [(each.name, each.pass_rate) for each in cases.capabilities] == [
        ("behaviour", 0.95), ("music", 0.5), ("others", 0.95)
    ]  # fmt: skip
    loose, music, others = (each.cases for each in cases.capabilities)
    assert loose == [Case(MUST, "yes", 5, ("42",)), Case(MUST, "play: this", 6, ("PlayMusic",))]
    assert music == [
        Case(MUST, "play some jazz", 11, ("PlayMusic",)),
        Case(MUST, "both of it", 12, ("a", "b")),
        Case(SAME, "play some jazz", 14, perturbations=("typos", "case")),
        Case(SAME, "put it on", 15, perturbations=("all",)),
        Case(SAME, "stop", 16, perturbations=("case",)),
        Case(AT_LEAST, "play some jazz", 18, confidence=0.9),
        Case(AT_LEAST, "stop", 19, ("PlayMusic",), confidence=0.25),
    ]
    assert others == [
        Case(SAME, "one text", 23, perturbations=("all",)),
        Case(SAME, "another", 23, perturbations=("all",)),
        Case(UNKNOWN, "what is life", 22),
    ]


def test_a_mapping_is_the_same():
    cases = read_cases({"must": {"play": "music"}, "unknown": ("what",), "pass-rate": 0.5})
    assert [(each.kind, each.text) for each in cases.capabilities[0].cases] == [("must", "play"), ("unknown", "what")]
    assert cases.capabilities[0].pass_rate == 0.5


def test_anchors_and_windows_files(tmp_path):
    text = "﻿capabilities:\r\n  a:\r\n    must: &m\r\n      play: x\r\n  b:\r\n    must: *m\r\n"
    (tmp_path / "c.yaml").write_bytes(text.encode())
    cases = read_cases(tmp_path / "c.yaml")
    assert [each.cases for each in cases.capabilities] == [[Case(MUST, "play", 4, ("x",))]] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.yaml is empty"),
        ("# nothing\n", "c.yaml is empty"),
        ("- a\n- b\n", "line 1: expected lines such as 'must:', one of must, same, unknown, at-least,"),
        ("play\n", "line 1: expected lines such as 'must:'"),
        ("seed: 1\n", "line 1: no cases: expected must, same, unknown, at-least or capabilities"),
        ("must:\n  a: b\nmist:\n  c: d\n", "line 3: unknown key 'mist': did you mean must? (there are must, same,"),
        ("capabilities:\n  x:\n    at_least: {a: 1}\n", "line 3: unknown key 'at_least': did you mean at-least?"),
        ("capabilities:\n  x:\n    seed: 1\n", "line 3: unknown key 'seed'"),
        ("must:\n", "line 1: must is empty: fill it in or delete the line"),
        ("must: {}\n", "line 1: expected lines 'text: intent' under must, found a mapping without anything in it"),
        ("must: play\n", "line 1: expected lines 'text: intent' under must, found 'play'"),
        ("must: [play]\n", "line 1: 'play' has no intent: expected 'text: intent' under must"),
        ("must:\n  play:\n", "line 2: 'play' has no intent"),
        ("must:\n  play: ''\n", "line 2: expected the intent of 'play', found nothing"),
        ("must:\n  play: {a: b}\n", "line 2: expected the intent of 'play', found a mapping"),
        ("must:\n  '': a\n", "line 2: the text is empty; write one or delete the line"),
        ("must:\n  ? [a]\n  : b\n", "line 2: expected lines 'text: intent' under must, found a list in place of"),
        ("must:\n  play: a\n  stop: b\n  play: c\n", "line 4: 'play' stands in line 2 already: keep one of them"),
        ("must:\n  a: b\nmust:\n  c: d\n", "line 3: 'must' stands in line 1 already"),
        ("must:\n  - play: a\n  - play: b\n", "line 3: 'play' stands in line 2 already"),
        ("unknown:\n  - now: then\n", "line 2: expected texts alone under unknown, as '- text' (a text with ': ' in"),
        ("unknown:\n  - [a, b]\n", "line 2: expected lines '- text' under unknown, found a list in place of a text"),
        ("unknown: &x\n  - *x\n", "found a list in place of a text"),
        ("same:\n  play: typso\n", "line 2: unknown perturbation 'typso': did you mean typos? (there are typos, case,"),
        ("same:\n  play: []\n", "line 2: no perturbation for 'play': name some of typos"),
        ("same:\n  play: {typos: 1}\n", "line 2: expected a perturbation, found a mapping"),
        ("at-least:\n  play: high\n", "line 2: expected a confidence as a share such as 95% or 0.95, found 'high'"),
        ("at-least:\n  play: 95\n", "line 2: expected a confidence as a share such as 95% or 0.95, found '95'"),
        ("at-least:\n  play: nan\n", "found 'nan'"),
        ("at-least:\n  - play\n", "line 2: 'play' has no confidence"),
        ("at-least:\n  play: {a: 1, b: 0}\n", "line 2: expected one intent and its confidence for 'play'"),
        ("at-least:\n  play: {a: }\n", "line 2: expected one intent and its confidence for 'play'"),
        ("pass-rate: 2\nmust: {a: b}\n", "line 1: expected pass-rate as a share such as 95% or 0.95, found '2'"),
        ("seed: -1\nmust: {a: b}\n", "line 1: expected seed as a whole number from 0 on, found '-1'"),
        ("reject: maybe\nmust: {a: b}\n", "line 1: expected reject as true or false, found 'maybe'"),
        ("capabilities:\n  x:\n    pass-rate: 1\n", "line 2: the capability 'x' has no case"),
        ("capabilities:\n  x:\n", "line 2: expected lines such as 'must:'"),
        ("capabilities: [x]\n", "line 1: expected lines such as 'must:'"),
        ("must: {a: b}\ncapabilities:\n  behaviour:\n    must: {c: d}\n", "line 3: 'behaviour' is what cases out"),
        ("must:\n\tplay: a\n", "line 2: not YAML: found character '\\t' that cannot start any token (indent with sp"),
        ("must:\n  say: now: then\n", "line 2: not YAML: mapping values are not allowed here; a text with ': ' in it"),
        ("must: {a: b\n", "line 2: not YAML: expected ',' or '}'"),
        ("must: {a: *b}\n", "line 1: not YAML: found undefined alias"),
        ("must: {a: b}\n---\nmust: {c: d}\n", "line 2: not YAML: but found another document"),
        ("must: {a: b}\n<<: {same: [c]}\n", "line 2: merge keys (<<) are not read"),
        ("must:\n  a: !!python/object/apply:os.system [x]\n", "line 2: the tag 'tag:yaml.org,2002:python/object/"),
        ("must:\n  a: !!python/name:os.system x\n", "line 2: the tag 'tag:yaml.org,2002:python/name:os.system'"),
        ("unknown: !!python/object/apply:os.system [x]\n", "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os"),
        ("must: !!set {a, b}\n", "line 1: the tag 'tag:yaml.org,2002:set' is not read"),
        ('must:\n  "a\\ud800": b\n', "line 2: 'a\\ud800' holds half a character"),
        ("must:\n  a\x07: b\n", "line 2: the character "),
        ("[" * 5000, "c.yaml: nested too deep"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_with_the_line(tmp_path, text, expected):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(DataError) as caught:
        read_cases(tmp_path / "c.yaml")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "c.yaml"))


def test_files_that_are_none(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("must:\n  Grüße: a\n".encode("latin-1"))
    (tmp_path / "long.yaml").write_text("# " + "x" * 2_000_000)
    for name, expected in (
        ("latin.yaml", "latin.yaml, line 2: not UTF-8"),
        ("long.yaml", "long.yaml is too long, 2.0 MB: expected at most 2 MB of YAML"),
        ("none.yaml", "no such file: "),
        (".", "expected a YAML file, but"),
        ("x" * 300, "can't read"),
    ):
        with pytest.raises(DataError, match=expected):
            read_cases(tmp_path / name)
    with pytest.raises(DataError, match="expected the path of a YAML file or a mapping, got int"):
        read_cases(3)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the given cases hold what YAML can't"):
        read_cases({"must": {"a": object()}})


def test_the_file_in_the_documentation_is_one():
    page = (Path(__file__).parents[2] / "docs" / "diff-and-check.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    cases = read_cases(yaml.safe_load(block))
    assert {case.kind for each in cases.capabilities for case in each.cases} == {MUST, SAME, UNKNOWN, AT_LEAST}
