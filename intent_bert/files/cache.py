"""Where downloads lie on this machine: the folder of the data sets and that of the checkpoints."""

import os
from pathlib import Path


def data_folder() -> Path:
    """The folder of the data sets: INTENT_BERT_DATA, or ``data`` in the user's cache."""
    return _folder("INTENT_BERT_DATA", "data")


def checkpoint_folder() -> Path:
    """The folder of the named checkpoints: INTENT_BERT_CACHE, or ``checkpoints`` in the user's cache."""
    return _folder("INTENT_BERT_CACHE", "checkpoints")


def _folder(variable: str, default: str) -> Path:
    import platformdirs

    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("intent_bert", appauthor=False) / default
