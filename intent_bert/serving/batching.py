"""Micro-batches: texts of requests that arrive together share a forward pass, and repeated texts need none.

    requests -> cache -> waiting: short ones, long ones in parts -> one pass at a time, in a thread -> rows -> requests

While a pass runs, what arrives waits and shares the next one. A model that was idle waits a moment for company. Short
requests go first, and each pass takes a part of a long one too: neither stops the other. What a sentence gets does not
depend on its company (to 1e-5: engines pad batches).
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple, Protocol

import numpy as np

from intent_bert.model.decision import Predictions
from intent_bert.serving.problems import Busy

PART = 32  # texts of a long request in one pass


class Row(NamedTuple):
    """What one text means, as ``Predictions`` has it for many."""

    probabilities: np.ndarray  # float32 (C,)
    number: int
    score: float


class Predictor(Protocol):
    """What computes predictions for texts."""

    def predictions(self, texts: Sequence[str]) -> Predictions:
        """Those of N texts, in their order."""


class Cache:
    """The rows of the texts that were asked last."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows: OrderedDict[str, Row] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, text: str) -> Row | None:
        row = self._rows.get(text)
        if row is not None:
            self._rows.move_to_end(text)
        return row

    def put(self, text: str, row: Row) -> None:
        if self.size:
            self._rows[text] = row
            self._rows.move_to_end(text)
            if len(self._rows) > self.size:
                self._rows.popitem(last=False)


class _Part(NamedTuple):
    texts: list[str]
    rows: "asyncio.Future[list[Row]]"


class Batcher:
    """Asks a predictor for many requests at a time. To be used in one event loop.

    Args:
        predictor: what computes.
        pool: where a pass runs.
        cache_size: how many texts' rows are kept.
        wait: seconds that an idle model waits for company.
        size: sentences in a pass, at most.
        most_waiting: parts of requests that wait, at most.
        on_pass: told of each pass: how many sentences, how many seconds.
        on_hits: told how many texts of a request were in the cache.
    """

    def __init__(
        self,
        predictor: Predictor,
        pool: Executor,
        cache_size: int = 0,
        wait: float = 0.0,
        size: int = 128,
        most_waiting: int = 1000,
        on_pass: Callable[[int, float], None] = lambda sentences, seconds: None,
        on_hits: Callable[[int], None] = lambda texts: None,
    ) -> None:
        self.cache = Cache(cache_size)
        self._predictor, self._pool, self._on_pass, self._on_hits = predictor, pool, on_pass, on_hits
        self._wait, self._size, self._most_waiting = wait, size, most_waiting
        self._short: deque[_Part] = deque()
        self._long: deque[_Part] = deque()
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many requests, long ones in parts, wait for a pass."""
        return len(self._short) + len(self._long)

    async def ask(self, texts: Sequence[str]) -> list[Row]:
        """The rows of some texts, in order.

        Raises:
            Busy: too many requests wait already.
        """
        known = {text: self.cache.get(text) for text in texts}
        missing = [text for text, row in known.items() if row is None]
        self._on_hits(len(known) - len(missing))
        if missing:
            for text, row in zip(missing, await self._compute(missing), strict=True):
                known[text] = row
        return [known[text] for text in texts]  # type: ignore[misc]

    async def _compute(self, texts: list[str]) -> list[Row]:
        if self.waiting >= self._most_waiting:
            raise Busy(f"{self.waiting:,} requests wait already: try again in a moment")
        loop = asyncio.get_running_loop()
        parts = [_Part(texts[start : start + PART], loop.create_future()) for start in range(0, len(texts), PART)]
        (self._short if len(parts) == 1 else self._long).extend(parts)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        try:
            return [row for part in parts for row in await part.rows]
        finally:  # a request that was given up, or that failed, waits no more
            for part in parts:
                part.rows.cancel()

    async def _work(self) -> None:
        """Passes until nothing waits."""
        try:
            if self._wait:
                await asyncio.sleep(self._wait)
            while parts := self._take():
                await self._pass(parts)
        finally:
            self._worker = None

    def _take(self) -> list[_Part]:
        """The parts of the next pass: one of a long request, then short ones, then more of the long ones."""
        parts: list[_Part] = []
        number = 0
        for queue, most in ((self._long, 1), (self._short, self._size), (self._long, self._size)):
            taken = 0
            while queue and taken < most and (not parts or number + len(queue[0].texts) <= self._size):
                part = queue.popleft()
                if not part.rows.done():
                    parts.append(part)
                    number += len(part.texts)
                    taken += 1
        return parts

    async def _pass(self, parts: list[_Part]) -> None:
        texts = list(dict.fromkeys(text for part in parts for text in part.texts))
        try:
            rows = dict(zip(texts, await self._predicted(texts), strict=True))
        except Exception as error:
            if len(parts) == 1:
                if not parts[0].rows.done():
                    parts[0].rows.set_exception(error)
                return
            for part in parts:  # one of them broke it: each for itself
                await self._pass([part])
            return
        for text, row in rows.items():
            self.cache.put(text, row)
        for part in parts:
            if not part.rows.done():
                part.rows.set_result([rows[text] for text in part.texts])

    async def _predicted(self, texts: list[str]) -> list[Row]:
        start = time.perf_counter()
        found = await asyncio.get_running_loop().run_in_executor(self._pool, self._predictor.predictions, texts)
        self._on_pass(len(texts), time.perf_counter() - start)
        several = len(texts) > 1  # a row that is kept must not keep the whole batch
        probabilities = [row.copy() for row in found.probabilities] if several else list(found.probabilities)
        return [Row(*each) for each in zip(probabilities, found.numbers.tolist(), found.scores.tolist(), strict=True)]


def as_predictions(rows: Sequence[Row], number_of_classes: int) -> Predictions:
    """Rows as the predictions of their texts."""
    probabilities = np.empty((len(rows), number_of_classes), "float32")
    for index, row in enumerate(rows):
        probabilities[index] = row.probabilities
    numbers, scores = [row.number for row in rows], [row.score for row in rows]
    return Predictions(probabilities, np.array(numbers, "int64"), np.array(scores, "float32"))
