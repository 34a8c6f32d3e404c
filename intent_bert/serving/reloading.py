"""Model folders that are replaced on disk are taken up: a look every few seconds, loaded aside, then swapped in.

What can't be loaded is refused, with a line in the log, and the model that was there goes on answering. It is looked
at again when its files change, so that a slow copy into the folder is refused until it is whole, and taken then.
"""

import asyncio
import logging

from intent_bert.errors import IntentBertError, reason
from intent_bert.serving.models import Models, Served

logger = logging.getLogger("intent_bert")


async def watch(models: Models, seconds: float) -> None:
    """Look at all models again and again; to be cancelled."""
    while True:
        await asyncio.sleep(seconds)
        for served in models:
            try:
                await look_at(models, served)
            except Exception:  # a fault of ours must not end the watch
                logger.exception("a model folder could not be looked at")


async def look_at(models: Models, served: Served) -> bool:
    """Take up what stands in a model's folder now, if it is new and whole; whether it was taken."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(models.pool, served.found)
    if found == served.signature:
        return False
    served.signature = found
    try:
        predictor = await loop.run_in_executor(models.pool, served.read)
    except (IntentBertError, OSError, ValueError) as error:
        return _refuse(models, served, reason(error))
    except Exception as error:  # likewise a fault of ours
        logger.exception("a model could not be loaded")
        return _refuse(models, served, type(error).__name__)
    if await loop.run_in_executor(models.pool, served.found) != found:
        served.signature = ()  # it changed meanwhile: load it again
        return False
    if predictor.fingerprint == served.loaded.predictor.fingerprint:
        served.refused = None
        return False
    models.take(served, predictor)
    models.metrics.count_reload(served.name, "taken")
    logger.info("took up the new model in %s", served.path, extra={"facts": {"model": served.name}})
    return True


def _refuse(models: Models, served: Served, why: str) -> bool:
    served.refused = why
    models.metrics.count_reload(served.name, "refused")
    logger.warning(
        "refused the new model in %s, the old one goes on: %s",
        served.path,
        why,
        extra={"facts": {"model": served.name}},
    )
    return False
