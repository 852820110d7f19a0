"""What capturing a prediction costs a request, with 1, 16 and 64 at once: `python benchmarks/serving/capture.py`.

CPU is of this process with its threads. PostgreSQL, where EVERGREEN_STORE_URL names one, has its own besides. What a
kill of the whole server loses is measured by kills.py.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.serving.predictions import START, make, store
from evergreen.serving.capture import Capture
from evergreen.store.prediction import Prediction
from evergreen.store.traffic_writer import TrafficWriter


class Journal:
    """Every request appended to a file before it is answered: the other way to be durable on one machine."""

    def __init__(self, file: Path) -> None:
        self.file = file.open("ab", buffering=0)

    async def durable(self, predictions: Sequence[Prediction]) -> None:
        self.file.write(b"".join(json.dumps([p.id, p.inputs, p.prediction]).encode() + b"\n" for p in predictions))


async def _ask(keep: Callable[[list[Prediction]], object], requests: list[list[Prediction]], at_once: int) -> None:
    left = iter(requests)

    async def client() -> None:
        for rows in left:
            done = keep(rows)
            if asyncio.iscoroutine(done):
                await done
            else:
                await asyncio.sleep(0)

    await asyncio.gather(*(client() for _ in range(at_once)))


def capture(requests: int = 6_000) -> None:
    print("| at once | how | CPU µs a request | groups |\n| --- | --- | --- | --- |")
    for at_once in (1, 16, 64):
        for how in ("nothing", "asynchronous", "durable", "a journal, to be loaded later"):
            asked = [[p] for p in make(requests, at_once * 10**6)]
            with tempfile.TemporaryDirectory() as folder:
                url = store(folder)
                kept = Capture(TrafficWriter(url), lambda: START)
                journal = Journal(Path(folder) / "journal")
                keep = {
                    "nothing": lambda _: None,
                    "asynchronous": kept.put,
                    "durable": kept.durable,
                    "a journal, to be loaded later": journal.durable,
                }[how]
                began = time.process_time()
                asyncio.run(_ask(keep, asked, at_once))
                kept.close(60)
                spent = time.process_time() - began
            print(f"| {at_once} | {how} | {spent / requests * 1e6:.0f} | {kept.state.groups or '-'} |")


if __name__ == "__main__":
    capture()
