"""Micro-batches: who shares a pass, what the cache spares, and that company changes nothing."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conftest import TINY_WORDS

from intent_bert.model.decision import Predictions
from intent_bert.serving.batching import PART, Batcher, Cache, Row, as_predictions
from intent_bert.serving.problems import Busy


class Lengths:
    """A predictor whose score is a text's length; it notes its passes, and waits for ``gate`` in each."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def predictions(self, texts: Sequence[str]) -> Predictions:
        self.passes.append(list(texts))
        assert self.gate.wait(5)
        if "bad" in texts:
            raise ValueError("a text that breaks the predictor")
        scores = np.array([len(text) for text in texts], "float32")
        return Predictions(np.ones((len(texts), 2), "float32") / 2, np.zeros(len(texts), "int64"), scores)


def run(use: Callable[[Batcher], Awaitable[Any]], predictor: Any, **settings: Any) -> Any:
    async def main() -> Any:
        with ThreadPoolExecutor(2) as pool:
            return await use(Batcher(predictor, pool, **settings))

    return asyncio.run(main())


def scores(rows: Sequence[Row]) -> list[float]:
    return [row.score for row in rows]


def test_requests_that_come_together_share_a_pass():
    async def use(batcher: Batcher) -> Any:
        return await asyncio.gather(*(batcher.ask(["a" * number]) for number in range(1, 9)))

    lengths = Lengths()
    assert [scores(rows) for rows in run(use, lengths, wait=0.001)] == [[number] for number in range(1, 9)]
    assert [len(texts) for texts in lengths.passes] == [8]


def test_requests_that_come_within_the_wait_share_a_pass():
    async def use(batcher: Batcher) -> Any:
        first = asyncio.create_task(batcher.ask(["a"]))
        await asyncio.sleep(0.02)
        return await batcher.ask(["bb"]), await first

    lengths = Lengths()
    run(use, lengths, wait=0.5)
    assert lengths.passes == [["a", "bb"]]


def test_what_comes_during_a_pass_shares_the_next():
    lengths = Lengths()
    lengths.gate.clear()

    async def use(batcher: Batcher) -> Any:
        tasks = [asyncio.create_task(batcher.ask(["first"]))]
        while not lengths.passes:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(batcher.ask([text])) for text in ("x", "yy", "zzz")]
        await asyncio.sleep(0)
        assert batcher.waiting == 3
        lengths.gate.set()
        return await asyncio.gather(*tasks)

    run(use, lengths)
    assert lengths.passes == [["first"], ["x", "yy", "zzz"]]


def test_a_long_request_goes_in_parts_and_lets_short_ones_between():
    lengths = Lengths()
    long = [f"{number:04}" for number in range(5 * PART)]

    async def use(batcher: Batcher) -> Any:
        return await asyncio.gather(batcher.ask(long), batcher.ask(["short"]))

    answers = run(use, lengths, size=2 * PART)
    assert scores(answers[0]) == [4.0] * len(long)
    assert scores(answers[1]) == [5.0]
    assert "short" in lengths.passes[0]
    assert max(map(len, lengths.passes)) <= 2 * PART
    assert sorted(text for texts in lengths.passes for text in texts) == sorted([*long, "short"])


def test_repeated_texts_are_computed_once():
    async def use(batcher: Batcher) -> Any:
        first = await asyncio.gather(batcher.ask(["a", "a", "bb"]), batcher.ask(["a"]))
        return [*first, await batcher.ask(["bb", "a", "ccc"])]

    hits: list[int] = []
    lengths = Lengths()
    answers = run(use, lengths, cache_size=10, wait=0.001, on_hits=hits.append)
    assert [scores(rows) for rows in answers] == [[1, 1, 2], [1], [2, 1, 3]]
    assert lengths.passes == [["a", "bb"], ["ccc"]]
    assert hits == [0, 0, 2]


def test_without_a_cache_each_request_is_computed():
    async def use(batcher: Batcher) -> Any:
        await batcher.ask(["a"])
        await batcher.ask(["a"])
        return len(batcher.cache)

    lengths = Lengths()
    assert run(use, lengths, cache_size=0) == 0
    assert lengths.passes == [["a"], ["a"]]


def test_the_cache_forgets_what_was_asked_longest_ago():
    cache = Cache(2)
    row = Row(np.zeros(2, "float32"), 0, 0.0)
    for text in ("a", "b"):
        cache.put(text, row)
    assert cache.get("a") is row
    cache.put("c", row)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (row, None, row, 2)


def test_a_kept_row_does_not_keep_its_batch():
    async def use(batcher: Batcher) -> Any:
        return await batcher.ask(["a", "b"])

    assert all(row.probabilities.base is None for row in run(use, Lengths()))


def test_a_text_that_breaks_the_predictor_fails_its_own_request_alone():
    async def use(batcher: Batcher) -> Any:
        asked = [batcher.ask([text]) for text in ("a", "bad", "ccc")]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, bad, last = run(use, Lengths(), wait=0.001)
    assert (scores(first), scores(last)) == ([1.0], [3.0])
    assert isinstance(bad, ValueError)


def test_too_many_that_wait_are_refused_and_the_others_answered():
    lengths = Lengths()
    lengths.gate.clear()

    async def use(batcher: Batcher) -> Any:
        first = asyncio.create_task(batcher.ask(["first"]))
        while not lengths.passes:
            await asyncio.sleep(0.001)
        waiting = [asyncio.create_task(batcher.ask([f"{number}"])) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="3 requests wait already") as refusal:
            await batcher.ask(["one more"])
        assert refusal.value.headers["Retry-After"] == "1"
        lengths.gate.set()
        return [len(rows) for rows in await asyncio.gather(first, *waiting)]

    assert run(use, lengths, most_waiting=3) == [1, 1, 1, 1]


def test_a_request_that_was_given_up_is_not_computed():
    lengths = Lengths()
    lengths.gate.clear()

    async def use(batcher: Batcher) -> Any:
        first = asyncio.create_task(batcher.ask(["first"]))
        while not lengths.passes:
            await asyncio.sleep(0.001)
        gone, stays = asyncio.create_task(batcher.ask(["gone"])), asyncio.create_task(batcher.ask(["stays"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        lengths.gate.set()
        return await asyncio.gather(first, stays)

    run(use, lengths)
    assert lengths.passes == [["first"], ["stays"]]


def test_answers_are_the_predictors_whatever_the_company(predictor):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(TINY_WORDS, rng.integers(0, 12))) for _ in range(300)]
    alone = [predictor.predictions([text]) for text in texts]

    async def use(batcher: Batcher) -> Any:
        cuts = sorted(rng.integers(0, len(texts), 80).tolist())
        groups = [texts[start:end] for start, end in zip([0, *cuts], [*cuts, len(texts)], strict=True)]
        answers = await asyncio.gather(*(batcher.ask(group) for group in groups if group))
        return [row for rows in answers for row in rows]

    found = as_predictions(run(use, predictor, cache_size=50, wait=0.001, size=40), 3)
    expected = [np.concatenate(part) for part in zip(*alone, strict=True)]
    assert np.abs(found.probabilities - expected[0]).max() < 1e-5
    assert (found.numbers == expected[1]).all()
    assert np.abs(found.scores - expected[2]).max() < 1e-4
