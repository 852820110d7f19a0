"""A request as it came, and an answer as it goes."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from evergreen.serving.refused import Refused

JSON = b"application/json"
# Answers are about somebody's rows: no cache keeps them, and no browser takes them for anything else.
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Pairs = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Ask:
    """A request that was let in. `began` is when its body was complete, on the clock of `time.perf_counter`."""

    id: str
    headers: Mapping[bytes, bytes]
    body: bytes
    began: float


@dataclass(slots=True)
class Reply:
    """An answer. `model` is whose, for the metrics; empty where none was asked."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: Pairs = ()
    model: str = ""


def content_type(headers: Mapping[bytes, bytes], name: bytes = b"content-type") -> bytes:
    """What a header says that a body is, in lower case, without parameters.

    >>> content_type({b"content-type": b"Application/JSON; charset=utf-8"})
    b'application/json'
    """
    return headers.get(name, b"").partition(b";")[0].strip().lower()


def refuse(refused: Refused) -> Reply:
    """The answer that says why there is none."""
    return Reply(msgspec.json.encode(refused.content), refused.status, headers=refused.headers)


def fail(request_id: str) -> Reply:
    """The answer to a request that broke something here."""
    said = "this failed here, not with you; the log has more under this request's id"
    error = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", said).content
    error["error"]["request_id"] = request_id
    return Reply(msgspec.json.encode(error), HTTPStatus.INTERNAL_SERVER_ERROR)


def reply_headers(reply: Reply, request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer.

    >>> reply_headers(Reply(b"{}"), "6a-1")[:3]
    [(b'content-type', b'application/json'), (b'content-length', b'2'), (b'x-request-id', b'6a-1')]
    """
    return [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id.encode()),
        *_ALWAYS,
        *reply.headers,
    ]


async def send_reply(send: Send, reply: Reply, request_id: str) -> None:
    """Status, headers and body."""
    headers = reply_headers(reply, request_id)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
