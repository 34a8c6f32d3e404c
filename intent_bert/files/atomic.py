"""Files and folders that appear whole or not at all."""

import contextlib
import errno
import logging
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from intent_bert.errors import SettingsError
from intent_bert.files.cache import checkpoint_folder, data_folder

logger = logging.getLogger("intent_bert")

STALE_SECONDS = 24 * 3600  # an unfinished folder that is older belongs to a run that was killed
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST}


@contextlib.contextmanager
def atomic_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A new folder to fill, which becomes ``folder`` only when the block ends well.

    What is filled is a hidden sibling, ``.NAME.xxxxxxxx.partial``. An exception or an interrupt removes it; a
    killed process leaves it behind, and the next call for the same folder removes it once it is a day old. If
    another process finished the same folder first, that one is kept, unless ``replace`` asks for the new one.
    """
    with _unwritable_means_settings(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
        partial = _sibling(folder)
        partial.mkdir()
        try:
            yield partial
            _move_into_place(partial, folder, replace)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _unwritable_means_settings(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        roots = {"INTENT_BERT_CACHE": checkpoint_folder(), "INTENT_BERT_DATA": data_folder()}
        moved_by = [f" ({variable} moves it)" for variable, root in roots.items() if folder.is_relative_to(root)]
        raise SettingsError(
            f"{folder} should be a folder that can be written, but the system says '{error.strerror}': free some "
            f"space, or choose another place{''.join(moved_by[:1])}."
        ) from error


def _sibling(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.partial")


def _remove_stale(folder: Path) -> None:
    for left in folder.parent.iterdir():
        if not (left.name.startswith(f".{folder.name}.") and left.name.endswith(".partial")):
            continue
        with contextlib.suppress(OSError):  # another process may be removing it too
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _move_into_place(partial: Path, folder: Path, replace: bool) -> None:
    if not (replace and folder.is_dir()):
        try:
            partial.replace(folder)
        except OSError:
            if not folder.is_dir():
                raise
            logger.info("%s was finished by another process meanwhile; that one is kept", folder)
        return
    former = _sibling(folder)
    folder.replace(former)
    try:
        partial.replace(folder)
    except BaseException:
        former.replace(folder)
        raise
    shutil.rmtree(former, ignore_errors=True)
