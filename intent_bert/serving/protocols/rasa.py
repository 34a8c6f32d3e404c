"""Rasa's answer to ``POST /model/parse``: intent, intent_ranking, text and entities, of which there are none.

``in_scope`` and ``in_scope_score`` stand beside them. Clients of Rasa skip what they don't know.
"""

from collections.abc import Mapping
from typing import Any

from intent_bert.model.decision import Answer, Prediction
from intent_bert.serving.problems import Problem
from intent_bert.serving.settings import ServerSettings
from intent_bert.serving.texts import check_text

RANKING = 10  # intents in a ranking, as in Rasa


def parse(given: Mapping[str, Any], settings: ServerSettings) -> str:
    """The sentence of a request; Rasa's other names, such as message_id, are let pass.

    Raises:
        Problem: there is none.
    """
    if "text" not in given:
        raise Problem('expected {"text": "..."}, and no "text" came')
    return check_text(given["text"], '"text"', settings)


def answer(text: str, prediction: Prediction) -> dict[str, Any]:
    return {
        "text": text,
        "intent": _named(prediction.answer),
        "entities": [],
        "intent_ranking": [_named(each) for each in prediction.ranking],
        "in_scope": prediction.in_scope,
        "in_scope_score": prediction.score,
    }


def _named(answer: Answer) -> dict[str, Any]:
    name = None if answer.intent is None else str(answer.intent)
    return {"name": name, "confidence": round(answer.confidence, 6)}
