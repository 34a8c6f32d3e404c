"""Where downloads lie on this machine, and how files and folders get there whole or not at all.

It knows the two folders (data sets, checkpoints), fetches one file from one address, and makes a folder
appear in one step. It does not know what a checkpoint or a data set is, and checks no contents but a sha256.
"""

import contextlib
import difflib
import errno
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from intent_bert.errors import DownloadError, SettingsError

logger = logging.getLogger("intent_bert")

RETRIES = 2  # after the first attempt, for a connection that fails or breaks
RETRY_WAIT_SECONDS = 1.0  # before the first retry; twice that before the second
TIMEOUT_SECONDS = 30.0  # without a single byte
STALE_SECONDS = 24 * 3600  # an unfinished folder that is older belongs to a run that was killed

_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST}


def data_folder() -> Path:
    """The folder of the data sets: INTENT_BERT_DATA, or ``data`` in the user's cache."""
    return _folder("INTENT_BERT_DATA", "data")


def checkpoint_folder() -> Path:
    """The folder of the named checkpoints: INTENT_BERT_CACHE, or ``checkpoints`` in the user's cache."""
    return _folder("INTENT_BERT_CACHE", "checkpoints")


def _folder(variable: str, default: str) -> Path:
    import platformdirs

    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("intent_bert", appauthor=False) / default


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like ``name`` (capitals do not count), for "did you mean".

    >>> nearest("snip", ["sample", "snips", "snips-tutorial"])
    'snips'
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    return by_lower[matches[0]] if matches else ""


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


def download_file(
    url: str, destination: Path, *, advice: str, sha256: str | None = None, progress: bool = False
) -> None:
    """Fetch ``url`` into the file ``destination``, whole or not at all; ``advice`` ends the error's sentence."""
    import requests

    for attempt in range(RETRIES + 1):
        try:
            _retrieve(url, destination, sha256, progress)
            return
        except requests.exceptions.RequestException as error:
            if attempt == RETRIES or not _worth_a_retry(error):
                raise DownloadError(f"{url} could not be downloaded ({reason_of(error)}): {advice}.") from error
            logger.info("%s: %s; trying again", url, reason_of(error))
            time.sleep(RETRY_WAIT_SECONDS * (attempt + 1))
        except ValueError as error:  # how pooch reports a hash that differs
            raise DownloadError(f"{url} is not the file that was expected (sha256 {sha256}): {advice}.") from error


def _retrieve(url: str, destination: Path, sha256: str | None, progress: bool) -> None:
    import pooch

    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)  # it would print every file's address and hash
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=destination.name,
            path=destination.parent,
            downloader=pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 18, timeout=TIMEOUT_SECONDS),
        )
    finally:
        log.setLevel(level)


def _worth_a_retry(error: Exception) -> bool:
    import requests.exceptions as exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code == 429
    passing = (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError)
    return isinstance(error, passing) and not isinstance(error, exceptions.SSLError)


def reason_of(error: Exception) -> str:
    """A few words for what requests says in three lines; the whole story stays in ``__cause__``."""
    import requests.exceptions as exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, exceptions.Timeout):
        return f"no answer within {TIMEOUT_SECONDS:.0f} s"
    if isinstance(error, exceptions.SSLError):
        return "the server's certificate was not accepted"
    if isinstance(error, exceptions.ProxyError):
        return "the proxy did not answer"
    if isinstance(error, exceptions.ChunkedEncodingError | exceptions.ContentDecodingError):
        return "the connection broke before the end of the file"
    if isinstance(error, exceptions.ConnectionError):
        story = str(error)
        if "resolve" in story or "getaddrinfo" in story:
            return "the host name was not found: is there a network?"
        if "refused" in story:
            return "the connection was refused"
        return "the connection failed"
    return f"{type(error).__name__}: {error}"
