#!/usr/bin/env python
"""Send thousands of malformed requests to a server of one's own: each must get a 4xx, none a 5xx, and the server lives.

    python scripts/fuzz_server.py runs/sample --number 5000

It starts ``intent-bert serve`` on a free port of 127.0.0.1 and speaks to it over plain sockets, so that heads and
lengths may be wrong as well. The seed gives the same requests again. A request that came out well formed by chance may
get a 200; a connection that is closed without an answer, a 5xx, a wait of over ten seconds or an answer of 200 to what
can't be right is a failure. Exit 1 where one was found.
"""

import argparse
import json
import random
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

PATHS = (
    "/predict", "/models/m/predict", "/explain", "/v2/models/m/infer", "/v1/models/m:predict", "/model/parse",
)  # fmt: skip
TENSOR = {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["play music", "rain"]}
GOOD = {
    "/predict": {"texts": ["play music", "rain"], "top_k": 2},
    "/models/m/predict": {"text": "play music"},
    "/explain": {"text": "play music"},
    "/v2/models/m/infer": {"inputs": [TENSOR], "id": "1"},
    "/v1/models/m:predict": {"instances": ["play music", {"text": "rain"}]},
    "/model/parse": {"text": "play music"},
}
ODD = [
    None, True, -1, 0, 1.5, 10**30, -(10**300), "", "\ud800", "\x00", "a" * 20_000, [], {}, [[]], [None], [1], ["a", 2],
    {"a": 1}, ["a"] * 3000, [["a"]], {"text": ["a"]}, "../../etc/passwd", "{{7*7}}", "<script>", "%s%n",
]  # fmt: skip

Request = tuple[bytes, bool]  # the bytes, and whether they are certainly no request


def http(path: str, body: bytes, *heads: str, method: str = "POST", length: object = None) -> bytes:
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*head, *heads, "", ""]).encode("latin-1", "replace") + body


def noise(rng: random.Random) -> Request:
    return rng.randbytes(rng.randrange(1, 400)) + b"\r\n\r\n", True


def broken_head(rng: random.Random) -> Request:
    lines = [
        "GET", "GET / HTTP/9.9", "POST /predict", "G\x01T / HTTP/1.1", "POST  /predict  HTTP/1.1",
        "POST /pre dict HTTP/1.1", "POST http:// HTTP/1.1 x", f"GET /{'a' * 70_000} HTTP/1.1", "GET /\xff HTTP/1.1",
    ]  # fmt: skip
    heads = ["Host", ": x", "A b: c", "X: \x00", f"X: {'y' * 70_000}", "Content-Length: -5", "Content-Length: 1e3",
             "Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: gzip", "Host: a\r\nHost: b"]  # fmt: skip
    if rng.random() < 0.5:
        return f"{rng.choice(lines)}\r\nHost: localhost\r\n\r\n".encode("latin-1"), True
    return f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{rng.choice(heads)}\r\n\r\n".encode("latin-1"), True


def mutated_body(rng: random.Random) -> Request:
    path = rng.choice(PATHS)
    body = bytearray(json.dumps(GOOD[path]).encode())
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(body))
        if rng.random() < 0.5:
            body[place] = rng.randrange(256)
        else:
            del body[place : place + rng.randrange(1, 9)]
            body = body or bytearray(b"{")
    return http(path, bytes(body)), False


def no_json(rng: random.Random) -> Request:
    bodies = [
        b"", b"{", b"[1]", b"3", b'"a"', b"null", b"\xff\xfe{\x00", b'{"text": NaN}', b"[" * 100_000,
        b'{"a":' * 5000, b'{"text": ' + b"9" * 6000 + b"}", b'{"text": "\xed\xa0\x80"}',
        '{"text": "a"}'.encode("utf-16"), b"text=a", b'{"text"}',
    ]  # fmt: skip
    return http(rng.choice(PATHS), rng.choice(bodies)), True


def odd_values(rng: random.Random) -> Request:
    path = rng.choice(PATHS)
    given = json.loads(json.dumps(GOOD[path]))
    places = [given, *(each for each in given.get("inputs", []) if isinstance(each, dict))]
    place = rng.choice(places)
    name = rng.choice(
        [*place, "text", "texts", "inputs", "shape", "outputs", "parameters", "model", "top_k", "surprise"]
    )
    place[name] = rng.choice(ODD)
    return http(path, json.dumps(given).encode()), False


def wrong_length(rng: random.Random) -> Request:
    body = json.dumps(GOOD["/predict"]).encode()
    length = rng.choice([0, 5, len(body) + 50, 2 << 20, 10**40, "abc", "", "+5", "0x10"])
    return http("/predict", body, length=length), True


def broken_chunks(rng: random.Random) -> Request:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"5\r\nab",
        b"-1\r\n\r\n",
        b"ffffffffffffffffffff\r\na\r\n0\r\n\r\n",
        b"1\r\n{\r\n0\r\n\r\n",
    ]
    return head + rng.choice(chunks), True


def strange_address(rng: random.Random) -> Request:
    paths = [
        "/../../etc/passwd", "/pages/..%2f..%2fapp.py", "/pages/%00", "/models/%2e%2e/predict", "/v2/models/%ff/infer",
        "/v2/models/m/versions/9/infer", "/v1/models/:predict", "/v1/models/m:nothing", "//predict", "/predict/",
        "/v2/models/", "/%25s%25n", "/models/{{7*7}}/predict", "/?" + "a=b&" * 500, "*",
        "/v2/models/" + "x" * 3000 + "/infer",
    ]  # fmt: skip
    method = rng.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "CONNECT"])
    return http(rng.choice(paths), b'{"text": "a"}', method=method), False


def binary_tensor(rng: random.Random) -> Request:
    packed = bytearray(b"\x04\x00\x00\x00play\x04\x00\x00\x00rain")
    for _ in range(rng.randrange(1, 4)):
        packed[rng.randrange(len(packed))] = rng.randrange(256)
    packed = packed[: rng.randrange(len(packed) + 1)]
    size = rng.choice([len(packed), 0, 3, 10**9, -1, "a", None])
    tensor = {
        "name": "text",
        "datatype": rng.choice(["BYTES", "BYTES", "INT32", 1]),
        "shape": rng.choice([[2], [2, 1], [-2], [10**9] * 5, [], 2, ["2"]]),
    }
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": size}}]}).encode()
    length = rng.choice([len(head), len(head), 0, 10**9, "x", -1])
    return http("/v2/models/m/infer", head + bytes(packed), f"Inference-Header-Content-Length: {length}"), False


def odd_encodings(rng: random.Random) -> Request:
    heads = ["Content-Encoding: gzip", "Content-Encoding: \x80", "Expect: 100-continue",
             "Upgrade: websocket\r\nConnection: Upgrade", "Origin: http://evil.example", "Host: evil.example",
             "Authorization: \xff"]  # fmt: skip
    return http(rng.choice(PATHS), b"\x1f\x8b\x08nothing", rng.choice(heads)), True


KINDS: tuple[Callable[[random.Random], Request], ...] = (
    noise, broken_head, mutated_body, no_json, odd_values, wrong_length, broken_chunks, strange_address, binary_tensor,
    odd_encodings,
)  # fmt: skip


def answer_of(port: int, sent: bytes) -> str:
    """The status of the first answer, or what went wrong."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        received = b""
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while len(received) < 1 << 16 and (part := connection.recv(1 << 16)):
                received += part
        except TimeoutError:
            return "no answer in 10 s"
        except OSError:  # it was refused while we were still sending
            pass
    found = re.match(rb"(?:HTTP/1\.1 100 [^\n]*\n\s*)?HTTP/1\.1 (\d{3})", received)
    if found is None:
        return "closed without an answer"
    status, body = found[1].decode(), received[found.end() :].partition(b"\r\n\r\n")[2]
    if status >= "400" and body and b'"error"' not in body:
        return f"{status} without a sentence"
    return status


def fuzz(port: int, number: int, seed: int = 0) -> tuple[Counter[str], list[tuple[str, str, bytes]]]:
    """How often each answer came, and the failures: kind, answer, request."""
    rng, answers, failures = random.Random(seed), Counter[str](), []
    for index in range(number):
        kind = KINDS[index % len(KINDS)]
        sent, certain = kind(rng)
        found = answer_of(port, sent)
        answers[found] += 1
        fine = re.fullmatch("4..", found) is not None or (found == "200" and not certain)
        if not fine:
            failures.append((kind.__name__, found, sent[:300]))
    return answers, failures


def start(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A server of this folder under the name m, and its port."""
    command = [sys.executable, "-m", "intent_bert.cli", "serve", f"m={folder}", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline() if process.stdout else ""
    found = re.search(r":(\d+) ", line)
    if found is None:
        raise SystemExit(f"the server did not start: {line}")
    return process, int(found[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("--number", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    process, port = start(options.model_dir)
    answers, failures = fuzz(port, options.number, options.seed)
    alive = process.poll() is None and answer_of(port, http("/predict", b'{"text": "still there?"}')) == "200"
    process.send_signal(signal.SIGTERM)
    code = process.wait(30)
    print(f"{options.number} requests: " + ", ".join(f"{answer}: {times}" for answer, times in sorted(answers.items())))
    print(f"failures: {len(failures)}; alive afterwards: {alive}; ended with {code}")
    for kind, found, sent in failures[:20]:
        print(f"  {kind}: {found}: {sent[:120]!r}")
    return 0 if alive and not failures and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
