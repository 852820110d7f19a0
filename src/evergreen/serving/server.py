"""One process that serves: its socket, its loop, and an end in which whoever is being answered still is."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from evergreen.errors import UserError
from evergreen.serving.app import Application

# Clients keep connections for about a minute; a server that closes first drops the request that is on its way.
KEEP_ALIVE_SECONDS = 75
# Of a request line and its headers; what a proxy lets through is less.
MOST_HEAD_BYTES = 65_536
HEAD_SECONDS = 10.0
# Each is a file that is open. Of them, a tenth is for saying 503 to.
MOST_CONNECTIONS = 1_000


def open_socket(host: str, port: int) -> socket.socket:
    """A bound socket, of any free port for 0. Raises UserError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise UserError(f"{host}:{port} cannot be served on ({error.strerror}); choose another --port") from None
    return opened


def run_server(app: Application, listening: socket.socket, grace_seconds: float) -> None:
    """Answer until SIGTERM or Ctrl-C, then let whoever is being answered finish, for so long at most."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Door,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS - MOST_CONNECTIONS // 10,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(grace_seconds),
    )
    _Server(config).run([listening])


class Door(HttpToolsProtocol):
    """Lets nobody in who takes for ever, or any number of bytes, to say what is asked.

    What is counted are bytes since the last that led anywhere: to the end of a head, a part of a body, the end of a
    message. So the headers that may follow a body have the same bound.
    """

    _idle_bytes = 0
    _in_head = True
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody came, who has yet to say anything."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > MOST_CONNECTIONS:
            # Who sends nothing is never told that there are too many.
            transport.abort()  # type: ignore[attr-defined]
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody left."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes, of a head or of a body; at most 256 KB, as the loop reads."""
        if self._in_head and self._patience is None:
            self._wait()
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            if self._in_head:
                self.send_400_response("The headers are too long.")
            else:
                self.transport.abort()

    def on_headers_complete(self) -> None:
        """A head is over, and a body begins, if only an empty one."""
        self._in_head, self._idle_bytes = False, 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A body is over; another head may come, and until it begins only the keep-alive is waited for."""
        self._in_head, self._idle_bytes = True, 0
        super().on_message_complete()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Server(uvicorn.Server):
    """Ends in order when it is told to: what it was told is not said again to a process that has yet to clean up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first request to, and at once at a second Ctrl-C."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
