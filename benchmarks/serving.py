"""How a server holds: many clients at once, beside Hugging Face's pipeline, when it is killed, and over ten minutes.

    .venv/bin/python benchmarks/serving.py runs/sample                                  # load and kill: a few minutes
    .venv/bin/python benchmarks/serving.py runs/sample --only peer --peer-python PYTHON # one with torch, transformers,
                                                                                        # starlette and uvicorn
    .venv/bin/python benchmarks/serving.py runs/sample --only soak                      # ten minutes

Everything stays on 127.0.0.1, and is bounded in count and time. The clients are one process of asyncio beside the
server's on the same cores; each sends its next request when it has its answer. Each answer is compared with what
``IntentPredictor`` gives for that sentence alone (the same intent, the confidence to 1e-5). Sentences are those of the
embedded sample, and the server's cache is off unless a part says otherwise. What was found goes to
benchmarks/results/serving.json, part by part.

    load    200 clients, 50,000 requests: lost, wrong, requests a second, p50 and p99; then again with the cache
    peer    the same clients on Hugging Face's pipeline behind Starlette: one by one, and in batches
    kill    SIGTERM while 200 clients ask: how many requests that were sent got no answer
    soak    twenty clients of all protocols, some of them malformed, for ten minutes: memory
"""

import argparse
import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "serving.json"
SAMPLE = HERE.parent / "intent_bert" / "data" / "shipped" / "sample"
NEARLY = 1e-5 + 1e-6  # a confidence is written with six digits


def sentences() -> list[str]:
    """All different ones of the sample."""
    import csv

    texts: list[str] = []
    for name in ("train", "validation", "test"):
        with (SAMPLE / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            texts += [row["text"] for row in csv.DictReader(stream)]
    return list(dict.fromkeys(texts))


# --- clients -----------------------------------------------------------------------------------------------------


class Client(asyncio.Protocol):
    """A connection that stays open and asks one request at a time."""

    def __init__(self) -> None:
        self.received = b""
        self.answered: asyncio.Future[tuple[int, bytes]] | None = None
        self.closed = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """The status and body of an answer; ConnectionError where the connection ended without one."""
        if self.closed:
            raise ConnectionResetError("closed before the request was sent")
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answered

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        if len(body) >= size and self.answered is not None and not self.answered.done():
            self.received = body[size:]
            if b"connection: close" in head.lower():
                self.closed = True
            self.answered.set_result((int(head[9:12]), body[:size]))

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(ConnectionResetError("no answer"))


async def connected(port: int) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    return client


def post(path: str, value: Any) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def load(
    port: int, texts: Sequence[str], clients: int, number: int, right: Callable[[str, bytes], bool]
) -> dict[str, Any]:
    """So many requests from so many clients at once."""
    requests = [post("/predict", {"text": text}) for text in texts]
    times: list[float] = []
    statuses: Counter[int] = Counter()
    counts = {"lost": 0, "wrong": 0}
    turn = iter(range(number))

    async def one() -> None:
        client = await connected(port)
        for index in turn:
            start = time.perf_counter()
            try:
                if client.closed:
                    client = await connected(port)
                status, body = await client.ask(requests[index % len(texts)])
            except OSError:
                counts["lost"] += 1
                client = await connected(port)
                continue
            times.append(time.perf_counter() - start)
            statuses[status] += 1
            if status != 200 or not right(texts[index % len(texts)], body):
                counts["wrong"] += 1
        client.transport.close()

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    seconds = time.perf_counter() - start
    times.sort()
    return {
        "clients": clients,
        "requests": number,
        "answered": len(times),
        **counts,
        "statuses": dict(statuses),
        "requests_per_second": round(len(times) / seconds, 1),
        "p50_ms": round(1000 * times[len(times) // 2], 1),
        "p99_ms": round(1000 * times[int(len(times) * 0.99)], 1),
    }


# --- servers -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Our server, and its port."""
    command = [sys.executable, "-m", "intent_bert.cli", "serve", f"m={folder}", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+) ", process.stdout.readline())
        if found is None:
            raise SystemExit("the server did not start")
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def peer(python: str, folder: Path, *options: str) -> Iterator[int]:
    """Hugging Face's pipeline behind Starlette, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([python, str(HERE / "peers" / "serve_pipeline.py"), str(folder), str(port), *options])
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.2)
        yield port
    finally:
        process.kill()
        process.wait()


# --- parts -------------------------------------------------------------------------------------------------------


def judge(folder: Path, texts: Sequence[str]) -> Callable[[str, bytes], bool]:
    """Whether an answer is the predictor's own."""
    from intent_bert import IntentPredictor

    predictor = IntentPredictor.load(folder)
    expected = {text: predictor.predict_one(text) for text in texts}

    def right(text: str, body: bytes) -> bool:
        given, (intent, confidence) = json.loads(body), expected[text]
        return given["text"] == text and given["intent"] == intent and abs(given["confidence"] - confidence) <= NEARLY

    return right


def part_load(options: argparse.Namespace) -> dict[str, Any]:
    texts = sentences()
    right = judge(options.model_dir, texts)
    found = {}
    for name, arguments in (("without_cache", ["--cache-size", "0"]), ("with_cache", [])):
        with server(options.model_dir, *arguments, *options.server_options) as (_, port):
            asyncio.run(load(port, texts, 20, 500, right))  # warm
            found[name] = asyncio.run(load(port, texts, options.clients, options.requests, right))
    return found


def part_peer(options: argparse.Namespace) -> dict[str, Any]:
    """Ours and theirs in turn, so that both meet the same machine."""
    texts = sentences()
    right = judge(options.model_dir, texts)
    found: dict[str, Any] = {}
    number = min(options.requests, 4000)
    for name, batch in (("one_by_one", 1), ("batches_of_64", 64)):
        with peer(options.peer_python, options.model_dir, "--batch", str(batch)) as port:
            asyncio.run(load(port, texts, 20, 200, lambda text, body: True))
            found[name] = asyncio.run(load(port, texts, options.clients, number, lambda text, body: True))
        with server(options.model_dir, "--cache-size", "0", *options.server_options) as (_, port):
            asyncio.run(load(port, texts, 20, 500, right))
            found[f"ours_after_{name}"] = asyncio.run(load(port, texts, options.clients, 2 * number, right))
        ratio = found[f"ours_after_{name}"]["requests_per_second"] / found[name]["requests_per_second"]
        found[f"times_{name}"] = round(ratio, 2)
    return found


def part_kill(options: argparse.Namespace) -> dict[str, Any]:
    texts = sentences()

    async def main(process: subprocess.Popen[str], port: int) -> dict[str, Any]:
        counts = Counter[str]()

        async def one(number: int) -> None:
            client = None
            while True:
                try:
                    if client is None or client.closed:
                        client = await connected(port)
                except OSError:
                    return  # it listens no more
                request = post("/predict", {"text": texts[(number * 97 + counts["sent"]) % len(texts)]})
                counts["sent"] += 1
                try:
                    status, _ = await client.ask(request)
                    counts[f"status {status}"] += 1
                except OSError:
                    counts["lost"] += 1

        clients = [asyncio.create_task(one(number)) for number in range(options.clients)]
        await asyncio.sleep(3)
        before = counts["sent"]
        process.send_signal(signal.SIGTERM)
        start = time.perf_counter()
        await asyncio.wait(clients, timeout=60)
        code = await asyncio.to_thread(process.wait, 60)
        seconds = round(time.perf_counter() - start, 2)
        return {
            **counts,
            "lost": counts["lost"],
            "sent_before_the_signal": before,
            "exit_code": code,
            "seconds_to_end": seconds,
        }

    rounds = []
    for _ in range(options.rounds):
        with server(options.model_dir, "--cache-size", "0", *options.server_options) as (process, port):
            rounds.append(asyncio.run(main(process, port)))
    return {"clients": options.clients, "rounds": rounds, "lost": sum(each["lost"] for each in rounds)}


def part_soak(options: argparse.Namespace) -> dict[str, Any]:
    texts = sentences()
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1]}

    def requests() -> Iterator[bytes]:
        number = 0
        while True:
            text = f"{texts[number % len(texts)]} {number // len(texts) or ''}"
            yield post("/predict", {"text": text, "top_k": 3})
            yield post("/predict", {"texts": [text, "again", f"{text} please"]})
            yield post("/v2/models/m/infer", {"inputs": [{**tensor, "data": [text]}]})
            yield post("/v1/models/m:predict", {"instances": [text]})
            yield post("/model/parse", {"text": text})
            yield post("/predict", b'{"text": ')
            yield post("/predict", {"txt": text})
            number += 1

    async def main(process: subprocess.Popen[str], port: int) -> dict[str, Any]:
        counts, memory, coming = Counter[str](), [], requests()
        end = time.monotonic() + options.minutes * 60

        async def one() -> None:
            client = await connected(port)
            asked = 0
            while time.monotonic() < end:
                if client.closed or asked % 50 == 49:  # connections come and go
                    client.transport.close()
                    client = await connected(port)
                asked += 1
                try:
                    status, _ = await client.ask(next(coming))
                    counts[f"status {status}"] += 1
                except OSError:
                    counts["lost"] += 1
                await asyncio.sleep(options.pause)
            client.transport.close()

        clients = [asyncio.create_task(one()) for _ in range(20)]
        while not all(client.done() for client in clients):
            await asyncio.sleep(5)
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            memory.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        third = len(memory) // 3
        parts = [memory[:third], memory[third : 2 * third], memory[2 * third :]]
        return {
            "minutes": options.minutes,
            **counts,
            "lost": counts["lost"],
            "memory_mb_of_each_third": [round(sum(part) / max(len(part), 1), 1) for part in parts],
            "memory_mb_first_and_last": [round(memory[0], 1), round(memory[-1], 1)],
        }

    with server(options.model_dir, *options.server_options) as (process, port):
        return asyncio.run(main(process, port))


PARTS = {"load": part_load, "peer": part_peer, "kill": part_kill, "soak": part_soak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("--only", default="load,kill", help="parts, separated by commas")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3, help="of kill")
    parser.add_argument("--minutes", type=float, default=10, help="of soak")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two requests of a client of soak")
    parser.add_argument(
        "--peer-python", default=sys.executable, help="a Python with torch, transformers, starlette, uvicorn"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("server_options", nargs="*", help="behind --: options of intent-bert serve")
    options = parser.parse_args()
    for name in options.only.split(","):
        part = PARTS[name](options)
        found = json.loads(options.results.read_text()) if options.results.exists() else {}
        options.results.write_text(json.dumps({**found, name: part}, indent=1) + "\n")
        print(json.dumps({name: part}, indent=1))


if __name__ == "__main__":
    main()
