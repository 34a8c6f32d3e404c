"""One writer at a time for an output file or folder.

``.NAME.lock`` beside it holds the number of the process that writes. What counts is not that file but the system's lock
on it (flock), which goes with its process however that ends; a file that a killed one has left is taken over and
removed. Where the system has no such locks (Windows, some network disks) nobody is kept out.
"""

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from intent_bert.errors import DiskError
from intent_bert.files.atomic import disk_errors, remove_leftovers

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("intent_bert")

_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)
_HELD = (errno.EACCES, errno.EAGAIN)
_UNKNOWN_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def one_writer(place: str | PathLike) -> Iterator[None]:
    """Keep every other writer away from a file or folder while the block runs.

    What killed writers of this place have left beside it is removed first. Parents that are missing are made, and
    removed again where the block leaves them empty.

    Raises:
        DiskError: another process writes there, or the folder around it can't be written.
    """
    target = Path(place).resolve()
    path = target.with_name(f".{target.name}.lock")
    missing: list[Path] = []
    try:
        with disk_errors(target):
            missing += (parent for parent in target.parents if not parent.exists())
            target.parent.mkdir(parents=True, exist_ok=True)
            handle = _take(path, target)
        try:
            remove_leftovers(target)
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()  # while it is locked: who waits for it sees that it has gone
            os.close(handle)
    finally:
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()


def _take(path: Path, target: Path) -> int:
    """Open and lock the file; gives its handle."""
    while True:
        handle = _open(path, target)
        try:
            _lock(handle, target)
            if os.fstat(handle).st_nlink:  # else its former owner has just removed it: make a new one
                with contextlib.suppress(OSError):  # it only tells others who we are
                    os.ftruncate(handle, 0)
                    os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _open(path: Path, target: Path) -> int:
    """The file; where none can be made (a folder under a parent that is not ours), the place itself."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        existing = next((each for each in (path, target) if each.exists()), None)
        if error.errno not in _NOT_OURS or existing is None:
            raise
        return os.open(existing, os.O_RDONLY)


def _lock(handle: int, target: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNKNOWN_HERE:
            logger.warning("can't lock %s here: see to it that no other run writes there", target)
            return
        if error.errno not in _HELD:
            raise
        raise DiskError(
            f"{_holder(handle)} is writing to {target}: wait until it ends, or name another place"
        ) from None


def _holder(handle: int) -> str:
    with contextlib.suppress(OSError):  # a folder can't be read
        return os.pread(handle, 200, 0).decode("utf-8", "replace").strip() or "another process"
    return "another process"
