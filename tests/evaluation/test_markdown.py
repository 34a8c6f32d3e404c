"""Texts in Markdown, against a parser that we did not write."""

import html
import re

import pytest

from intent_bert.evaluation.markdown import as_code, as_text

ODD = [
    "a|b",
    "`code`",
    "``",
    "<script>alert(1)</script>",
    "*bold* _it_",
    "[a](b)",
    "a\nb",
    "\\|",
    "&amp;",
    "~~x~~",
    "``a`b",
    "$x$",
]


def shown(markdown: str) -> str:
    """What a reader of the page sees of the last cell of a table."""
    parser = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False})
    page = parser.render(f"| name |\n|---|\n| {markdown} |\n")
    assert page.count("<td") == 1, page
    cell = re.search("<td>(.*)</td>", page, re.DOTALL)[1]
    assert not re.search("<(?!/?code>)", cell), cell
    return html.unescape(re.sub("</?code>", "", cell))


@pytest.mark.parametrize("text", ODD)
def test_text_is_shown_as_it_is(text):
    assert shown(as_text(text)) == " ".join(text.split())


@pytest.mark.parametrize("text", [text for text in ODD if "|" not in text])
def test_code_is_shown_as_it_is(text):
    assert shown(as_code(text)).strip() == " ".join(text.split())
