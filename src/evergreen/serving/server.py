"""One process that serves: its socket, its loop, and an end in which whoever is being answered still is."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn

from evergreen.errors import UserError
from evergreen.serving.app import Application
from evergreen.serving.door import MOST_CONNECTIONS, Door

# Clients keep connections for about a minute; a server that closes first drops the request that is on its way.
KEEP_ALIVE_SECONDS = 75


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
        http=partial(Door, shortcut=app.shortcut),  # type: ignore[arg-type]
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
