"""Where downloads lie on this machine, the data sets and the checkpoints, and models that were compiled for it."""

import os
from pathlib import Path


def data_folder() -> Path:
    """The folder of the data sets: INTENT_BERT_DATA, or ``data`` in the user's cache."""
    return _folder("INTENT_BERT_DATA", "data")


def checkpoint_folder() -> Path:
    """The folder of the named checkpoints: INTENT_BERT_CACHE, or ``checkpoints`` in the user's cache."""
    return _folder("INTENT_BERT_CACHE", "checkpoints")


def compiled_folder() -> Path:
    """The folder of compiled models: INTENT_BERT_COMPILED, or ``compiled`` in the user's cache."""
    return _folder("INTENT_BERT_COMPILED", "compiled")


def _folder(variable: str, default: str) -> Path:
    import platformdirs

    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("intent_bert", appauthor=False) / default
