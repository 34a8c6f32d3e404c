"""One writer at a time: the second is told who is first, and nothing of a killed one keeps anybody out."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from kills import killed_at_each_step
from plain_user import NOBODY, as_a_plain_user, needs_root

from intent_bert.errors import DiskError
from intent_bert.files import lock
from intent_bert.files.lock import one_writer

HOLD = (
    "import pathlib, sys, time\n"
    "from intent_bert.files.lock import one_writer\n"
    "with one_writer(sys.argv[1]):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


def test_the_second_writer_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "name"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(place)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        (tmp_path / "link").symlink_to(place)
        for name in (place, str(place), tmp_path / "." / "name", tmp_path / "link"):
            with pytest.raises(DiskError) as caught, one_writer(name):
                pytest.fail("the block began")
            assert str(caught.value) == (
                f"process {first.pid} on {socket.gethostname()} is writing to {place}: wait until it ends, or name "
                "another place"
            )
        with one_writer(tmp_path / "another"):
            pass
        first.send_signal(signal.SIGKILL)
    (tmp_path / ".name.01234567.partial").mkdir()
    with one_writer(place):
        assert [entry.name for entry in sorted(tmp_path.iterdir())] == [".name.lock", "link"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["link"]


def test_a_second_writer_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with one_writer(tmp_path / "name"):
        with (
            pytest.raises(DiskError, match=f"^process {os.getpid()} on .* is writing to"),
            one_writer(tmp_path / "name"),
        ):
            pytest.fail("the block began")
        assert (tmp_path / ".name.lock").exists()
    with one_writer(tmp_path / "name"):
        pass


def test_parents_are_made_and_go_again_if_nothing_came_into_them(tmp_path: Path) -> None:
    with one_writer(tmp_path / "a" / "b" / "name"):
        pass
    assert list(tmp_path.iterdir()) == []
    with one_writer(tmp_path / "a" / "b" / "name"):
        (tmp_path / "a" / "file").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DiskError, match=r"can't write .*/file/x/name: Not a directory"),
        one_writer(tmp_path / "file" / "x" / "name"),
    ):
        pytest.fail("the block began")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@needs_root
def test_a_folder_of_ours_under_a_parent_that_is_not_is_locked_itself() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name, "ours")
        folder.mkdir()
        Path(name).chmod(0o755)
        os.chown(folder, NOBODY, NOBODY)
        with as_a_plain_user(), one_writer(folder):
            with pytest.raises(DiskError, match=f"^another process is writing to {folder}: "), one_writer(folder):
                pytest.fail("the block began")
            assert list(folder.iterdir()) == []


def test_a_disk_without_locks_is_told_of_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(lock.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with one_writer(tmp_path / "name"):
        pass
    assert caplog.messages == [f"can't lock {tmp_path}/name here: see to it that no other run writes there"]
    assert list(tmp_path.iterdir()) == []


def test_a_writer_killed_at_any_step_keeps_nobody_out(tmp_path: Path) -> None:
    def work() -> None:
        with one_writer(tmp_path / "deep" / "name"):
            (tmp_path / "deep" / "name").touch()

    for _ in killed_at_each_step(work):
        with one_writer(tmp_path / "deep" / "name"):
            pass
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
        assert left <= {"deep", "deep/name"}
