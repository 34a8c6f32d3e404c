"""Personal data and secrets in a text: found by how they are written, and masked.

    masked("write to jo@firm.com, card 4111 1111 1111 1111")
        -> "write to name@example.com, card 0000 0000 0000 0000"

E-mail addresses, numbers of cards and accounts (their check digits must be right), telephone numbers, passwords that
are named as such, keys and tokens of well-known forms. Names and addresses of people are not found: no pattern tells
them. What is masked already is not found again.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

_EMAIL = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}\b")
_EXAMPLE = re.compile(r"@(?:[\w-]+\.)*example\.(?:com|net|org)$", re.IGNORECASE)
_CARD = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_PHONE = re.compile(
    r"(?<![\w.,])(?:\+\d[\d ().-]{6,17}\d|\(\d{3}\) ?\d{3}[-. ]\d{4}|\d{3}([-. ])\d{3}\1\d{4}|0\d{9,10})(?![\w-])"
)
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"  # a JSON web token
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\b(?:sk|pk|rk)[-_](?:live[-_]|test[-_]|proj-)?\w{20,}"
    r"|\bgh[pousr]_\w{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{35}"
    r"|\b[0-9a-f]{32,}\b"
)
_PASSWORD = re.compile(
    r"\b(?:password|passwort|passwd|pwd|passcode|api[ _-]?key|secret[ _-]?key|access[ _-]?token|pin)\s*(?::|=|is)\s*"
    r"(?P<it>(?=\S*\d)\S{4,})",
    re.IGNORECASE,
)


class Found(NamedTuple):
    """Something in a text that should not be there: what it is, how bad, and the text without it."""

    what: str
    severity: str
    text: str


def personal_data(text: str) -> list[Found]:
    """What a text holds of personal data and secrets, each with the text in which it alone is masked.

    >>> personal_data("mail jo@firm.com")
    [Found(what='an e-mail address', severity='error', text='mail name@example.com')]
    """
    found = []
    for what, severity, mask in _MASKS:
        without = mask(text)
        if without != text:
            found.append(Found(what, severity, without))
    return found


def masked(text: str) -> str:
    """The text with all of it masked.

    >>> masked("my password is hunter2 and my number +44 20 7946 0958")
    'my password is SECRET and my number +00 00 0000 0000'
    """
    if text.isalpha():
        return text
    for _, _, mask in _MASKS:
        text = mask(text)
    return text


def _without_emails(text: str) -> str:
    if "@" not in text:
        return text
    return _EMAIL.sub(lambda found: found[0] if _EXAMPLE.search(found[0]) else "name@example.com", text)


def _zeros(found: re.Match[str]) -> str:
    return re.sub(r"\d", "0", found[0])


def _without_cards(text: str) -> str:
    return _CARD.sub(lambda found: _zeros(found) if _luhn(found[0]) else found[0], text)


def _without_ibans(text: str) -> str:
    return _IBAN.sub(lambda found: "DE00 0000 0000" if _mod_97(found[0]) else found[0], text)


def _without_phones(text: str) -> str:
    return _PHONE.sub(_zeros, text)


def _without_secrets(text: str) -> str:
    text = _SECRET.sub("SECRET", text)
    return _PASSWORD.sub(lambda found: found[0].replace(found["it"], "SECRET"), text)


def _luhn(number: str) -> bool:
    """Whether the check digit of a card's number is right (ISO/IEC 7812)."""
    digits = [int(sign) for sign in number if sign.isdigit()]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return any(digits) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _mod_97(number: str) -> bool:
    """Whether the check digits of an account's number are right (ISO 13616)."""
    plain = number.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


_MASKS: list[tuple[str, str, Callable[[str], str]]] = [
    ("what looks like a password, a key or a token", "error", _without_secrets),
    ("an e-mail address", "error", _without_emails),
    ("the number of a payment card", "error", _without_cards),
    ("the number of a bank account", "error", _without_ibans),
    ("a telephone number", "warning", _without_phones),
]
