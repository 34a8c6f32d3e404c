"""Around every request: who asks, how long it may take, what is counted and logged, and an answer in any case."""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intent_bert.serving.access import Access
from intent_bert.serving.metrics import Metrics
from intent_bert.serving.problems import Busy, Problem, error_body
from intent_bert.serving.settings import ServerSettings

logger = logging.getLogger("intent_bert")

GONE = 499  # in log and metrics: the client went away before its answer
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
]


@dataclass
class Facts:
    """What is known of a request, for metrics and log; the routes fill it in."""

    route: str = "unknown"
    model: str | None = None
    texts: list[str] = field(default_factory=list)
    status: int = 0


@dataclass
class State:
    """What the server is up to.

    Attributes:
        draining: it ends: it finishes what it took and is no longer ready.
    """

    draining: bool = False


class Guard:
    """An ASGI application around another. All that goes wrong in there becomes a JSON object with one sentence."""

    def __init__(self, app: ASGIApp, access: Access, settings: ServerSettings, metrics: Metrics, state: State) -> None:
        self._app, self._access, self._settings = app, access, settings
        self._metrics, self._state = metrics, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        facts = scope["facts"] = Facts()
        self._metrics.start_request()
        answer = _Answer(send, facts, self._state)
        try:
            await self._answered(scope, receive, answer)
        except Problem as problem:
            self._metrics.count_refusal(problem.reason)
            await answer.refuse(problem)
        except HTTPException as error:  # starlette's own: a method that a path does not have
            allowed = dict(error.headers or {}).get("Allow", "another")
            await answer.refuse(
                Problem(
                    f"this path takes no {scope['method'][:20]}: expected {allowed}", 405, error.headers, "method", True
                )
            )
        except ClientDisconnect:
            facts.status = GONE
        except asyncio.CancelledError:  # the server ends, and its grace is over
            await answer.refuse(Busy("the server ends: ask another", "ending", close=True))
        except Exception:
            logger.exception("a request failed: a fault of ours", extra={"facts": {"route": facts.route}})
            await answer.refuse(Problem("the server failed: a fault of ours, told in its log", 500, close=True))
        finally:
            seconds = time.perf_counter() - start
            self._metrics.count_request(facts.route, facts.status, seconds)
            self._log(scope, facts, seconds)

    async def _answered(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if scope.get("state", {}).get("surplus"):
            raise Busy("too many connections are open: try again in a moment", "connections", close=True)
        if scope["http_version"] not in ("1.0", "1.1"):
            raise Problem("this server speaks HTTP/1.1", reason="version", close=True)
        self._access.check(scope["path"], scope["headers"])
        try:
            async with asyncio.timeout(self._settings.timeout + self._settings.read_timeout):
                await self._app(scope, receive, answer)
        except TimeoutError:
            raise Busy(f"no answer within {self._settings.timeout:g} seconds: try again later", "timeout") from None

    def _log(self, scope: Scope, facts: Facts, seconds: float) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        said: dict[str, Any] = {
            "route": facts.route,
            "method": scope["method"][:10],
            "status": facts.status,
            "ms": round(seconds * 1000, 2),
        }
        if facts.model is not None:
            said |= {"model": facts.model, "texts": len(facts.texts)}
            if self._settings.log_texts:
                said["said"] = facts.texts
        logger.info("request", extra={"facts": said})


class _Answer:
    """Where a response goes; it knows whether one has begun."""

    def __init__(self, send: Send, facts: Facts, state: State) -> None:
        self._send, self._facts, self._state = send, facts, state

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._facts.status = message["status"]
            message["headers"] = [*message["headers"], *_HEADERS]
            if self._state.draining:
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Send a refusal, unless a response has begun."""
        if self._facts.status:
            return
        body = error_body(problem.sentence)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        if problem.close and not self._state.draining:
            headers.append((b"connection", b"close"))
        await self({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})
