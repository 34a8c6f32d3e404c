"""The server as a process: its socket, its signals, its beginning and its end.

The socket is bound before a model is read, so that a port in use is told at once. SIGTERM and Ctrl-C end it: it stops
listening, says that it is not ready, answers what it took, and exits with 0.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator

import uvicorn

from intent_bert.errors import SettingsError, reason
from intent_bert.serving.access import Access
from intent_bert.serving.app import create_app
from intent_bert.serving.connections import protocol_of, sweep
from intent_bert.serving.guard import State
from intent_bert.serving.models import Models
from intent_bert.serving.reloading import watch

logger = logging.getLogger("intent_bert")

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens to nothing yet.

    Raises:
        SettingsError: the port is taken, or may not be, or the host is none of this machine's.
    """
    if not 0 <= port <= 65535:
        raise SettingsError(f"--port must be 0 to 65535, not {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"--host {host} is no address of this machine: {reason(error)}") from None
    listening = socket.socket(family, kind, protocol)
    if os.name == "posix":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError(f"can't listen on {host} port {port} ({reason(error)}): name another with --port") from None
    return listening


def address_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(models: Models, access: Access, listening: socket.socket) -> None:
    """Answer until a signal ends it."""
    settings, state = models.settings, State()
    config = uvicorn.Config(
        create_app(models, access, state),
        http=protocol_of(settings),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]
        timeout_graceful_shutdown=settings.grace,  # type: ignore[arg-type]
    )
    try:
        asyncio.run(_serve(_Server(config, state), models, listening))
    finally:
        models.close()


async def _serve(server: "_Server", models: Models, listening: socket.socket) -> None:
    models.metrics.watch_connections(server.server_state.connections)
    side = [asyncio.create_task(sweep(server.server_state.connections))]
    if models.settings.reload_every:
        side.append(asyncio.create_task(watch(models, models.settings.reload_every)))
    logger.info("started", extra={"facts": {"url": address_of(listening), "models": [each.name for each in models]}})
    await server.serve(sockets=[listening])
    for task in side:
        task.cancel()
    logger.info("stopped", extra={"facts": {"requests": server.server_state.total_requests}})


class _Server(uvicorn.Server):
    """uvicorn's server, which ends with 0 and says at once that it ends."""

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: object) -> None:
        self._state.draining = True
        super().handle_exit(sig, frame)  # type: ignore[arg-type]
