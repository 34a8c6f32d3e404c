"""Our own protocol: ``{"text": "..."}`` gives one object as ``predict --json`` writes it, ``{"texts": [...]}`` a list.

{"text": "Play our song now", "top_k": 3, "reject": true, "model": "sample"}
{"texts": ["Play our song now", "Rate this book"]}
{"inputs": "..."} and {"inputs": ["...", "..."]}    text-embeddings-inference's name for either
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from intent_bert.inference.prediction_file import as_json
from intent_bert.model.decision import Prediction
from intent_bert.serving.problems import Problem
from intent_bert.serving.settings import ServerSettings
from intent_bert.serving.texts import check_count, check_flag, check_keys, check_text, check_texts

_SENTENCES = ("text", "texts", "inputs")
_KEYS = (*_SENTENCES, "top_k", "reject", "model")


class Asked(NamedTuple):
    """What a request asks.

    Attributes:
        texts: the sentences.
        one: whether the answer is an object instead of a list.
        top_k: how many intents the ranking names.
        reject: whether a sentence out of scope has no intent.
        model: a model's name, as it came.
    """

    texts: list[str]
    one: bool
    top_k: int
    reject: bool
    model: Any


def parse(given: Mapping[str, Any], settings: ServerSettings) -> Asked:
    """Read a request.

    Raises:
        Problem: it is none of those above.
    """
    check_keys(given, _KEYS)
    sentences = [name for name in _SENTENCES if name in given]
    if len(sentences) != 1:
        came = " and ".join(map(repr, sentences)) or "neither"
        raise Problem(f'expected {{"text": "..."}} or {{"texts": ["...", "..."]}}, and {came} came')
    (name,) = sentences
    one = name == "text" or (name == "inputs" and isinstance(given[name], str))
    where = f'"{name}"'
    texts = [check_text(given[name], where, settings)] if one else check_texts(given[name], where, settings)
    return Asked(texts, one, check_count(given, "top_k", 1), check_flag(given, "reject"), given.get("model"))


def answer(asked: Asked, predictions: Sequence[Prediction], several: bool) -> bytes:
    """The answer; ``several`` as in ``as_json``. A lone surrogate of a text is escaped, as JSON can."""
    lines = lines_of(asked.texts, predictions, several)
    return encoded(lines[0] if asked.one else f"[{', '.join(lines)}]")


def lines_of(texts: Sequence[str], predictions: Sequence[Prediction], several: bool) -> list[str]:
    """Each prediction as ``predict --json`` writes it."""
    return [as_json(text, each, several=several) for text, each in zip(texts, predictions, strict=True)]


def encoded(json: str) -> bytes:
    return json.encode("utf-8", "backslashreplace")
