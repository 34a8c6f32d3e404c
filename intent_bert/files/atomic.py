"""Files and folders that appear whole or not at all.

    NAME                       what readers see: the former one or the new one, never half of one
    .NAME.0a1b2c3d.partial     what is being written, beside its place
    .NAME.0a1b2c3d.former      the former one, for the moment between two renames (only where the system can't exchange)

An exception or an interrupt removes the sibling. A killed process leaves it: ``remove_leftovers`` clears it away, which
``lock.one_writer`` calls when nobody else writes there. It knows nothing of what the files hold.
"""

import contextlib
import ctypes
import errno
import logging
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from intent_bert.errors import DiskError, IntentBertError, reason
from intent_bert.files.cache import checkpoint_folder, data_folder

logger = logging.getLogger("intent_bert")

STALE_SECONDS = 24 * 3600  # where several may write at once, an older sibling belongs to a process that was killed
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LEFTOVER = r"\.{name}\.[0-9a-f]{{8}}\.(partial|former)"


# --- the disk's errors -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def disk_errors(place: Path, consequence: str = "") -> Iterator[None]:
    """Tell an ``OSError`` of the block in one sentence, as a ``DiskError``; ``consequence`` ends the sentence."""
    try:
        yield
    except IntentBertError:
        raise
    except OSError as error:
        roots = {"INTENT_BERT_CACHE": checkpoint_folder(), "INTENT_BERT_DATA": data_folder()}
        moved_by = [f" ({variable} moves it)" for variable, root in roots.items() if place.is_relative_to(root)]
        ending = consequence or f"nothing was changed: free some space, or choose another place{''.join(moved_by[:1])}"
        raise DiskError(f"can't write {place}: {reason(error)}; {ending}") from error


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, says that the disk is full (HDF5 says so in words)."""
    while error is not None:
        if getattr(error, "errno", None) in _FULL or "No space left" in str(error) or "quota exceeded" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def check_writable(place: Path) -> None:
    """See whether a file or folder can be written, before the slow work; leaves nothing behind.

    Raises:
        DiskError: it can't.
    """
    with disk_errors(place):
        existing = next(parent for parent in place.absolute().parents if parent.exists())
        probe = _sibling(existing / place.name, "partial")
        probe.mkdir()
        probe.rmdir()
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))


# --- one file ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A path to write, which becomes ``path`` when the block ends well; a former file keeps its permissions.

    Raises:
        DiskError: it can't be written; what stood there before still stands there.
    """
    partial = _sibling(path, "partial")
    try:
        with disk_errors(path):
            yield partial
            if path.exists():
                shutil.copymode(path, partial)
            _flush(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


# --- a folder ----------------------------------------------------------------------------------------------------


def _nothing(_: str) -> bool:
    return False


@contextlib.contextmanager
def atomic_folder(folder: Path, *, replace: bool = False, keep: Callable[[str], bool] = _nothing) -> Iterator[Path]:
    """A new folder to fill, which becomes ``folder`` when the block ends well.

    Args:
        folder: its parents are made if need be.
        replace: put it in the place of a folder that stands there; without, that one is kept and a word said of it.
        keep: tells by its name whether an entry of the former folder goes along into the new one.

    Raises:
        DiskError: it can't be written; what stood there before still stands there.
    """
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder, older_than=STALE_SECONDS)
        partial = _sibling(folder, "partial")
        partial.mkdir()
        try:
            yield partial
            _flush(partial)
            _move_into_place(partial, folder, keep if replace else None)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _move_into_place(partial: Path, folder: Path, keep: Callable[[str], bool] | None) -> None:
    if keep is None or not os.path.lexists(folder):
        try:
            partial.rename(folder)  # an empty folder makes way
            return
        except OSError:
            if not folder.is_dir():
                raise
    if keep is None:
        logger.info("%s was finished by another process meanwhile; that one is kept", folder)
        return
    if not folder.is_dir():
        raise FileExistsError(errno.EEXIST, "there is a file of this name", str(folder))
    for name in _names(folder):
        if keep(name):
            _link_or_leave(folder / name, partial / name)
    exchange(partial, folder)
    for name in _names(partial):  # which holds the former folder now: what came meanwhile, or could not be linked
        if keep(name):
            _move_what_is_missing(partial / name, folder / name)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _link_or_leave(source: Path, destination: Path) -> None:
    if os.path.lexists(destination):
        return
    try:
        link_tree(source, destination)
    except OSError:
        shutil.rmtree(destination, ignore_errors=True)


def _move_what_is_missing(source: Path, destination: Path) -> None:
    with contextlib.suppress(OSError):
        if os.path.lexists(destination):
            link_tree(source, destination)
        else:
            source.rename(destination)


def link_tree(source: Path, destination: Path) -> None:
    """Give ``destination`` what ``source`` has and it lacks: the same files, or copies where the disk has no links."""
    if source.is_dir() and not source.is_symlink():
        destination.mkdir(exist_ok=True)
        for entry in source.iterdir():
            link_tree(entry, destination / entry.name)
        shutil.copystat(source, destination)
    elif not os.path.lexists(destination):
        try:
            os.link(source, destination, follow_symlinks=False)
        except FileNotFoundError:  # it went meanwhile
            return
        except OSError:
            shutil.copy2(source, destination, follow_symlinks=False)


def exchange(first: Path, second: Path) -> None:
    """Exchange two folders: in one step where Linux offers it, else in three renames."""
    if sys.platform == "linux":
        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if renameat2 is not None:
            at_cwd, in_one_step = -100, 2
            if renameat2(at_cwd, os.fsencode(first), at_cwd, os.fsencode(second), in_one_step) == 0:
                return
            if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(second))
    former = _sibling(second, "former")
    second.rename(former)
    try:
        first.rename(second)
    except BaseException:
        former.rename(second)
        raise
    former.rename(first)


# --- siblings ----------------------------------------------------------------------------------------------------


def _sibling(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.{kind}")


def remove_leftovers(path: Path, older_than: float = 0.0) -> None:
    """Remove what killed processes have left beside a file or folder, if it is ``older_than`` so many seconds.

    A folder that was killed between its renames gets its former self back.
    """
    if not path.parent.is_dir():
        return
    pattern = re.compile(_LEFTOVER.format(name=re.escape(path.name)))
    for left in sorted(entry for entry in path.parent.iterdir() if pattern.fullmatch(entry.name)):
        with contextlib.suppress(OSError):  # another process may be removing it too
            if left.suffix == ".former" and not os.path.lexists(path):
                left.rename(path)
            elif time.time() - left.lstat().st_mtime >= older_than:
                _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have the disk hold what was written, so that a power cut after the rename finds it whole."""
    for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
        if each.is_file() and not each.is_symlink():
            with each.open("rb") as stream:
                os.fsync(stream.fileno())
