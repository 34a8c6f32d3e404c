"""Texts in another script or another language than most of a table.

A script is what Unicode says of the letters. A language is told by its commonest words, of seven languages with Latin
letters: a text is of another one when at least two different words of it, and a third of all, are common there and not
in the table's own language. A short or wordy text can mislead that; the score is the share of such words.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

_WORD = re.compile(r"[^\W\d_]+")
_LEAST_SHARE = 1 / 3
_TOLD = 0.2  # of all texts must hold a word of the table's language, or it is not told
COMMON = {  # the commonest words of each language, written without accents where people leave them out as well
    "English": "the a an to of in is it my i you for on and that this what how can do with me are be was have not will",
    "German": "der die das und ist nicht ich ein eine zu mit den dem auf für von es sie wie kann mir mein meine im",
    "French": "le la les des un une et est je ne pas que qui dans pour avec sur ce mon ma mes du au il vous comment",
    "Spanish": "el la los las un una y es no que en por para con se mi mis del al lo como yo puedo cómo está",
    "Italian": "il lo la gli le un una e è non che di per con si mio mia del della nel sono come ho posso questo",
    "Portuguese": "o a os as um uma e é não que em por para com se meu minha do da no na como eu está posso",
    "Dutch": "de het een en is niet ik van te dat op voor met mijn je zijn hoe kan er aan in wat wordt naar",
}
_WORDS = {language: frozenset(words.split()) for language, words in COMMON.items()}


def other_scripts(texts: Sequence[str]) -> Iterator[tuple[int, str, float]]:
    """(number, why, score) of each text whose letters are mostly of another script, or mixed within a word."""
    foreign = [number for number, text in enumerate(texts) if not text.isascii()]
    scripts = {number: _scripts(texts[number]) for number in foreign}
    usual: Counter[str] = Counter({"LATIN": sum(text.isascii() for text in texts)})
    usual.update(found.most_common(1)[0][0] for found in scripts.values() if found)
    own = usual.most_common(1)[0][0]
    for number, text in enumerate(texts):
        found = scripts.get(number, Counter({"LATIN": 1} if any(map(str.isalpha, text)) else {}))
        if not found:
            continue
        script, letters = found.most_common(1)[0]
        if script != own:
            yield number, f"its letters are {script.title()}, those of the table {own.title()}", letters / found.total()
        elif number in scripts and (word := _mixed_word(text)):
            yield number, f"the letters of {word!r} are of two scripts that look alike", 0.9


def _scripts(text: str) -> Counter[str]:
    return Counter(_script(sign) for sign in text if sign.isalpha())


@lru_cache(maxsize=10_000)
def _script(sign: str) -> str:
    first = unicodedata.name(sign, "OTHER").split()[0]
    return {"HIRAGANA": "CJK", "KATAKANA": "CJK", "HANGUL": "CJK", "FULLWIDTH": "LATIN"}.get(first, first)


def _mixed_word(text: str) -> str | None:
    """A word with Latin letters and Cyrillic or Greek ones in it."""
    return next((word for word in _WORD.findall(text) if len(_scripts(word).keys() & _ALIKE) > 1), None)


_ALIKE = {"LATIN", "CYRILLIC", "GREEK"}


def other_languages(texts: Sequence[str]) -> Iterator[tuple[int, str, float]]:
    """(number, why, score) of each text that is in another of the known languages than most."""
    words = [_WORD.findall(text.casefold()) for text in texts]
    holding = {
        language: sum(not common.isdisjoint(of_text) for of_text in words) for language, common in _WORDS.items()
    }
    own = max(holding, key=lambda language: holding[language])
    if holding[own] < _TOLD * len(texts):
        return
    for number, of_text in enumerate(words):
        if len(of_text) < 2 or any(word in _WORDS[own] - _SHARED[own] for word in of_text):
            continue
        language, share = _likeliest(of_text, own)
        if language is not None:
            yield number, f"it seems to be {language}, and the table {own}", share


_SHARED = {  # words of a language that another has as well
    own: frozenset(word for word in words for other in _WORDS if other != own and word in _WORDS[other])
    for own, words in _WORDS.items()
}


def _likeliest(words: list[str], own: str) -> tuple[str | None, float]:
    best, share = None, 0.0
    for language, common in _WORDS.items():
        found = [word for word in words if word in common and word not in _WORDS[own]]
        if language != own and len(set(found)) >= 2 and len(found) / len(words) > max(share, _LEAST_SHARE):
            best, share = language, len(found) / len(words)
    return best, share
