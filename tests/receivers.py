"""Receivers that really listen: a web server and a mail server on loopback, which keep what they are sent."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """A web server that answers `status` with `body`, after `delay` seconds."""

    port: int = 0
    status: int = 200
    body: bytes = b""
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    taken: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def url(self, path: str = "/services/T0K3N/s3cret-p4th?sig=abc") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def web_receiver() -> Iterator[Receiver]:
    known = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known.taken.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            time.sleep(known.delay)
            self.send_response(known.status)
            for name, value in known.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(known.body)))
            self.end_headers()
            # Who has waited too long is gone.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(known.body)

        def log_message(self, *_: Any) -> None:
            return

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        known.port = port
        yield known


@dataclass
class Mailbox:
    """An SMTP server as far as a client needs one; `refuses` are the recipients that it knows not."""

    port: int = 0
    refuses: tuple[str, ...] = ()
    mails: list[tuple[list[str], str]] = field(default_factory=list)


@contextmanager
def mail_receiver() -> Iterator[Mailbox]:
    known = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            def say(line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            recipients: list[str] = []
            say("220 mailbox")
            while line := self.rfile.readline().decode().strip():
                verb = line.split()[0].upper()
                if verb == "EHLO":
                    say("250-mailbox\r\n250 AUTH PLAIN LOGIN")
                elif verb == "AUTH":
                    say("535 authentication failed")
                elif verb == "RCPT" and any(name in line for name in known.refuses):
                    say("550 no such mailbox")
                elif verb == "DATA":
                    say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    known.mails.append((recipients, b"".join(lines).decode()))
                    recipients = []
                    say("250 taken")
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    recipients += [line] if verb == "RCPT" else []
                    say("250 yes")

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        known.port = port
        yield known


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
