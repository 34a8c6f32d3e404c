"""Outcomes of a comparison: kept one by one, and a kill at any step loses none."""

import tempfile
from pathlib import Path

import pytest
from kills import killed_at_each_step
from plain_user import as_a_plain_user, needs_root

from intent_bert.config import CompareConfig
from intent_bert.errors import DiskError
from intent_bert.estimators.outcomes import Outcome, Outcomes


def outcome(method: str) -> Outcome:
    return Outcome(method, "words", "all", 3, 0.5, 0.1, 2.0, ["a", "b\r", "ü"])


def test_they_come_back_in_another_process_and_none_is_lost_in_a_kill(tmp_path):
    config = CompareConfig(output_dir=str(tmp_path / "out"))
    Outcomes(config, "sentences").keep(outcome("first"))

    def work() -> None:
        Outcomes(config, "sentences").keep(outcome("second"))

    kills = 0
    for kills in killed_at_each_step(work):  # noqa: B007
        kept = Outcomes(config, "sentences")
        assert kept.get("first", "all") == outcome("first")
        assert kept.get("second", "all") in (None, outcome("second"))
    assert kills > 3
    assert Outcomes(config, "sentences").get("second", "all") == outcome("second")
    assert [path.name for path in Path(config.output_dir).iterdir()] == ["outcomes.json"]


def test_a_kill_before_the_first_is_kept_leaves_a_folder_to_go_on_in(tmp_path):
    config, kills = CompareConfig(output_dir=tmp_path / "out"), 0
    for kills in killed_at_each_step(lambda: Outcomes(config, "s").keep(outcome("a"))):  # noqa: B007
        assert Outcomes(config, "s").get("a", "all") in (None, outcome("a"))
    assert kills > 1
    assert Outcomes(config, "s").get("a", "all") == outcome("a")


@needs_root
def test_a_folder_that_cannot_be_written_is_told_before_the_first_method_runs():
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        with as_a_plain_user(), pytest.raises(DiskError) as caught:
            Outcomes(CompareConfig(output_dir=name), "sentences")
    assert str(caught.value) == (
        f"can't write {name}/outcomes.json: Permission denied; nothing was changed: free some space, or choose another "
        "place"
    )
