"""The words that carried a prediction, asked of a model beside the batches: inference/explanation.py finds them."""

import asyncio
from concurrent.futures import Executor
from typing import Any

from intent_bert.inference.explanation import ExplainedIntent, carrying_words
from intent_bert.inference.predictor import IntentPredictor

MOST_WORDS = 100  # those behind have no weight: each costs a sentence


async def explained(predictor: IntentPredictor, text: str, pool: Executor) -> list[ExplainedIntent]:
    """The predicted intents of a text with their words; none where there is no prediction."""
    most = min(MOST_WORDS, predictor.max_seq_len)
    of_model = (predictor.predictions, predictor.decision, predictor.classes, most)
    (intents,) = await asyncio.get_running_loop().run_in_executor(pool, carrying_words, [text], *of_model)
    return intents


def as_objects(intents: list[ExplainedIntent]) -> list[dict[str, Any]]:
    """As ``predict --explain --json`` has them under ``explanation``."""
    return [
        {"intent": each.intent, "words": [word._asdict() | {"drop": round(word.drop, 6)} for word in each.words]}
        for each in intents
    ]
