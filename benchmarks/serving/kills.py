"""kill -9 of the server while it answers: which answers that somebody got are not in the store?

    python benchmarks/serving/kills.py --kills 20       about five minutes

A real `evergreen serve`, killed at a random moment under load, and started again over the same store. Durable answers
wait until they are committed, and none may be lost; others go to the store half a second later at most, in groups, and
so are lost at most those of the last moments. Exits 1 where a durable one is lost.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.serving import reigns
from benchmarks.serving.client import read, request_of
from benchmarks.serving.process import run_script, running
from evergreen.store.traffic import Traffic
from evergreen.supervisor.ports import free_port

ROW = {"waited": 0.5, "spent": -0.5, "plan": "basic"}


@dataclass(frozen=True)
class Kill:
    """One kill: answers that came, in their order, and those of them that the store does not have.

    `oldest` is how many seconds before the kill the first of the lost had come.
    """

    acknowledged: Sequence[str]
    lost: Sequence[str]
    oldest: float = 0.0


async def acknowledge(port: int, connections: int, heard: list[tuple[str, float]]) -> None:
    """Ask on so many connections until the server is gone; ids of the answers, and when each came."""
    await asyncio.gather(*(_connection(port, heard) for _ in range(connections)))


async def _connection(port: int, heard: list[tuple[str, float]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = request_of("/predict", json.dumps(ROW).encode())
    try:
        while True:
            writer.write(request)
            reply = await read(reader)
            if reply.status == 200:
                heard.append((json.loads(reply.body)["prediction_id"], time.monotonic()))
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


def kill_once(project: Any, connections: int, after: float, options: Sequence[str] = ()) -> Kill:
    """Serve, ask, and kill after so many seconds under load; then compare with the store."""
    port, heard = free_port(), list[tuple[str, float]]()
    command = [sys.executable, "-m", "evergreen.cli.main", "serve", project.model, "--port", str(port), *options]
    log = Path(project.folder) / "serve.log"
    with running(command, f"http://127.0.0.1:{port}/ready", os.environ, log) as server:
        asking = threading.Thread(target=lambda: asyncio.run(acknowledge(port, connections, heard)))
        asking.start()
        while not heard:
            time.sleep(0.01)
        time.sleep(after)
        server.kill()
        killed = time.monotonic()
        asking.join()
    return compare(heard, stored(project), killed)


def stored(project: Any) -> set[str]:
    """Ids of all predictions in the store."""
    now = datetime.now(UTC)
    found = Traffic(project.settings.store_url).window(project.model, now - timedelta(days=1), now + timedelta(days=1))
    return set(found.answers.column("id").to_pylist())


def compare(heard: Sequence[tuple[str, float]], kept: set[str], killed: float) -> Kill:
    """Acknowledged against stored."""
    lost = [(name, at) for name, at in heard if name not in kept]
    oldest = killed - min((at for _, at in lost), default=killed)
    return Kill([name for name, _ in heard], [name for name, _ in lost], oldest)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=20, help="Of each mode.")
    asked.add_argument("--connections", type=int, default=16)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    print("| durable | kills | acknowledged | lost | most of one kill | oldest lost, s before the kill |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    lost_durable = 0
    for durable in (True, False):
        found = kill_often(durable, options)
        lost = [len(one.lost) for one in found]
        acknowledged = sum(len(one.acknowledged) for one in found)
        oldest = max(one.oldest for one in found)
        said = (
            f"| {str(durable).lower()} | {len(found)} | {acknowledged:,} | {sum(lost):,} | {max(lost)} | {oldest:.2f} |"
        )
        print(said, flush=True)
        lost_durable += durable * sum(lost)
    return int(lost_durable > 0)


def kill_often(durable: bool, options: argparse.Namespace) -> list[Kill]:
    """So many kills of one mode, as the spec of the model says it."""
    found, draw = [], random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="evergreen-kills-") as folder:
        project = reigns.make_project(Path(folder), durable)
        for number in range(options.kills):
            found.append(kill_once(project, options.connections, draw.uniform(0.2, 2.5)))
            one = found[-1]
            said = f"{len(one.acknowledged):,} acknowledged, {len(one.lost)} lost"
            print(f"[{number + 1}/{options.kills}] durable={durable}: {said}", file=sys.stderr, flush=True)
        os.chdir(Path(__file__).parent)
    return found


if __name__ == "__main__":
    run_script(main)
