"""Every exception that intent_bert raises on purpose.

    IntentBertError             a mistake or a missing thing that the user can mend
    ├── SettingsError           a setting, an argument or a name that does not fit
    ├── DataError               a table, a text or a label
    ├── CheckpointError         a pretrained checkpoint: its files, config or weights; a file of word vectors
    ├── DownloadError           something that could not be fetched or did not verify
    └── ModelFolderError        a folder with a trained model: reading or writing it

All are ``ValueError`` too, which is what Keras and scikit-learn users catch. Each message says what was
expected, what came and what to do, in one sentence; the command line prints it and exits with 2. Anything
else that escapes is our fault, and exits with 1.
"""


class IntentBertError(ValueError):
    """The root: a mistake or a missing thing that the user can mend."""


class SettingsError(IntentBertError):
    """A setting, an argument or a name that does not fit."""


class DataError(IntentBertError):
    """A table, a text or a label that can't be used."""


class CheckpointError(IntentBertError):
    """A pretrained checkpoint, or a file of word vectors, that is missing something, damaged or contradictory."""


class DownloadError(IntentBertError):
    """Something that could not be fetched, or that is not what it should be."""


class ModelFolderError(IntentBertError):
    """A folder with a trained model that can't be read or written."""
