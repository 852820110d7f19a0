"""The bytes of a request, read up to a bound."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from evergreen.serving.limits import Limits
from evergreen.serving.refused import Refused, busy, malformed

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Gone(Exception):  # noqa: N818 - nobody is there to be told of an error
    """The client left before it had said everything."""


class Reader:
    """Reads bodies, and knows how many bytes of them are held at this moment."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held = 0

    async def read(self, receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
        """The whole body, which `release` gives back. Raises Refused beyond a bound, before more of it is read."""
        self._bound(_announced(headers))
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                message = await receive()
                body = _content(message)
                # Nearly every body comes in one piece, and is not copied.
                return await self._collect(receive, body) if message.get("more_body") else self._hold(body)
        except TimeoutError:
            raise Refused(
                408, "too_slow", "the body did not come in time", headers=((b"connection", b"close"),)
            ) from None

    def release(self, body: bytes) -> None:
        """Say that a body is done with."""
        self.held -= len(body)

    async def _collect(self, receive: Receive, first: bytes) -> bytes:
        parts = [self._hold(first)]
        try:
            while True:
                message = await receive()
                parts.append(self._hold(_content(message)))
                self._bound(sum(map(len, parts)))
                if not message.get("more_body"):
                    return b"".join(parts)
        except BaseException:
            self.held -= sum(map(len, parts))
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
