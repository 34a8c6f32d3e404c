"""Texts that are no plain sentences: no word in them, broken characters, markup, secrets, another language or script.

A text is looked at by itself, but for language and script: there the table says what is usual. A language is told by
its commonest words alone, of the seven that ``languages`` knows, so a short text keeps its secret.
"""

import html
import re
import unicodedata
from collections.abc import Iterator

from intent_bert.workbench.findings import DELETE, TEXT_IS, Finding, advice
from intent_bert.workbench.languages import other_languages, other_scripts
from intent_bert.workbench.masks import masked, personal_data
from intent_bert.workbench.sheets import Sheet

_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]*(?:\s[^<>]*)?/?>|<!--.*?-->|\[/?(?:b|i|u|url|img|quote|code)(?:=[^\]]*)?\]")
_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,30}|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_ANNOTATION = re.compile(r"\[([^\[\]]+)\](?:\([^()\s]+\)|\{[^{}]*\})")  # [Berlin](city), and Markdown's links
_FOREIGN_BYTES = re.compile(
    r"[\u0080-\u00ff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]+"
)


def odd_texts(sheet: Sheet) -> list[Finding]:
    """What is odd about the texts of a sheet."""
    findings = []
    for number, text in enumerate(sheet.texts):
        for severity, why, suggestion in _oddities(text):
            findings.append(sheet.finding("odd-text", severity, why, number, suggestion=suggestion))
    for number, why, score in (*other_scripts(sheet.texts), *other_languages(sheet.texts)):
        todo = advice("delete it, unless the model is to know this language")
        findings.append(sheet.finding("odd-text", "warning", why, number, suggestion=todo, score=score))
    return findings


def _oddities(text: str) -> Iterator[tuple[str, str, str]]:
    """(severity, why, suggestion) of each thing that is odd about a text; the suggestion mends that thing alone."""
    if not any(sign.isalnum() for sign in text):
        yield "error", "there is no word in it", DELETE
        return
    for what, severity, without in personal_data(text):
        yield severity, f"it holds {what}, which has no place in a training table", TEXT_IS + masked(without)
    mended = without_mojibake(text)
    if mended != text:
        yield "warning", "its characters were read in a wrong encoding", TEXT_IS + masked(mended)
    elif "\ufffd" in text:
        yield "warning", "a character was lost in a wrong encoding", advice("write the lost character")
    plain = without_control(text)
    if plain != text:
        yield "warning", "it holds control characters", TEXT_IS + masked(plain)
    plain = without_markup(text)
    if plain != text:
        yield "warning", "it holds markup", (TEXT_IS + masked(plain)) if plain else DELETE


def without_mojibake(text: str) -> str:
    """A text in which UTF-8 that was read as Windows-1252 (or Latin-1) is read as UTF-8.

    >>> without_mojibake("caf\\u00c3\\u00a9"), without_mojibake("café Ã")
    ('café', 'café Ã')
    """
    return text if text.isascii() else _FOREIGN_BYTES.sub(lambda found: _decoded(found[0]), text)


def _decoded(run: str) -> str:
    for encoding in ("cp1252", "latin-1"):
        try:
            return run.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return run


def without_control(text: str) -> str:
    """A text without control characters and marks that nobody sees; line ends and tabs are blanks already."""
    odd = [sign for sign in text if unicodedata.category(sign) == "Cc" and sign not in "\t\n\r"]
    return "".join(sign for sign in text if sign not in odd) if odd else text


def without_markup(text: str) -> str:
    """A text without tags, entities and annotations of entities.

    >>> without_markup("<b>fish &amp; chips</b> in [Berlin](city)")
    'fish & chips in Berlin'
    """
    if not any(sign in text for sign in "<&["):
        return text
    plain = _ANNOTATION.sub(r"\1", _TAG.sub(" ", text))
    plain = _ENTITY.sub(lambda found: html.unescape(found[0]), plain)
    return text if plain == text else " ".join(plain.split())
