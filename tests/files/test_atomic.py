"""Files and folders that appear whole or not at all, whenever the process ends."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from kills import killed_at_each_step
from plain_user import as_a_plain_user, needs_root

from intent_bert.errors import DiskError
from intent_bert.files import atomic
from intent_bert.files.atomic import atomic_file, atomic_folder, check_writable, exchange, is_full, remove_leftovers
from intent_bert.files.lock import one_writer
from intent_bert.model.folder import check_output_folder


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# --- one file ----------------------------------------------------------------------------------------------------


def test_a_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "name.csv"
    path.write_text("old")
    path.chmod(0o640)
    with atomic_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert contents(tmp_path) == {"name.csv": "new"}
    assert oct(path.stat().st_mode)[-3:] == "640"


def test_a_new_file_has_the_permissions_that_any_file_gets(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "name") as partial:
        partial.write_text("new")
    (tmp_path / "plain").write_text("new")
    assert (tmp_path / "name").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_former_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "name").write_text("old")
    with pytest.raises(error), atomic_file(tmp_path / "name") as partial:
        partial.write_text("half")
        raise error
    assert contents(tmp_path) == {"name": "old"}


def test_a_file_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as caught, atomic_file(tmp_path / "nowhere" / "name") as partial:
        partial.write_text("new")
    assert str(caught.value) == (
        f"can't write {tmp_path}/nowhere/name: No such file or directory; nothing was changed: free some space, or "
        "choose another place"
    )


def test_a_process_killed_at_any_step_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "name"
    path.write_text("old")

    def work() -> None:
        with atomic_file(path) as partial:
            partial.write_text("new")

    seen = set()
    for _ in killed_at_each_step(work):
        seen.add(path.read_text())
        remove_leftovers(path)
        assert [entry.name for entry in tmp_path.iterdir()] == ["name"]
        path.write_text("old")
    assert "old" in seen <= {"old", "new"}


# --- a folder ----------------------------------------------------------------------------------------------------


def test_a_folder_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "name"
    with atomic_folder(folder) as partial:
        (partial / "file").write_text("content")
        assert partial.parent == folder.parent
        assert not folder.exists()
    assert (folder / "file").read_text() == "content"
    assert [path.name for path in folder.parent.iterdir()] == ["name"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_folder(tmp_path / "name") as partial:
        (partial / "file").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_process_finished_is_kept(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "name") as partial:
        (partial / "file").write_text("second")
        (tmp_path / "name").mkdir()
        (tmp_path / "name" / "file").write_text("first")
    assert contents(tmp_path) == {"name/file": "first"}


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_replace_takes_the_new_one_and_what_is_to_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(atomic.sys, "platform", platform)
    folder = tmp_path / "name"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "first").write_text("kept")
    (folder / "old").write_text("not kept")
    with atomic_folder(folder, replace=True, keep=lambda name: name in ("logs", "late")) as partial:
        (partial / "new").write_text("new")
        assert (folder / "old").exists()
    assert contents(tmp_path) == {"name/new": "new", "name/logs/first": "kept"}


def test_what_comes_while_the_folders_are_exchanged_is_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "name"
    (folder / "logs").mkdir(parents=True)

    def slow(first: Path, second: Path) -> None:
        (folder / "late").write_text("late")
        (folder / "logs" / "late").write_text("late too")
        exchange(first, second)

    monkeypatch.setattr(atomic, "exchange", slow)
    with atomic_folder(folder, replace=True, keep=lambda name: name in ("logs", "late")):
        pass
    assert contents(tmp_path) == {"name/late": "late", "name/logs/late": "late too"}


def test_a_failed_replacement_keeps_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    (tmp_path / "name" / "old").touch()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "name", replace=True):
        raise RuntimeError
    assert [path.name for path in (tmp_path / "name").iterdir()] == ["old"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "links"),
    [("linux", True), ("linux", False), ("darwin", True)],
    ids=["in one step", "a disk without links", "in three renames"],
)
def test_a_process_killed_at_any_step_loses_nothing_that_was_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, links: bool
) -> None:
    monkeypatch.setattr(atomic.sys, "platform", platform)
    if not links:
        monkeypatch.setattr(atomic.os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    parent = tmp_path / "parent"
    folder = parent / "name"

    def work() -> None:
        with atomic_folder(folder, replace=True, keep=lambda name: name == "logs") as partial:
            (partial / "model").write_text("new")

    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "events").write_text("events")
    seen = set()
    for _ in killed_at_each_step(work):
        remove_leftovers(folder)
        assert (folder / "logs" / "events").read_text() == "events"
        assert [entry.name for entry in parent.iterdir()] == ["name"]
        seen.add((folder / "model").read_text() if (folder / "model").exists() else "")
        (folder / "model").write_text("old")
    assert {"", "old", "new"} == seen


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_process_leaves_only_a_partial_sibling_which_goes_when_it_is_old(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, pathlib\n"
        "from intent_bert.files.atomic import atomic_folder\n"
        "with atomic_folder(pathlib.Path(sys.argv[1])) as partial:\n"
        "    (partial / 'file').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "name")], cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".name.")
    others = [".name.of.another.01234567.partial", ".name.partial", "name.01234567.partial"]
    for other in others:
        (tmp_path / other).mkdir()

    with atomic_folder(tmp_path / "name"):
        pass
    assert left.exists(), "a young one may belong to a run that is still at work"

    old = time.time() - 2 * atomic.STALE_SECONDS
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))
    with atomic_folder(tmp_path / "name", replace=True):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "name"])


# --- the disk's errors -------------------------------------------------------------------------------------------


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "name"
    with pytest.raises(DiskError) as caught:
        check_writable(folder)
    assert str(caught.value) == (
        f"can't write {folder}: Not a directory; nothing was changed: free some space, or choose another place"
    )
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "file"))
    with pytest.raises(DiskError) as caught, atomic_folder(folder):
        pytest.fail("the block began")
    assert str(caught.value) == (
        f"can't write {folder}: File exists; nothing was changed: free some space, or choose another place "
        "(INTENT_BERT_CACHE moves it)"
    )


def test_a_file_in_the_place_of_a_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("mine")
    for replace in (False, True):
        with pytest.raises(DiskError, match=r"can't write .*name: "), atomic_folder(tmp_path / "name", replace=replace):
            pass
    assert contents(tmp_path) == {"name": "mine"}


@needs_root
def test_a_plain_user_is_told_of_places_that_he_may_not_write_or_see() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "hidden").mkdir(mode=0o700)
        (place / "theirs").mkdir()
        with as_a_plain_user():
            for asked in (place / "new", place / "theirs" / "new", place / "hidden" / "deep" / "new"):
                told = f"^can't write {asked}: Permission denied; nothing was changed: free some space"
                with pytest.raises(DiskError, match=told):
                    check_writable(asked)
                with pytest.raises(DiskError, match=told), one_writer(asked):
                    pytest.fail("the block began")
                with pytest.raises(DiskError, match=told):
                    check_output_folder(asked)


def test_checking_a_place_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "name")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_from_other_errors() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert is_full(full)
    try:
        raise DiskError("can't write it") from full
    except DiskError as error:
        assert is_full(error)
    assert is_full(RuntimeError("Can't decrement id ref count (error message = 'No space left on device')"))
    assert not is_full(OSError(errno.EACCES, os.strerror(errno.EACCES)))
    assert not is_full(None)
