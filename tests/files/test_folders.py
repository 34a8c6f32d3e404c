"""Folders that appear whole or not at all, and single files over a real connection."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from intent_bert.errors import DownloadError, SettingsError, nearest
from intent_bert.files import atomic, downloads
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.cache import checkpoint_folder, data_folder
from intent_bert.files.downloads import download_file

CONTENT = b"forty-two bytes of nothing in particular.\n" * 1000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """Answers /good, /drop (half the promised bytes), /flaky (503 once) and /missing (404); counts requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.paths.append(self.path)
            if self.path == "/missing" or (self.path == "/flaky" and self.server.paths.count("/flaky") == 1):
                self.send_error(404 if self.path == "/missing" else 503)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/drop" else CONTENT)

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setattr(downloads, "RETRY_WAIT_SECONDS", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.paths = []
        httpd.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


# --- where ---


def test_the_environment_names_the_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTENT_BERT_DATA", str(tmp_path / "d"))
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "c"))
    assert (data_folder(), checkpoint_folder()) == (tmp_path / "d", tmp_path / "c")


def test_without_the_environment_they_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTENT_BERT_DATA", raising=False)
    monkeypatch.setenv("INTENT_BERT_CACHE", "")
    assert data_folder().name == "data"
    assert checkpoint_folder() == data_folder().with_name("checkpoints")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("snip", "snips"), ("SNIPS", "snips"), ("simple", "sample"), ("tutorial", "snips-tutorial"), ("sample", "sample")],
)
def test_nearest(name: str, expected: str) -> None:
    assert nearest(name, ["sample", "snips", "snips-tutorial"]) == expected


def test_nearest_of_nothing_is_nothing() -> None:
    assert nearest("snips", []) == ""


# --- whole or not at all ---


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
    assert (tmp_path / "name" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_replace_takes_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    (tmp_path / "name" / "old").touch()
    with atomic_folder(tmp_path / "name", replace=True) as partial:
        (partial / "new").touch()
        assert (tmp_path / "name" / "old").exists()
    assert [path.name for path in (tmp_path / "name").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_a_failed_replacement_keeps_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    (tmp_path / "name" / "old").touch()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "name", replace=True):
        raise RuntimeError
    assert [path.name for path in (tmp_path / "name").iterdir()] == ["old"]


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
    (tmp_path / ".name-of-another.0.partial").mkdir()

    with atomic_folder(tmp_path / "name"):
        pass
    assert left.exists(), "a young one may belong to a run that is still at work"

    old = time.time() - 2 * atomic.STALE_SECONDS
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))
    with atomic_folder(tmp_path / "name", replace=True):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".name-of-another.0.partial", "name"]


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    expected = r"a folder that can be written.* or choose another place"
    with pytest.raises(SettingsError, match=rf"{expected}\.$"), atomic_folder(tmp_path / "file" / "name"):
        pass
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "file"))
    expected += r" \(INTENT_BERT_CACHE moves it\)"
    with pytest.raises(SettingsError, match=rf"{expected}\.$"), atomic_folder(tmp_path / "file" / "name"):
        pass


# --- one file ---


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
