"""The command in a process of its own, with a trained folder: real sockets, signals, slow clients, a fuzz."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from commands import check_refusal, run

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


class Server:
    """A running ``intent-bert serve``."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log
        self.port = int(url.rpartition(":")[2])

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=30, **options)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def events(self) -> list[dict[str, Any]]:
        text = self.log.read_text()
        try:
            return [json.loads(line) for line in text.splitlines()]
        except ValueError:
            raise AssertionError(text) from None


@contextlib.contextmanager
def serving(place: Path, *arguments: object, **environment: str) -> Iterator[Server]:
    log = place / "stderr.log"
    command = [sys.executable, "-m", "intent_bert.cli", "serve", *map(str, arguments), "--port", "0"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **environment})
    try:
        line = process.stdout.readline().decode()
        found = re.search(r"at (http://\S+:\d+) ", line)
        assert found, (line, log.read_text())
        yield Server(process, found[1], log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def server(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), f"m={trained.folder}", "--read-timeout", 1) as server:
        yield server


def test_answers_are_those_of_predict(server, trained, capsys):
    text = "play my song now"
    code, out, _ = run(capsys, "predict", trained.folder, text, "--json", "--top-k", 2)
    assert code == 0
    given, expected = server.post("/predict", {"text": text, "top_k": 2}).json(), json.loads(out)
    for each, other in zip(given.pop("intent_ranking"), expected.pop("intent_ranking"), strict=True):
        assert each == pytest.approx(other, abs=1e-5)
    assert given == pytest.approx(expected, abs=1e-4)


def test_no_tensorflow_is_in_the_process(server):
    maps = Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("needs /proc")
    libraries = maps.read_text()
    assert "onnxruntime" in libraries
    assert "tensorflow" not in libraries
    assert "pandas" not in libraries


def test_a_slow_head_is_ended(server):
    with server.connect() as slow, server.connect() as silent:
        slow.sendall(b"POST /predict HTTP/1.1\r\n")
        start = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - start < 15:
                slow.sendall(b"X: y\r\n")
                time.sleep(0.2)
        assert time.monotonic() - start < 10
        assert silent.recv(1000).startswith(b"HTTP/1.1 408 ")
    assert server.post("/predict", {"text": "play"}).status_code == 200


def test_a_slow_body_is_ended(server):
    with server.connect() as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        answer = b"".join(iter(lambda: slow.recv(4000), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body has not come within 1 seconds" in answer


def test_a_client_that_ended_its_side_gets_its_answer(server):
    body = b'{"text": "play"}'
    with server.connect() as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(4000), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    with server.connect() as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(4000).startswith(b"HTTP/1.1 400 ")


def test_what_is_no_http_gets_a_sentence(server):
    with server.connect() as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        head, _, body = client.recv(4000).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert "no HTTP" in json.loads(body)["error"]


def test_malformed_requests_get_a_4xx(server):
    spec = importlib.util.spec_from_file_location("fuzz_server", ROOT / "scripts" / "fuzz_server.py")
    fuzzing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzzing)
    answers, failures = fuzzing.fuzz(server.port, 200, seed=1)
    assert failures == []
    assert sum(answers.values()) == 200
    assert answers["400"] > 100
    assert server.post("/predict", {"text": "play"}).status_code == 200


def test_tritonclient_reads_an_answer(server):
    http = pytest.importorskip("tritonclient.http", reason="a check of its own: scripts/ask_with_tritonclient.py")
    import numpy as np

    tensor = http.InferInput("text", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["play music"], object))
    assert http.InferenceServerClient(f"127.0.0.1:{server.port}").infer("m", [tensor]).as_numpy("intent") == [b"music"]


def test_a_replaced_folder_is_taken_up_and_a_damaged_one_refused(trained, several, tmp_path):
    """The folder of a multi-label model takes the place of one with one intent a sentence, under load."""
    folder, new, damaged = tmp_path / "model", tmp_path / "new", tmp_path / "damaged"
    for source, target in ((trained.folder, folder), (several.folder, new), (trained.folder, damaged)):
        shutil.copytree(source, target)
    (damaged / "vocab.txt").write_text("[PAD]\n")
    with serving(tmp_path, folder, "--reload-every", 0.2) as server, httpx.Client(timeout=30) as client:
        statuses: set[int] = set()
        kinds: set[bool] = set()

        def asked_until(event: str) -> None:
            start = time.monotonic()
            while not any(each["event"].startswith(event) for each in server.events()):
                assert time.monotonic() - start < 60, [e for e in server.events() if e["event"] != "request"][-1]
                answer = client.post(f"{server.url}/predict", json={"text": "play music"})
                statuses.add(answer.status_code)
                kinds.add("intents" in answer.json())

        asked_until("started")
        for replacement, event in ((damaged, "refused"), (new, "took up")):
            folder.rename(tmp_path / f"away-{replacement.name}")
            replacement.rename(folder)
            asked_until(event)
        kinds.add("intents" in client.post(f"{server.url}/predict", json={"text": "play music"}).json())
        assert statuses == {200}
        assert kinds == {False, True}
        assert server.stop() == 0


def test_sigterm_answers_what_was_taken(trained, tmp_path):
    """Twenty clients that never pause, each on a connection that stays open; the signal comes in the middle."""
    with serving(tmp_path, trained.folder, "--batch-wait", 20, "--cache-size", 0) as server:
        answered = [0] * 20

        def ask(number: int) -> None:
            with httpx.Client(timeout=30) as client:
                while True:
                    try:
                        answer = client.post(f"{server.url}/predict", json={"text": f"play song {answered[number]}"})
                    except httpx.ConnectError:
                        return  # it listens no more
                    except httpx.RemoteProtocolError:
                        return  # the idle connection was closed before this one was read: the count tells
                    assert answer.status_code == 200
                    answered[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        while min(answered) < 2:
            time.sleep(0.05)
        assert server.stop() == 0
        for thread in threads:
            thread.join(30)
        assert server.events()[-1]["event"] == "stopped"
        assert server.events()[-1]["requests"] == sum(answered)


def test_ctrl_c_ends_it_too(trained, tmp_path):
    with serving(tmp_path, trained.folder) as server:
        assert server.post("/predict", {"text": "play"}).status_code == 200
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        assert "Traceback" not in server.log.read_text()


def test_a_token_from_the_environment(trained, tmp_path):
    with serving(tmp_path, trained.folder, INTENT_BERT_TOKEN="s3cret-token") as server:
        assert server.post("/predict", {"text": "play"}).status_code == 401
        headers = {"Authorization": "Bearer s3cret-token"}
        assert server.post("/predict", {"text": "play"}, headers=headers).status_code == 200
        assert "s3cret" not in server.log.read_text()


# --- mistakes ----------------------------------------------------------------------------------------------------


def test_a_port_in_use(trained, server, capsys):
    result = run(capsys, "serve", trained.folder, "--port", server.port)
    check_refusal(result, f"can't listen on 127.0.0.1 port {server.port} (Address already in use): name another")


def test_mistakes_of_the_command(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("INTENT_BERT_TOKEN", raising=False)
    damaged, without = tmp_path / "damaged", tmp_path / "without"
    for copy in (damaged, without):
        shutil.copytree(trained.folder, copy)
    (damaged / "labels.json").write_text("[]")
    config = json.loads((without / "config.json").read_text())
    (without / "model.onnx").unlink()
    del config["sha256"]["model.onnx"]
    from intent_bert.model.folder import write_config

    write_config(without, config, [])
    for arguments, expected in (
        (["missing"], "no such model folder: missing"),
        ([damaged], "is damaged: labels.json"),
        ([without], "has no model.onnx, which a server answers with: intent-bert export"),
        ([f"a={trained.folder}", f"a={trained.folder}"], "two models are called a"),
        ([trained.folder, "--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines ask: set INTENT_BERT_TOKEN"),
        ([trained.folder, "--host", "no.such.host.invalid"], "is no address of this machine"),
        ([trained.folder, "--port", 70000], "--port must be 0 to 65535, not 70000"),
        ([trained.folder, "--token-file", tmp_path / "missing"], "can't read the token in"),
        ([trained.folder, "--max-texts", 0], "max-texts must be above 0, not 0"),
        ([trained.folder, "--timeout", "soon"], "invalid float value: 'soon'"),
        ([], "the following arguments are required"),
    ):
        if "--port" not in arguments:
            arguments = [*arguments, "--port", 0]
        check_refusal(run(capsys, "serve", *arguments), expected)


def test_without_its_packages_the_command_tells_how_to_get_them(trained, capsys, monkeypatch):
    monkeypatch.setattr("intent_bert.cli.serve.find_spec", lambda name: None if name == "uvicorn" else object())
    check_refusal(run(capsys, "serve", trained.folder), "(uvicorn): pip install 'intent_bert[serve]'")
