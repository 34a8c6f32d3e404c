"""One file from one address, whole or not at all, checked by its sha256."""

import logging
import time
from pathlib import Path

from intent_bert.errors import DownloadError

logger = logging.getLogger("intent_bert")

RETRIES = 2  # after the first attempt, for a connection that fails or breaks
RETRY_WAIT_SECONDS = 1.0  # before the first retry; twice that before the second
TIMEOUT_SECONDS = 30.0  # without a single byte


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
        if "timed out" in story:  # in the middle of the file
            return f"no answer within {TIMEOUT_SECONDS:.0f} s"
        if "resolve" in story or "getaddrinfo" in story:
            return "the host name was not found: is there a network?"
        if "refused" in story:
            return "the connection was refused"
        return "the connection failed"
    return f"{type(error).__name__}: {error}"
