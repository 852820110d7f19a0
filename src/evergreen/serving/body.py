"""The bytes of a request, read up to a bound."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from evergreen.serving.limits import Limits
from evergreen.serving.refused import Refused, busy, malformed

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Gone(Exception):  # noqa: N818 - nobody is there to be told of an error
    """The client left before it had said everything."""


class Patience:
    """Waits for so many seconds at most: whoever is inside for longer is refused, within a second more.

    One timer for all of them, as a timer each costs more than reading most bodies.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._looking: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "requests are answered in tasks"
        self._waiting[task] = loop.time() + self._seconds
        if self._looking is not loop:
            self._looking = loop
            loop.call_later(min(1.0, self._seconds), self._look, loop)

    def __exit__(self, kind: object, *_: object) -> None:
        task = asyncio.current_task()
        assert task is not None, "requests are answered in tasks"
        del self._waiting[task]
        if kind is asyncio.CancelledError and task in self._overdue:
            self._overdue.discard(task)
            said = "the body did not come in time"
            raise Refused(408, "too_slow", said, headers=((b"connection", b"close"),)) from None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        late = [task for task, deadline in self._waiting.items() if deadline <= loop.time()]
        self._overdue.update(late)
        for task in late:
            task.cancel()
        self._looking = None
        if self._waiting:
            self._looking = loop
            loop.call_later(min(1.0, self._seconds), self._look, loop)


class Reader:
    """Reads bodies, and knows how many bytes of them are held at this moment. It belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._patience = Patience(limits.body_seconds)
        self.held = 0

    async def read(self, receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
        """The whole body, which `release` gives back. Raises Refused beyond a bound, before more of it is read."""
        self._bound(_announced(headers))
        with self._patience:
            message = await receive()
            body = _content(message)
            # Nearly every body comes in one piece, and is not copied.
            return await self._collect(receive, body) if message.get("more_body") else self._hold(body)

    def release(self, body: bytes) -> None:
        """Say that a body is done with."""
        self.held -= len(body)

    async def _collect(self, receive: Receive, first: bytes) -> bytes:
        parts, size = [self._hold(first)], len(first)
        try:
            while True:
                message = await receive()
                part = self._hold(_content(message))
                size += len(part)
                # A body may come a byte at a time; empty pieces are not kept.
                if part:
                    parts.append(part)
                self._bound(size)
                if not message.get("more_body"):
                    return b"".join(parts)
        except BaseException:
            self.held -= size
            raise

    def _hold(self, part: bytes) -> bytes:
        self._bound(len(part))
        if self.held + len(part) > self._limits.held_bytes:
            raise busy("too many bytes are being answered")
        self.held += len(part)
        return part

    def _bound(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise Refused(413, "too_large", f"a body has at most {self._limits.body_bytes:,} bytes; send fewer rows")


def _announced(headers: Mapping[bytes, bytes]) -> int:
    text = headers.get(b"content-length", b"0")
    if not text.isdigit():
        raise malformed("the header content-length is no number")
    return int(text) if len(text) < 20 else 10**20


def _content(message: Mapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise Gone
    content: bytes = message.get("body", b"")
    return content
