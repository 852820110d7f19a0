"""Captures without end and acknowledges every row on standard output, to be killed: `child.py URL MODE [LINGER]`."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from itertools import count

from evergreen.serving.capture import Capture, CaptureLimits
from evergreen.serving.handles import Prediction, Role
from evergreen.store.traffic_writer import TrafficWriter

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)


async def answer(capture: Capture, durable: bool, numbers: count) -> None:
    for number in numbers:
        row = Prediction(f"r{number}.0", f"r{number}", "churn", 3, Role.CHAMPION, NOW, {"price": 1.5}, "no")
        if durable:
            await capture.durable([row])
        else:
            capture.put([row])
            await asyncio.sleep(0.0005)
        os.write(1, f"{row.id}\n".encode())


async def main(url: str, mode: str, linger: str = "0.05") -> None:
    capture, numbers = Capture(TrafficWriter(url), lambda: NOW, limits=CaptureLimits(linger=float(linger))), count()
    os.write(1, b"ready\n")
    # Of several at once the acknowledgements would come in another order than the rows.
    at_once = 8 if mode == "durable" else 1
    await asyncio.gather(*(answer(capture, mode == "durable", numbers) for _ in range(at_once)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
