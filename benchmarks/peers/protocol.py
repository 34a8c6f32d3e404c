"""What the peers share: the request they get, the sentences they all see, the clocks, and the line they print.

A peer is a script that is run as ``python PEER.py '{"task": "speed", ...}'`` in its own environment, takes its
measurement and prints one JSON object as the last line of stdout. This module runs in every environment, so it uses
the standard library alone.
"""

import csv
import importlib.metadata
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMON_BATCH = 32  # steps are counted in batches of this size, whatever the peer's own
SLOW_STEPS = 2  # a measurement that runs out of time still times this many steps, after one that it doesn't
MIXED_SOURCES = ("snips", "clinc150", "banking77")

Accuracy = Callable[[], float]


@dataclass
class Request:
    """What the driver asks of a peer; the same fields for every task.

    ``task`` is ``speed`` (sentences a second over some steps), ``until`` (seconds until an accuracy is reached),
    ``whole`` (the peer's own recipe to its end), ``answer`` or ``peak``.
    """

    task: str
    variant: str = ""
    data: str = ""  # the folder with snips, clinc150 and banking77
    work: str = ""  # the folder that prepare.py has filled for this size
    longest: int = 0  # tokens of the longest SNIPS sentence
    seed: int = 0
    warmup: int = 5  # steps before the clock starts; in batches of COMMON_BATCH, as the next ones
    steps: int = 120
    every: int = 10
    max_seconds: float = 90.0  # of a speed measurement
    goal: float = 0.98
    cap_seconds: float = 1800.0  # of an until measurement
    singles: int = 300  # sentences answered one by one
    batch: int = 10_000  # sentences answered at once

    @classmethod
    def read(cls) -> "Request":
        if len(sys.argv) != 2:
            sys.exit(f"usage: {Path(sys.argv[0]).name} REQUEST, a JSON object with the fields of Request")
        return cls(**json.loads(sys.argv[1]))

    @property
    def folder(self) -> Path:
        return Path(self.work)


def report(result: dict[str, Any], *packages: str) -> None:
    """Print the result with the versions of the packages it was taken with."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    print("\n" + json.dumps({**result, "versions": versions}), flush=True)


# --- sentences -------------------------------------------------------------------------------------------------------


def read_table(file: Path) -> tuple[list[str], list[str]]:
    """The columns text and intent of a csv."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [row["text"] for row in rows], [row["intent"] for row in rows]


@dataclass
class Table:
    """Sentences with the number of their intent; ``classes`` in the order of the numbers."""

    texts: list[str]
    labels: list[int]
    classes: list[str]


def sample_rows(total: int, warmup: int, steps: int, seed: int) -> list[int]:
    """The rows of the training table that every speed measurement takes: warm-up and timed steps, shuffled."""
    return random.Random(seed).sample(range(total), min(total, (warmup + steps) * COMMON_BATCH))


def snips(request: Request) -> tuple[Table, Table]:
    """The sentences to train on (for ``speed`` the sample, else all, shuffled) and the test sentences."""
    folder = Path(request.data) / "snips"
    texts, intents = read_table(folder / "train.csv")
    classes = sorted(set(intents))
    rows = sample_rows(len(texts), request.warmup, request.steps, request.seed)
    if request.task != "speed":
        rows = random.Random(request.seed).sample(range(len(texts)), len(texts))
    numbers = {name: number for number, name in enumerate(classes)}
    train = Table([texts[row] for row in rows], [numbers[intents[row]] for row in rows], classes)
    texts, intents = read_table(folder / "test.csv")
    return train, Table(texts, [numbers[intent] for intent in intents], classes)


def mixed_sentences(data: Path, number: int, seed: int = 0) -> list[str]:
    """Sentences of three data sets in equal parts, shuffled: short commands, questions and small stories."""
    chosen: list[str] = []
    rng = random.Random(seed)
    for place, name in enumerate(MIXED_SOURCES):
        share = (number + place) // len(MIXED_SOURCES)
        texts = [text for split in ("train", "test") for text in read_table(data / name / f"{split}.csv")[0]]
        chosen += rng.sample(texts, share)
    rng.shuffle(chosen)
    return chosen


# --- the clocks of training -----------------------------------------------------------------------------------------
#
# A peer calls start() right before its first step, stop_after_step(accuracy) behind every step (true: stop now), and
# result(accuracy) at the end. ``accuracy`` evaluates snips/test; its time is left out.


class SpeedClock:
    """Sentences a second over a fixed number of steps, the ones before left out; fewer if time runs out."""

    def __init__(self, request: Request, batch: int) -> None:
        share = COMMON_BATCH / batch
        self.batch, self.limit = batch, request.max_seconds
        self.warmup, self.steps = round(request.warmup * share), round(request.steps * share)
        self.made, self.timed, self.seconds = 0, 0, 0.0

    def start(self) -> None:
        self.begun = self.first = time.perf_counter()
        self.warm = False

    def stop_after_step(self, accuracy: Accuracy) -> bool:
        now = time.perf_counter()
        self.made += 1
        if not self.warm:
            if self.made >= self.warmup or now - self.begun > self.limit / 2:
                self.warm, self.first = True, now
            return False
        self.timed, self.seconds = self.timed + 1, now - self.first
        return self.timed >= self.steps or (self.timed >= SLOW_STEPS and self.seconds > self.limit)

    def result(self, accuracy: Accuracy) -> dict[str, Any]:
        return {
            "sentences_per_second": self.timed * self.batch / self.seconds,
            "steps": self.timed,
            "batch": self.batch,
            "seconds": self.seconds,
            "warmup_seconds": self.first - self.begun,
        }


class UntilClock:
    """Seconds until the accuracy on snips/test reaches the goal, asked every few steps, or until the cap."""

    def __init__(self, request: Request, batch: int) -> None:
        self.batch, self.goal, self.cap = batch, request.goal, request.cap_seconds
        self.every = max(1, round(request.every * COMMON_BATCH / batch))
        self.made, self.excluded = 0, 0.0
        self.curve: list[tuple[float, int, float]] = []  # seconds, sentences, accuracy

    def start(self) -> None:
        self.begun = time.perf_counter()

    def stop_after_step(self, accuracy: Accuracy) -> bool:
        self.made += 1
        now = time.perf_counter()
        over = now - self.begun - self.excluded >= self.cap
        return (over or self.made % self.every == 0) and (self._ask(now, accuracy) or over)

    def _ask(self, now: float, accuracy: Accuracy) -> bool:
        seconds = now - self.begun - self.excluded
        self.curve.append((seconds, self.made * self.batch, accuracy()))
        self.excluded += time.perf_counter() - now
        return self.curve[-1][-1] >= self.goal

    def result(self, accuracy: Accuracy) -> dict[str, Any]:
        if not self.curve or self.curve[-1][1] != self.made * self.batch:  # the recipe has ended in between
            self._ask(time.perf_counter(), accuracy)
        seconds, sentences, last = self.curve[-1]
        reached = last >= self.goal
        result = {"seconds": seconds, "reached": reached, "sentences": sentences, "goal": self.goal}
        return {**result, "best": max(row[-1] for row in self.curve), "curve": self.curve}


class WholeClock:
    """Seconds of the peer's whole recipe and the accuracy that it ends with; the cap stops it earlier."""

    def __init__(self, request: Request, batch: int) -> None:
        self.batch, self.cap, self.made = batch, request.cap_seconds, 0

    def start(self) -> None:
        self.begun = time.perf_counter()

    def stop_after_step(self, accuracy: Accuracy) -> bool:
        self.made += 1
        self.seconds = time.perf_counter() - self.begun
        return self.seconds >= self.cap

    def result(self, accuracy: Accuracy) -> dict[str, Any]:
        capped = self.seconds >= self.cap
        made = {"sentences": self.made * self.batch, "finished": not capped}
        return {"seconds": self.seconds, "accuracy": accuracy(), **made}


Clock = SpeedClock | UntilClock | WholeClock


def clock_of(request: Request, batch: int) -> Clock:
    clocks = {"speed": SpeedClock, "until": UntilClock, "whole": WholeClock}
    return clocks[request.task](request, batch)


def stopping(keras: Any, clock: Clock, accuracy: Accuracy) -> Any:
    """A callback that ends a fit when the clock does; of ``keras`` or ``tf_keras``, whichever is given."""

    class Stopping(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if clock.stop_after_step(accuracy):
                self.model.stop_training = True

    return Stopping()


def share_right(answers: Sequence[Any], truth: Sequence[Any]) -> float:
    return sum(1 for answer, right in zip(answers, truth, strict=True) if answer == right) / len(truth)


# --- answering -------------------------------------------------------------------------------------------------------


def measure_answers(
    request: Request, one: Callable[[str], str], many: Callable[[list[str]], list[str]]
) -> dict[str, Any]:
    """Time single answers and one big batch, both from text to intent, in a process that is warm.

    ``accuracy`` is that of the single answers on snips/test: it says that the peer did the work.
    """
    texts, intents = read_table(Path(request.data) / "snips" / "test.csv")
    rows = random.Random(request.seed).sample(range(len(texts)), min(request.singles, len(texts)))
    for row in rows[:20]:
        one(texts[row])
    milliseconds, answers = [], []
    for row in rows:
        start = time.perf_counter()
        answers.append(one(texts[row]))
        milliseconds.append(1000 * (time.perf_counter() - start))
    mixed = mixed_sentences(Path(request.data), request.batch, request.seed)
    many(mixed[:256])
    start = time.perf_counter()
    batch_answers = many(mixed)
    seconds = time.perf_counter() - start
    if len(batch_answers) != len(mixed):
        raise ValueError(f"{len(batch_answers)} answers to {len(mixed)} sentences")
    return {
        "p50_ms": statistics.median(milliseconds),
        "p99_ms": statistics.quantiles(milliseconds, n=100)[98],
        "batch_sentences_per_second": len(mixed) / seconds,
        "batch_seconds": seconds,
        "accuracy": share_right(answers, [intents[row] for row in rows]),
    }


def best_batch_size(request: Request, many: Callable[[list[str], int], Any], sizes: Sequence[int]) -> int:
    """The batch size with which a part of the sentences, 1,000 at most, are answered soonest."""
    texts = mixed_sentences(Path(request.data), min(1000, request.batch // 5), request.seed + 1)
    many(texts[:128], sizes[0])
    seconds = {}
    for size in sizes:
        start = time.perf_counter()
        many(texts, size)
        seconds[size] = time.perf_counter() - start
    return min(seconds, key=lambda size: seconds[size])


# --- peak ------------------------------------------------------------------------------------------------------------


def best_gflops(multiply: Callable[[], Any], size: int, seconds: float = 1.0) -> float:
    """The best rate of a matrix product (size, size) x (size, size), called for about this long."""
    multiply()
    best, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        multiply()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
