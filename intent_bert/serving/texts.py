"""The texts of a request, however a protocol packs them: checked one by one against the limits."""

from collections.abc import Iterable, Mapping
from typing import Any

from intent_bert.errors import nearest
from intent_bert.serving.problems import Problem, TooLarge, shown
from intent_bert.serving.settings import ServerSettings


def check_text(text: Any, where: str, settings: ServerSettings) -> str:
    """A value that must be a text that is not too long."""
    if not isinstance(text, str):
        raise Problem(f"{where} must be a text, not {shown(text)}")
    if len(text) > settings.max_length:
        raise TooLarge(f"{where} has {len(text):,} characters: at most {settings.max_length:,} are taken")
    return text


def check_texts(texts: Any, where: str, settings: ServerSettings) -> list[str]:
    """A value that must be a list of texts, not too many."""
    if not isinstance(texts, list):
        raise Problem(f"{where} must be a list of texts, not {shown(texts)}")
    check_number(len(texts), where, settings)
    return [check_text(text, f"text {number} of {where}", settings) for number, text in enumerate(texts, start=1)]


def check_number(number: int, where: str, settings: ServerSettings) -> None:
    if number > settings.max_texts:
        raise TooLarge(f"{where} holds {number:,} texts: at most {settings.max_texts:,} are taken at a time")


def check_keys(given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse what a protocol does not know, such as a misspelt name."""
    known = list(known)
    for name in given:
        if name not in known:
            meant = nearest(name[:60], known)
            raise Problem(f"unknown name {shown(name)}: did you mean {meant!r}? (there are {', '.join(known)})")


def check_flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise Problem(f'"{name}" must be true or false, not {shown(value)}')
    return value


def check_count(given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Problem(f'"{name}" must be a whole number from 1 on, not {shown(value)}')
    return value
