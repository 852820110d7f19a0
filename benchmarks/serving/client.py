"""A client of its own process: connections that ask, wait for the answer, and ask again.

`client.py PORT PATH CONNECTIONS SECONDS BODIES.json KIND` prints how many answers there were, how many of them were no
200, and their p50 and p99 as seen here, where many connections share one process.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its headers by their names in small letters, its body."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    @property
    def is_last(self) -> bool:
        """True where the server closes the connection after it."""
        return self.headers.get(b"connection", b"").lower() == b"close"


def request_of(path: str, body: bytes, headers: tuple[tuple[str, str], ...] = (), method: str = "POST") -> bytes:
    """A request as it goes over the wire; as JSON where no header says otherwise."""
    named = {"host": "127.0.0.1", "content-type": "application/json", **dict(headers)}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode("latin-1") + body


async def read(reader: asyncio.StreamReader, has_body: bool = True) -> Reply:
    """One answer, to its end. Raises IncompleteReadError where the connection ends before."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    length = int(headers.get(b"content-length", b"0")) if has_body else 0
    return Reply(int(first.split()[1]), headers, await reader.readexactly(length))


async def ask(port: int, requests: list[bytes], until: float, found: list[float]) -> int:
    """One connection, until the time is over; how many answers were no 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    bad = number = 0
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(requests[number % len(requests)])
        reply = await read(reader)
        if reply.is_last:
            # Servers that keep no connection make their clients open another one.
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        found.append(time.perf_counter() - began)
        bad += reply.status != 200
        number += 1
    writer.close()
    return bad


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds that half, and 99 of 100, took at most."""
    ordered = sorted(seconds)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99)]
    return {"p50_ms": round(at[0], 3), "p99_ms": round(at[1], 3)}


async def main(port: int, path: str, connections: int, seconds: float, file: str, kind: str) -> None:
    headers = (("content-type", kind), ("accept", kind))
    with open(file, encoding="utf-8") as opened:
        requests = [request_of(path, body.encode("latin-1"), headers) for body in json.load(opened)]
    found: list[float] = []
    until = time.perf_counter() + seconds
    turned = [requests[i % len(requests) :] + requests[: i % len(requests)] for i in range(connections)]
    bad = sum(await asyncio.gather(*(ask(port, own, until, found) for own in turned)))
    print(json.dumps({"answers": len(found), "bad": bad, **percentiles(found)}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), *sys.argv[5:7]))
