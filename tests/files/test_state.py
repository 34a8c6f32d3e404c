"""Settings and values of a run that can go on: kept whole, refused where they do not fit."""

from pathlib import Path
from typing import Any

import pytest
from kills import killed_at_each_step

from intent_bert.errors import DiskError, SettingsError
from intent_bert.files.state import SavedState


def state(folder: Path, **settings: Any) -> SavedState:
    return SavedState(
        folder / "state.json",
        settings,
        name="the run",
        advice="take the same",
        restart="delete it to start again",
        hashes={"sentences": "other sentences"},
    )


def test_values_come_back(tmp_path: Path) -> None:
    assert state(tmp_path, seed=1).read() is None
    state(tmp_path, seed=1).write({"rows": [1, 2], "name": "é"})
    assert state(tmp_path, seed=1).read() == {"rows": [1, 2], "name": "é"}
    state(tmp_path).remove()
    assert list(tmp_path.iterdir()) == []
    state(tmp_path).remove()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    state(tmp_path, seed=1, rate=0.5).write({})
    for settings, expected in (
        ({"seed": 1, "rate": 0.5, "sentences": "2c3d"}, "the run had other sentences: take the same"),
        ({"seed": 1, "rate": 0.25}, "the run had rate=0.5, not 0.25: take the same"),
        ({"seed": 1}, "the run had rate=0.5, not None: take the same"),
        ({"seed": 1, "rate": 0.5, "layers": 2}, "the run had layers=None, not 2: take the same"),
    ):
        with pytest.raises(SettingsError) as caught:
            state(tmp_path, **settings).read()
        assert str(caught.value) == expected


def test_settings_are_compared_as_json_has_them(tmp_path: Path) -> None:
    settings = {"class_weight": {0: 1.0, 1: 2.5}, "sizes": (1, 2), "output": Path("a")}
    state(tmp_path, **settings).write({})
    assert state(tmp_path, **settings).read() == {}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"settings": 3, "values": {}}', "[" * 100_000, '{"values":{}}']
)
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(DiskError) as caught:
        state(tmp_path).read()
    assert str(caught.value) == f"{tmp_path}/state.json is damaged: delete it to start again"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(DiskError, match=r"can't read .*state\.json: Is a directory"):
        state(tmp_path).read()


def test_a_kill_at_any_step_leaves_the_old_values_or_the_new(tmp_path: Path) -> None:
    state(tmp_path).write({"step": 0})
    for step in killed_at_each_step(lambda: state(tmp_path).write({"step": 1})):
        found = state(tmp_path).read()
        assert found in ({"step": 0}, {"step": 1}), step
        assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
