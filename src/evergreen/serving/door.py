"""The door of the server: who comes in, for how long, and who is answered there already."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from evergreen.serving.shortcut import MOST_BYTES, Shortcut
from evergreen.serving.wire import reply_headers

# Of a request line and its headers; what a proxy lets through is less.
MOST_HEAD_BYTES = 65_536
HEAD_SECONDS = 10.0
# Each is a file that is open. Of them, a tenth is for saying 503 to.
MOST_CONNECTIONS = 1_000
# Requests of one connection that wait for those before them.
MOST_PIPELINED = 1_000


class Door(HttpToolsProtocol):
    """Lets nobody in who takes for ever, or any number of bytes, to say what is asked.

    What is counted are bytes since the last that led anywhere: to the end of a head, a part of a body, the end of a
    message. So the headers that may follow a body have the same bound.

    What has come as a whole is answered by `shortcut` where it can be; all else goes on to the application.
    """

    _idle_bytes = 0
    _in_head = True
    _patience: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, shortcut: Shortcut | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shortcut = shortcut
        # Parts of a body that may be answered here; None while the application has the request.
        self._held: list[bytes] | None = None

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
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._held is not None:
            # The rest is yet to come.
            self._pass_on()
        if len(self.pipeline) > MOST_PIPELINED:
            # uvicorn queues any number of requests of somebody who does not read the answers.
            self.transport.abort()
        if self._in_head and self._idle_bytes and self._patience is None:
            self._wait()
        if self._idle_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            if self._in_head:
                self.send_400_response("The headers are too long.")
            else:
                self.transport.abort()

    def on_headers_complete(self) -> None:
        """A head is over, and a body begins, if only an empty one."""
        self._in_head, self._idle_bytes = False, 0
        self._stop_waiting()
        # An answer that was given in this very read has begun to wait for this one.
        self._unset_keepalive_if_required()
        if self._may_be_short():
            self._held = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._idle_bytes = 0
        if self._held is not None and len(body) > MOST_BYTES:
            self._pass_on()
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """A body is over; another head may come, and until it begins only the keep-alive is waited for."""
        self._in_head, self._idle_bytes = True, 0
        if self._held is not None:
            if self._answer(b"".join(self._held)):
                self._held = None
                return
            self._pass_on()
        super().on_message_complete()

    def _may_be_short(self) -> bool:
        """False for whatever uvicorn does more about than call the application."""
        cycle, most = self.cycle, self.limit_concurrency
        return (
            self._shortcut is not None
            and self._shortcut.leads(self.url)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and (cycle is None or cycle.response_complete)
            and not self.expect_100_continue
            and (most is None or max(len(self.connections), len(self.tasks)) < most)
        )

    def _answer(self, body: bytes) -> bool:
        """Answer here; False where that cannot be done."""
        assert self._shortcut is not None, "nothing is held without it"
        if self.flow.write_paused or not self.parser.should_keep_alive():
            return False
        found = self._shortcut.answer(self.url, self.headers, body, self.client)
        if found is None:
            return False
        reply, request_id = found
        pairs = (*self.server_state.default_headers, *reply_headers(reply, request_id))
        head = b"".join([b"%b: %b\r\n" % pair for pair in pairs])
        self.transport.write(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (head, reply.body))
        self.on_response_complete()
        return True

    def _pass_on(self) -> None:
        """Let the application have what came, as if it had just come."""
        parts, self._held = self._held or [], None
        super().on_headers_complete()
        for part in parts:
            super().on_body(part)

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
