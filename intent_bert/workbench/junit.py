"""The outcomes of cases as JUnit XML, which CI servers show: a suite for each capability, a test for each case.

A case that failed is a ``failure`` where its capability misses the pass rate that was asked for, and ``skipped`` where
the capability passes without it: so a server says red where ``intent-bert check`` exits with 3, and nowhere else.
"""

import re
from xml.etree import ElementTree

from intent_bert.workbench.behaviour_report import BehaviourReport, CapabilityResult, Outcome

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(report: BehaviourReport) -> bytes:
    """A report as XML, in UTF-8."""
    root = ElementTree.Element("testsuites", name=_clean(f"behaviour of {report.model}"))
    for result in report.capabilities:
        root.append(_suite(result, report.source))
    for name in ("tests", "failures", "skipped", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True)) + b"\n"


def _suite(result: CapabilityResult, source: str) -> ElementTree.Element:
    failed = len(result.outcomes) - result.passes
    failures, skipped = (0, failed) if result.passed else (failed, 0)
    suite = ElementTree.Element(
        "testsuite",
        name=_clean(result.name),
        tests=str(len(result.outcomes)),
        failures=str(failures),
        skipped=str(skipped),
        errors="0",
    )
    for outcome in result.outcomes:
        suite.append(_case(outcome, result, source))
    return suite


def _case(outcome: Outcome, result: CapabilityResult, source: str) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        classname=_clean(result.name),
        name=_clean(f"{outcome.what}: {outcome.text}"),
        file=_clean(source),
        line=str(outcome.line),
    )
    if not outcome.passed:
        message = _clean(f"asked {outcome.asked}, found {outcome.found}")
        told = ElementTree.SubElement(case, "skipped" if result.passed else "failure", message=message)
        if result.passed:
            told.set("message", f"failed, within the pass rate of {result.asked:.0%}: {message}")
        else:
            told.text = f"{_clean(source)}, line {outcome.line}"
    return case


def _clean(text: str) -> str:
    """A text without the characters that XML can't hold, which are escaped."""
    return _NOT_IN_XML.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)
