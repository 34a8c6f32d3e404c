"""Connections: those of clients that dawdle are ended, and those that are open when the server ends get their answer.

uvicorn gives a request's head and its response no clock. Each connection here keeps when its current request began; a
sweep every second ends those that began too long ago. A server that ends keeps idle connections open for a moment, so
that a request that is on its way is answered.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from intent_bert.serving.problems import error_body
from intent_bert.serving.settings import ServerSettings

DRAIN = 1.0  # seconds that an idle connection stays open when the server ends


def protocol_of(settings: ServerSettings) -> type[H11Protocol]:
    """uvicorn's protocol with the clocks of these settings."""

    class Connection(_Connection):
        pass

    Connection.settings = settings
    return Connection


class _Connection(H11Protocol):
    settings: ServerSettings
    began: float | None = None  # when the request that is not answered yet began to arrive
    heard = False  # whether a byte of it has come

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.began = time.monotonic()
        number = len(self.connections)
        if number > self.settings.max_connections:
            self.app_state = {**self.app_state, "surplus": True}
        if number > 2 * self.settings.max_connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.began is None:
            self.began = time.monotonic()
        self.heard = True
        super().data_received(data)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client has ended its side: it still gets the answer to a whole request. True keeps our side open."""
        if self.answering and not self.cycle.more_body:
            self.cycle.keep_alive = False
            return True
        if self.heard:
            self.refuse(400, "the request was cut off")
        return None

    def on_response_complete(self) -> None:
        self.began, self.heard = None, False
        super().on_response_complete()
        if self.answering:  # a request that stood behind this one
            self.began = time.monotonic()

    @property
    def answering(self) -> bool:
        """Whether a request has been taken and its answer is not whole."""
        return self.cycle is not None and not self.cycle.response_complete

    def sweep(self, now: float) -> None:
        """End this connection where its client dawdles."""
        if self.began is None:
            return
        age = now - self.began
        if age > self.settings.read_timeout and not self.answering:
            self.refuse(408, f"no whole request has come within {self.settings.read_timeout:g} seconds")
            self.transport.close()
        elif age > 3 * self.settings.read_timeout + self.settings.timeout:  # it does not read its answer
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, "the request is no HTTP that this server understands")
        self.transport.close()

    def refuse(self, status: int, sentence: str) -> None:
        """Answer in the application's place, unless it has begun to."""
        if self.transport.is_closing() or (self.answering and self.cycle.response_started):
            return
        if self.answering:  # it waits for the rest of the request
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = error_body(sentence)
        reason = {400: "Bad Request", 408: "Request Timeout"}[status]
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(f"{head}connection: close\r\n\r\n".encode() + body)

    def shutdown(self) -> None:
        """The server ends: a request that was taken is answered, and one that comes at once, too."""
        if self.answering:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(DRAIN, self._close_idle)

    def _close_idle(self) -> None:
        if self.transport.is_closing():
            return
        if self.answering:
            self.cycle.keep_alive = False
        else:
            self.transport.close()


async def sweep(connections: set[Any]) -> None:
    """Look at all connections again and again; to be cancelled."""
    while True:
        await asyncio.sleep(1)
        now = time.monotonic()
        for connection in list(connections):
            connection.sweep(now)
