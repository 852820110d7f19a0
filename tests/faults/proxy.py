"""A proxy in front of a tracking server that fails as servers do: refuses, answers 500, is slow, or dies after the work
and before the answer.
"""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 5
"""How long the clients of these tests wait for an answer."""

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_SECONDS = {"slow": 1, "asleep": PATIENCE_SECONDS + 1}


@dataclass
class Fault:
    """What happens to the `nth` request whose method and path hold `part`, and, if `stays`, to every one after it.

    `mode` is `500`, `down` (nobody is there), `lost` (the server does its work, the answer never comes), `slow` to
    say that it did, or `asleep` for longer than a client waits.
    """

    part: str
    mode: str
    nth: int = 1
    stays: bool = False
    seen: int = 0
    struck: int = 0
    lock: Any = field(default_factory=threading.Lock, repr=False)

    def strikes(self, request: str) -> bool:
        with self.lock:
            if self.struck and self.stays:
                # Whatever is asked from now on meets a server that is gone.
                self.struck += 1
                return True
            if self.part not in request:
                return False
            self.seen += 1
            hit = self.seen == self.nth
            self.struck += hit
            return hit


@dataclass
class Proxy:
    """Where the proxy listens, and what it does wrong at the moment."""

    url: str
    fault: Fault | None = None


@contextmanager
def standing_before(upstream: str) -> Iterator[Proxy]:
    """A proxy on loopback before the server at an address, until the block ends."""
    proxy = Proxy("")

    class Handler(_Handler):
        server_address, own = urlsplit(upstream).netloc, proxy

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_address: str
    own: Proxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.own.fault
        struck = fault is not None and fault.strikes(f"{self.command} {self.path}")
        if struck and fault.mode == "500":
            self._answer(
                500, {"Content-Type": "application/json"}, b'{"error_code": "INTERNAL_ERROR", "message": "planted"}'
            )
            return
        already_gone = struck and fault.mode == "lost" and fault.struck > 1 and fault.stays
        if not already_gone and not (struck and fault.mode == "down"):
            status, headers, content = self._ask(body)
        if struck and fault.mode in ("lost", "down"):
            self.close_connection = True
            return
        if struck:
            time.sleep(_SECONDS[fault.mode])
        # Who waited too long has left.
        with suppress(ConnectionError):
            self._answer(status, headers, content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass_on  # noqa: N815 - what http.server calls

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server_address, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
