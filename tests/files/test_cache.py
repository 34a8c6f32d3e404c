"""Where downloads lie on this machine."""

from pathlib import Path

import pytest

from intent_bert.files.cache import checkpoint_folder, data_folder


def test_the_environment_names_the_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTENT_BERT_DATA", str(tmp_path / "d"))
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "c"))
    assert (data_folder(), checkpoint_folder()) == (tmp_path / "d", tmp_path / "c")


def test_without_the_environment_they_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTENT_BERT_DATA", raising=False)
    monkeypatch.setenv("INTENT_BERT_CACHE", "")
    assert data_folder().name == "data"
    assert checkpoint_folder() == data_folder().with_name("checkpoints")
