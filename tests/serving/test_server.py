"""Who may come in: heads of requests have a length and a time, and connections a number."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from evergreen.serving import door
from evergreen.serving.door import Door

HEAD = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n"


class Wire(asyncio.Transport):
    """The other end of a connection, as far as it shows."""

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written, self.closed, self.aborted = b"", False, False

    def write(self, data):
        if not self.closed:
            self.written += data

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def answer(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def talk(*pieces, others=0, pause=0.0):
    """What becomes of a connection that says this, among so many others."""

    async def run():
        config = uvicorn.Config(answer, http=Door, ws="none", lifespan="off", log_config=None)
        config.load()
        state = ServerState()
        state.connections |= set(range(others))
        wire, came = Wire(), Door(config, state, {})
        came.connection_made(wire)
        for piece in pieces:
            if not wire.closed:
                came.data_received(piece)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(pause / 5)
        waits = came._patience is not None
        closed = wire.closed
        came.connection_lost(None)
        wire.closed = closed
        return wire, waits

    return asyncio.run(run())


def test_a_request_in_any_pieces_is_let_in():
    whole = HEAD + b"\r\nabc"
    for pieces in ([whole], [whole[:9], whole[9:]], [bytes([byte]) for byte in whole]):
        wire, waits = talk(*pieces)
        assert wire.written.startswith(b"HTTP/1.1 200")
        assert not waits


def test_a_long_body_is_no_long_head(monkeypatch):
    monkeypatch.setattr(door, "MOST_HEAD_BYTES", 100)
    long = HEAD.replace(b": 3", b": 900") + b"\r\n"
    wire, _ = talk(long + b"a" * 400, b"a" * 500, HEAD + b"\r\nabc")
    assert wire.written.count(b"HTTP/1.1 200") == 2
    assert not wire.closed


@pytest.mark.parametrize("before", [b"", HEAD + b"\r\nabc"], ids=["first", "second"])
def test_a_head_that_does_not_end_is_cut_off(before):
    piece = b"x-more: " + b"a" * 10_000 + b"\r\n"
    wire, _ = talk(*([before] if before else []), HEAD, *[piece] * 10)
    assert wire.closed
    assert wire.written.count(b"HTTP/1.1 400") == 1
    one, _ = talk(HEAD + b"x-more: " + b"a" * 100_000)
    assert one.closed


def test_headers_after_a_body_have_a_bound_too():
    chunked = HEAD.replace(b"content-length: 3", b"transfer-encoding: chunked") + b"\r\n3\r\nabc\r\n0\r\n"
    assert talk(chunked, b"x-more: a\r\n\r\n")[0].written.startswith(b"HTTP/1.1 200")
    assert talk(chunked, b"x-more: ", *[b"a" * 10_000] * 10)[0].aborted


@pytest.mark.parametrize(
    "said", [(), (HEAD,), (HEAD + b"\r\nabc", HEAD[:20])], ids=["nothing", "half", "half a second"]
)
def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch, said):
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.02)
    wire, _ = talk(*said, pause=0.5)
    assert wire.aborted


def test_there_is_room_for_so_many_and_no_more(monkeypatch):
    monkeypatch.setattr(door, "MOST_CONNECTIONS", 10)
    assert not talk(others=9)[0].closed
    assert talk(others=10)[0].aborted
