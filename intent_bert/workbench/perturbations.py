"""Ways in which users write the same sentence otherwise: named, seeded, always the same.

    typos         a letter swapped, left out, doubled, or the key beside it
    case          lower, upper, each word's first letter upper
    punctuation   the sign at the end taken away or another one there; none inside
    fillers       um, uh, you know
    politeness    please, could you, thanks; or without
    contractions  what is -> what's, and back

The last three know English alone. A way that can do nothing with a text gives no variant: contractions of "play jazz".
Whether an answer survives is behaviour.py's question.
"""

import re
from collections.abc import Callable, Iterable
from random import Random

ALL = "all"
VARIANTS = 3  # of a text that a way gives at most
_TRIES = 8  # for each typo

_WORD = re.compile(r"[^\W\d_]{3,}")
_ENDINGS = " \t\n.!?…"
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_FIRST = ("um, ", "uh, ", "well, ", "so, ", "hey, ")
_INSIDE = ("um", "uh", "like", "you know")
_LAST = (", you know", ", um", ", right")
_ASKS = re.compile(
    r"(what|who|whose|which|where|when|why|how|is|are|am|was|were|will|would|can|could|do|does|did|don|dont|has|have|should|may)"
    r"(['’]\w+)?\b",
    re.IGNORECASE,
)
_PLEASE = re.compile(r"(, |,| )?\b(please|pls)\b,?", re.IGNORECASE)
_SHORT = {
    **{f"{who} is": f"{who}'s" for who in ("what", "who", "where", "how", "that", "there", "it", "he", "she", "here")},
    **{f"{who} are": f"{who}'re" for who in ("you", "we", "they")},
    **{f"{who} will": f"{who}'ll" for who in ("i", "you", "we", "they", "it", "he", "she")},
    **{f"{who} have": f"{who}'ve" for who in ("i", "you", "we", "they")},
    **{f"{who} would": f"{who}'d" for who in ("i", "you", "we", "they")},
    **{f"{verb} not": f"{verb}n't" for verb in ("do", "does", "did", "is", "are", "was", "were", "have", "has", "had")},
    **{f"{verb} not": f"{verb}n't" for verb in ("would", "could", "should")},
    "i am": "i'm",
    "will not": "won't",
    "can not": "can't",
    "cannot": "can't",
    "let us": "let's",
}
_LONG = {short: long for long, short in _SHORT.items() if long != "can not"}


def variants(name: str, text: str, seed: int = 0) -> list[str]:
    """What becomes of a text under the way ``name``, one of ``PERTURBATIONS``: different texts, none of them ``text``.

    Empty where that way changes nothing. The same name, text and seed give the same variants, on every machine.

    >>> variants("contractions", "What is on at the Ritz")
    ["What's on at the Ritz"]
    >>> variants("contractions", "play jazz")
    []
    """
    if not any(sign.isalnum() for sign in text):
        return []
    made = PERTURBATIONS[name](text, Random(f"{seed} {name} {text}"))
    differ = (each for each in made if each != text and any(sign.isalnum() for sign in each))
    return list(dict.fromkeys(differ))[:VARIANTS]


# --- the ways ----------------------------------------------------------------------------------------------------


def _typos(text: str, random: Random) -> Iterable[str]:
    words = [match.span() for match in _WORD.finditer(text)]
    long = [span for span in words if span[1] - span[0] > 3] or words
    for _ in range(VARIANTS * _TRIES if long else 0):
        start, end = random.choice(long)
        yield text[:start] + random.choice(_SLIPS)(text[start:end], random) + text[end:]


def _swapped(word: str, random: Random) -> str:
    at = random.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _left_out(word: str, random: Random) -> str:
    at = random.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def _doubled(word: str, random: Random) -> str:
    at = random.randrange(len(word))
    return word[: at + 1] + word[at:]


def _beside(word: str, random: Random) -> str:
    """Another letter, of the key to the left or right; a letter that has none is left out."""
    at = random.randrange(len(word))
    row = next((row for row in _KEYS if word[at].lower() in row), "")
    place = row.find(word[at].lower())
    near = [row[each] for each in (place - 1, place + 1) if 0 <= each < len(row)] if row else [""]
    key = random.choice(near)
    return word[:at] + (key.upper() if word[at].isupper() else key) + word[at + 1 :]


_SLIPS: tuple[Callable[[str, Random], str], ...] = (_swapped, _left_out, _doubled, _beside)


def _case(text: str, _: Random) -> Iterable[str]:
    return text.lower(), text.upper(), re.sub(r"\w[\w'’]*", lambda word: word[0].capitalize(), text)


def _punctuation(text: str, _: Random) -> Iterable[str]:
    body, _end = _split_ending(text)
    bare = " ".join(re.sub(r"(?<!\w)[.,;:!?]+|[.,;:!?]+(?!\w)", " ", text).split())
    return body, bare, f"{body}.", f"{body}?", f"{body}!"


def _fillers(text: str, random: Random) -> Iterable[str]:
    body, end = _split_ending(text)
    yield random.choice(_FIRST) + _inside(text)
    words = body.split(" ")
    if len(words) > 1:
        at = random.randrange(1, len(words))
        yield " ".join([*words[:at], random.choice(_INSIDE), *words[at:]]) + end
    yield body + random.choice(_LAST) + end


def _politeness(text: str, random: Random) -> Iterable[str]:
    if _PLEASE.search(text):
        yield _PLEASE.sub("", text).strip()
        return
    body, end = _split_ending(text)
    asks = _ASKS.match(text)
    yield ("excuse me, " if asks else random.choice(("could you ", "can you ", "i would like you to "))) + _inside(text)
    yield random.choice((f"{body} please{end}", f"{body}, please{end}", f"please {_inside(text)}"))
    yield random.choice((f"{body}, thanks{end}", f"{body}, thank you{end}"))


def _inside(text: str) -> str:
    """A text that begins no longer: "Play it" -> "play it", but "I do" and "NASA" stay."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _contractions(text: str, _: Random) -> Iterable[str]:
    return _replaced(text, _SHORT), _replaced(text, _LONG)


def _replaced(text: str, by: dict[str, str]) -> str:
    def other(match: re.Match[str]) -> str:
        new = by[match[0].lower().replace("’", "'")]
        return new[0].upper() + new[1:] if match[0][0].isupper() else new

    return _EITHER[by is _SHORT].sub(other, text)


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(longest_first)})\b".replace("'", "['’]"), re.IGNORECASE)


_EITHER = {True: _any_of(_SHORT), False: _any_of(_LONG)}


def _split_ending(text: str) -> tuple[str, str]:
    """A text and the signs that end it: "play it!" -> ("play it", "!")."""
    body = text.rstrip(_ENDINGS)
    return body, text[len(body) :]


PERTURBATIONS: dict[str, Callable[[str, Random], Iterable[str]]] = {
    "typos": _typos,
    "case": _case,
    "punctuation": _punctuation,
    "fillers": _fillers,
    "politeness": _politeness,
    "contractions": _contractions,
}
