"""Cases tried on models: what passes, what a pass rate does, what a model can't be asked; JUnit; a first file."""

import json
from xml.etree import ElementTree

import pytest
import yaml
from rules import RulePredictor

from intent_bert import check_behaviour
from intent_bert.errors import DataError, SettingsError
from intent_bert.workbench.junit import junit_xml

CLASSES = ["music", "weather", "table"]
RULES = {"play": "music", "rain": "weather", "a table": "table"}


def model(**settings) -> RulePredictor:
    return RulePredictor(CLASSES, RULES, **{"refuses": True, **settings})


def one(cases: dict, **settings):
    """The only outcome of these cases."""
    report = check_behaviour(model(**settings), cases)
    ((outcome,),) = [each.outcomes for each in report.capabilities]
    assert report.passed is outcome.passed
    return outcome


@pytest.mark.parametrize(
    ("cases", "passes"),
    [
        ({"must": {"play it": "music"}}, True),
        ({"must": {"play it": "weather"}}, False),
        ({"must": {"strange play": "music"}}, True),
        ({"must": {"strange play": "music"}, "reject": True}, False),
        ({"unknown": ["strange"]}, True),
        ({"unknown": ["play it"]}, False),
        ({"at-least": {"play it": "90%"}}, True),
        ({"at-least": {"play it": "91%"}}, False),
        ({"at-least": {"what": 0.4}}, True),
        ({"at-least": {"play it": {"weather": 0.01}}}, True),
        ({"at-least": {"play it": {"weather": 0.02}}}, False),
        ({"at-least": {"strange play": 0.5}, "reject": True}, False),
        ({"same": {"play it": ["case"]}}, True),
        ({"same": {"rain now": ["fillers"]}}, True),
        ({"same": {"rain": ["typos"]}}, False),
    ],
)
def test_each_kind(cases, passes):
    assert one(cases).passed is passes


def test_what_is_told_of_a_failure():
    outcome = one({"must": {"play it": "weather"}})
    assert (outcome.asked, outcome.found, outcome.line) == ("weather", "music 0.900", 2)
    outcome = one({"same": {"rain now": ["typos"]}, "seed": 1})
    assert outcome.changed
    assert f"'{outcome.changed[0]}' -> music 0.400" in outcome.found
    assert (outcome.asked, outcome.perturbation, outcome.variants) == ("weather", "typos", 3)
    assert one({"unknown": ["play it"]}).found == "music 0.900, accepted"


def test_all_perturbations_that_change_a_text_are_tried_and_counted():
    report = check_behaviour(model(), {"same": ["play some jazz", "I am at a table"]})
    names = [(each.text, each.perturbation) for each in report.capabilities[0].outcomes]
    assert ("I am at a table", "contractions") in names
    assert ("play some jazz", "contractions") not in names
    assert report.survived()["case"] == (2, 2)
    assert report.survived()["contractions"] == (1, 1)
    assert len(report.cases) == 11


def test_pass_rates_are_by_capability():
    must = {"play it": "music", "rain": "weather", "it rains": "weather", "hail": "weather"}
    cases = {
        "pass-rate": "75%",
        "capabilities": {"a": {"must": must}, "b": {"pass-rate": 1, "must": {"play": "music"}}},
    }
    report = check_behaviour(model(), cases)
    assert [(each.passes, each.rate, each.passed) for each in report.capabilities] == [(3, 0.75, True), (1, 1, True)]
    assert report.passed
    cases["capabilities"]["a"]["pass-rate"] = 0.76
    report = check_behaviour(model(), cases)
    assert not report.passed
    assert "FAILED: a (4 of 5 cases passed)" in report.report()
    as_json = json.loads(json.dumps(report.to_dict()))
    assert [each["passed"] for each in as_json["capabilities"]] == [False, True]
    assert as_json["capabilities"][0]["outcomes"][3]["found"] == "music 0.400"


def test_several_intents():
    several = model(multi_label=True)
    must = {"play in the rain": ["weather", "music"], "so what": [], "play": "music", "rain": ["music", "weather"]}
    report = check_behaviour(several, {"must": must})
    assert [each.passed for each in report.capabilities[0].outcomes] == [True, True, True, False]
    assert report.capabilities[0].outcomes[1].asked == "(no intent)"


@pytest.mark.parametrize(
    ("cases", "settings", "expected"),
    [
        ({"must": {"play it": "musik"}}, {}, "line 2: the model has no intent 'musik': did you mean music?"),
        ({"at-least": {"play it": {"Weather": 0.5}}}, {}, "no intent 'Weather': did you mean weather?"),
        ({"must": {"play it": ["music", "table"]}}, {}, "line 2: 2 intents for 'play it', but the model"),
        ({"unknown": ["a"]}, {"refuses": False}, "line 2: the model can't tell which sentences are"),
        ({"must": {"a": "music"}, "reject": True}, {"refuses": False}, "the model can't tell which sentences are"),
        ({"same": {"play it": ["contractions"]}}, {}, "the perturbation contractions changes nothing in"),
        ({"same": {"play it": ["case", "contractions"]}}, {}, "take it out, or take typos, case, punctuation"),
        ({"same": ["!"]}, {}, "line 2: the perturbation all changes nothing in '!': take it out"),
    ],
)  # fmt: skip
def test_what_a_model_cant_be_asked(cases, settings, expected):
    asked = model(**settings)
    with pytest.raises((DataError, SettingsError)) as caught:
        check_behaviour(asked, cases)
    assert expected.replace("line 3", "line 2") in str(caught.value).replace("line 3", "line 2")
    assert "\n" not in str(caught.value)
    assert not asked.asked


def test_junit_is_red_where_a_capability_fails_and_nowhere_else():
    cases = {
        "capabilities": {
            "fails": {"must": {"play it": "weather", "play": "music", 'a <b> & "c" \x85\ud7ff': "music"}},
            "may fail": {"pass-rate": "50%", "must": {"rain": "music", "play \x7f it": "music"}},
        }
    }
    report = check_behaviour(model(), cases)
    root = ElementTree.fromstring(junit_xml(report))
    assert {name: root.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "5", "failures": "1", "skipped": "1"
    }  # fmt: skip
    fails, may = root
    assert (fails.get("name"), fails.get("failures"), may.get("skipped")) == ("fails", "1", "1")
    (failure,) = root.iter("failure")
    assert failure.get("message") == "asked weather, found music 0.900"
    (skipped,) = root.iter("skipped")
    assert skipped.get("message").startswith("failed, within the pass rate of 50%: asked music")
    assert [case.get("name") for case in may] == ["must: rain", "must: play \x7f it"]
    assert fails[2].get("name") == 'must: a <b> & "c" \x85\ud7ff'


def test_xml_gets_no_character_that_it_cant_hold():
    outcome = check_behaviour(model(), yaml.safe_load('must: {"play \\u0001 it \\ufffe": music}'))
    (case,) = ElementTree.fromstring(junit_xml(outcome)).iter("testcase")
    assert case.get("name") == r"must: play \x01 it \ufffe"
