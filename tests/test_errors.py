"""The tree of exceptions: one root, and kinds that can be told apart by the built-in exception that each is as well."""

import pytest

import intent_bert
from intent_bert import IntentBertError, errors

MISTAKES = ("SettingsError", "DataError", "CheckpointError", "ModelFolderError")
SYSTEM = ("DownloadError", "DiskError")


def test_the_tree_is_public_and_whole():
    defined = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert defined == {"IntentBertError", *MISTAKES, *SYSTEM}
    assert defined <= set(intent_bert.__all__)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_value_errors(name):
    kind = getattr(intent_bert, name)
    assert issubclass(kind, IntentBertError)
    assert issubclass(kind, ValueError)
    assert not issubclass(kind, OSError)


@pytest.mark.parametrize("name", SYSTEM)
def test_network_and_disk_are_os_errors(name):
    kind = getattr(intent_bert, name)
    assert issubclass(kind, IntentBertError)
    assert issubclass(kind, OSError)
    assert not issubclass(kind, ValueError)
    assert str(kind("the disk is full: free some space")) == "the disk is full: free some space"
