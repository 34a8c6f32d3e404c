"""Single files over a real connection: whole or not at all."""

import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from intent_bert.errors import DownloadError
from intent_bert.files import downloads
from intent_bert.files.atomic import remove_leftovers
from intent_bert.files.downloads import download_file

CONTENT = b"forty-two bytes of nothing in particular.\n" * 1000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """Answers /good, /drop (half the promised bytes), /stall (half of them, then nothing), /slow (piece by piece),
    /flaky (503 once) and /missing (404); counts requests.
    """
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.paths.append(self.path)
            if self.path == "/missing" or (self.path == "/flaky" and self.server.paths.count("/flaky") == 1):
                self.send_error(404 if self.path == "/missing" else 503)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            if self.path == "/slow":
                for start in range(0, len(CONTENT), 4200):
                    self.wfile.write(CONTENT[start : start + 4200])
                    self.wfile.flush()
                return
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path in ("/drop", "/stall") else CONTENT)
            if self.path == "/stall":
                self.wfile.flush()
                ended.wait(60)

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setattr(downloads, "RETRY_WAIT_SECONDS", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.paths = []
        httpd.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd
        ended.set()
        httpd.shutdown()
        thread.join()


def test_a_file_arrives_whole(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    download_file(f"{server.url}/good", tmp_path / "file", advice="try again", sha256=digest)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_progress_goes_to_stderr(
    server: ThreadingHTTPServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    download_file(f"{server.url}/good", tmp_path / "file", advice="try again", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err
    download_file(f"{server.url}/good", tmp_path / "quiet", advice="try again")
    assert capfd.readouterr() == ("", "")


def test_a_wrong_hash_is_refused(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download_file(f"{server.url}/good", tmp_path / "file", advice="try again", sha256="0" * 64)
    assert str(caught.value) == (f"{server.url}/good is not the file that was expected (sha256 {'0' * 64}): try again.")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_busy_is_asked_again(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    download_file(f"{server.url}/flaky", tmp_path / "file", advice="try again")
    assert server.paths == ["/flaky", "/flaky"]


def test_a_missing_file_is_asked_for_once(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download_file(f"{server.url}/missing", tmp_path / "file", advice="try again")
    assert str(caught.value) == (
        f"{server.url}/missing could not be downloaded (the server answered 404 Not Found): try again."
    )
    assert server.paths == ["/missing"]


def test_a_connection_that_breaks_leaves_nothing(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download_file(f"{server.url}/drop", tmp_path / "file", advice="try again")
    assert "the connection broke before the end of the file" in str(caught.value)
    assert server.paths == ["/drop"] * (downloads.RETRIES + 1)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_stops_halfway_is_waited_for_and_leaves_nothing(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(downloads, "RETRIES", 1)
    with pytest.raises(DownloadError) as caught:
        download_file(f"{server.url}/stall", tmp_path / "file", advice="try again")
    assert str(caught.value) == f"{server.url}/stall could not be downloaded (no answer within 1 s): try again."
    assert server.paths == ["/stall"] * 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_comes_piece_by_piece_arrives_whole(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    download_file(f"{server.url}/slow", tmp_path / "file", advice="try again")
    assert (tmp_path / "file").read_bytes() == CONTENT


FETCH = """
import sys
from pathlib import Path
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.downloads import download_file

with atomic_folder(Path(sys.argv[2])) as work:
    download_file(sys.argv[1], work / "file", advice="try again")
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_ends_while_it_downloads_leaves_nothing_that_is_taken_for_whole(
    server: ThreadingHTTPServer, tmp_path: Path, how: signal.Signals
) -> None:
    place = tmp_path / "checkpoint"
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, f"{server.url}/stall", place],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (server.paths and list(tmp_path.iterdir())):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not place.exists()
    if how == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
    remove_leftovers(place)
    assert list(tmp_path.iterdir()) == []


def test_no_server(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError) as caught:
        download_file(f"{server.url}/good", tmp_path / "file", advice="give a folder instead")
    assert str(caught.value) == (
        f"{server.url}/good could not be downloaded (the connection was refused): give a folder instead."
    )


def test_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_name(*args: object, **kwargs: object) -> None:
        import socket

        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(downloads, "RETRY_WAIT_SECONDS", 0.0)
    monkeypatch.setattr("socket.getaddrinfo", no_name)
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(DownloadError, match=r"\(the host name was not found: is there a network\?\): try again\."):
        download_file("http://example.invalid/x", tmp_path / "file", advice="try again")
