"""Every exception that intent_bert raises on purpose, and two helpers for the sentences they say.

    IntentBertError                 something that the user can mend
    ├── SettingsError  ValueError   a setting, an argument or a name that does not fit
    ├── DataError      ValueError   a table, a text or a label
    ├── CheckpointError ValueError  a pretrained checkpoint: its files, config or weights; a file of word vectors
    ├── ModelFolderError ValueError a folder with a trained model: missing, damaged, or not to be replaced
    ├── DownloadError  OSError      the network: something could not be fetched, or did not verify
    └── DiskError      OSError      the disk: something could not be read or written

The second column is the built-in exception that each is as well. Each message says what was expected, what came and
what to do, in one sentence; the command line prints it and exits with 2. Anything else that escapes is our fault, and
exits with 1.
"""

import difflib
from collections.abc import Iterable


class IntentBertError(Exception):
    """The root: a mistake or a missing thing that the user can mend."""


class SettingsError(IntentBertError, ValueError):
    """A setting, an argument or a name that does not fit."""


class DataError(IntentBertError, ValueError):
    """A table, a text or a label that can't be used."""


class CheckpointError(IntentBertError, ValueError):
    """A pretrained checkpoint, or a file of word vectors, that is missing something, damaged or contradictory."""


class ModelFolderError(IntentBertError, ValueError):
    """A folder with a trained model that can't be used or replaced."""


class DownloadError(IntentBertError, OSError):
    """Something that could not be fetched, or that is not what it should be."""


class DiskError(IntentBertError, OSError):
    """A file or folder that can't be read or written: no permission, no space, a damaged disk."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like ``name`` (capitals do not count), for "did you mean".

    >>> nearest("snip", ["sample", "snips", "snips-tutorial"])
    'snips'
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    return by_lower[matches[0]] if matches else ""


def reason(error: BaseException) -> str:
    """An error in a line: the system's words for an ``OSError``, else the first line of its message.

    >>> reason(ValueError("bad shape\\nand more"))
    'bad shape'
    """
    return getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
