"""A client of its own process: connections that ask, wait for the answer, and ask again."""

import asyncio
import json
import sys
import time


async def ask(port: int, path: str, bodies: list[bytes], until: float, found: list[float]) -> int:
    """One connection, until the time is over; how many answers were no 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: "
    requests = [head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body for body in bodies]
    bad = number = 0
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(requests[number % len(requests)])
        status = await read(reader)
        found.append(time.perf_counter() - began)
        bad += status != 200
        number += 1
    writer.close()
    return bad


async def read(reader: asyncio.StreamReader) -> int:
    """The status of one answer, which is read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
    await reader.readexactly(length)
    return int(lines[0].split()[1])


async def main(port: int, path: str, connections: int, seconds: float, file: str) -> None:
    with open(file, encoding="utf-8") as opened:
        bodies = [body.encode() for body in json.load(opened)]
    found: list[float] = []
    until = time.perf_counter() + seconds
    turned = [bodies[i % len(bodies) :] + bodies[: i % len(bodies)] for i in range(connections)]
    bad = sum(await asyncio.gather(*(ask(port, path, own, until, found) for own in turned)))
    found.sort()
    at = [found[min(len(found) - 1, int(len(found) * share))] * 1000 for share in (0.5, 0.99)]
    print(json.dumps({"answers": len(found), "bad": bad, "p50_ms": round(at[0], 3), "p99_ms": round(at[1], 3)}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]))
