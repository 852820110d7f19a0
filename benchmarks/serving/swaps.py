"""Swaps under load: does an answer fail, or mix two versions, while other people change the champion?

    python benchmarks/serving/swaps.py --swaps 50       about eight minutes

A real `evergreen serve`, a process that asks it for single rows and for 16 at a time, and a third that promotes and
rolls back through registry and ledger, as people do. Afterwards every answer is held against what the pipeline of the
version that it names says of the row, asked without any server. Exits 1 where an answer failed or is mixed.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.serving import reigns
from benchmarks.serving.client import Reply, percentiles, read, request_of
from benchmarks.serving.process import run_script, running
from benchmarks.serving.reigns import Change
from evergreen.supervisor.ports import free_port

HERE = Path(__file__).parent
ROWS = [
    {
        "waited": round(place % 9 / 3 - 1.5, 2),
        "spent": round(place % 7 / 2 - 1.5, 2),
        "plan": ("basic", "plus")[place % 2],
    }
    for place in range(48)
]
TOGETHER = 16
_TOLERANCE = 1e-9
_VERSION = b"x-evergreen-model-version"


@dataclass
class Heard:
    """What the asking process got: answers by version, row and probability; when each was asked for and its seconds."""

    answers: Counter[tuple[int, int, float]] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    def note(self, places: Sequence[int], reply: Reply) -> None:
        """Note an answer about the rows at these places."""
        if reply.status != 200:
            self.failed.append(f"{reply.status}: {reply.body[:200]!r}")
            return
        said = json.loads(reply.body)
        one_each = said.get("predictions", [said])
        if len(one_each) != len(places) or reply.headers[_VERSION] != str(said["version"]).encode():
            self.failed.append(f"not of {len(places)} rows and one version: {reply.body[:200]!r}")
            return
        for place, one in zip(places, one_each, strict=True):
            self.answers[said["version"], place, list(one["probabilities"].values())[-1]] += 1


@dataclass(frozen=True)
class Judgement:
    """Requests, those that failed, rows that were answered, and those whose values are not their version's."""

    requests: int
    failed: int
    rows: int
    mixed: int
    versions: int


async def ask(port: int, connections: int, pause: float, heard: Heard, is_over: Callable[[], bool]) -> None:
    """Ask on so many connections, with a pause between the requests of each."""
    singles = [[place] for place in range(len(ROWS))]
    batches = [[(start + step) % len(ROWS) for step in range(TOGETHER)] for start in range(0, len(ROWS), 7)]
    asked = [(places, request_of("/predict", _body(places))) for places in (*singles, *batches)]
    turns = [asked[step::connections] for step in range(connections)]
    await asyncio.gather(*(_connection(port, own, pause, heard, is_over) for own in turns))


async def _connection(
    port: int, asked: list[tuple[list[int], bytes]], pause: float, heard: Heard, is_over: Callable[[], bool]
) -> None:
    number, wires = 0, await asyncio.open_connection("127.0.0.1", port)
    while not is_over():
        places, request = asked[number % len(asked)]
        heard.asked_at.append(time.time())
        began = time.perf_counter()
        try:
            wires[1].write(request)
            heard.note(places, await read(wires[0]))
        except (OSError, asyncio.IncompleteReadError) as error:
            heard.failed.append(repr(error))
            wires = await asyncio.open_connection("127.0.0.1", port)
        heard.took.append(time.perf_counter() - began)
        number += 1
        await asyncio.sleep(pause)
    wires[1].close()


def _body(places: list[int]) -> bytes:
    rows = [ROWS[place] for place in places]
    return json.dumps(rows[0] if len(rows) == 1 else {"rows": rows}).encode()


def judge(heard: Heard, own: Mapping[int, Sequence[float]]) -> Judgement:
    """Hold every answer against what the pipelines of the versions say of the rows themselves.

    Raises ValueError where two versions answer a row alike: nobody could tell then who answered.
    """
    for place in range(len(ROWS)):
        said = sorted(values[place] for values in own.values())
        if any(after - before <= 10 * _TOLERANCE for before, after in pairwise(said)):
            raise ValueError(f"two versions answer row {place} alike")
    mixed = sum(
        count
        for (version, place, value), count in heard.answers.items()
        if version not in own or abs(value - own[version][place]) > _TOLERANCE
    )
    versions = len({version for version, _, _ in heard.answers})
    return Judgement(len(heard.took), len(heard.failed), heard.answers.total(), mixed, versions)


def latencies(heard: Heard, changes: Sequence[Change]) -> dict[str, dict[str, float]]:
    """p50 and p99 of requests while a change was on its way, from decision until it was served, and of all others."""
    during, outside = [], []
    for asked_at, took in zip(heard.asked_at, heard.took, strict=True):
        is_during = any(change.decided <= asked_at + took and asked_at <= change.served for change in changes)
        (during if is_during else outside).append(took)
    parts = {"during": during, "outside": outside}
    return {name: {"requests": len(some), **percentiles(some)} for name, some in parts.items() if some}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--swaps", type=int, default=50)
    asked.add_argument("--connections", type=int, default=8)
    asked.add_argument("--pause", type=float, default=0.02, help="Seconds between two requests of a connection.")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="evergreen-swaps-") as folder:
        print("training the first champion", file=sys.stderr, flush=True)
        project = reigns.make_project(Path(folder))
        heard, changes = swap_under_load(project, options)
        own = {version: reigns.probabilities(project, version, ROWS) for version in versions_of(changes)}
    found = judge(heard, own)
    report(found, changes, latencies(heard, changes))
    for why in heard.failed[:5]:
        print(why, file=sys.stderr)
    return int(found.failed + found.mixed > 0)


def versions_of(changes: Sequence[Change]) -> list[int]:
    return sorted({1, *(change.version for change in changes)})


def swap_under_load(project: Any, options: argparse.Namespace) -> tuple[Heard, list[Change]]:
    """Serve, ask and change, each in a process of its own."""
    port, over = free_port(), Path(project.folder) / "over"
    command = [sys.executable, "-m", "evergreen.cli.main", "serve", project.model, "--port", str(port)]
    with running(command, f"http://127.0.0.1:{port}/ready", os.environ, Path(project.folder) / "serve.log"):
        asking = [sys.executable, __file__, "ask", str(port), str(options.connections), str(options.pause), str(over)]
        # Out of the terminal's sight, which would interrupt it in the middle of what it says.
        with subprocess.Popen(asking, stdout=subprocess.PIPE, text=True, start_new_session=True) as asker:
            try:
                changes = list(_changes(project, port, options.swaps))
            except BaseException:
                asker.kill()
                raise
            over.touch()
            said = json.loads(asker.communicate()[0])
    answers = Counter({(version, place, value): count for version, place, value, count in said.pop("answers")})
    return Heard(answers, **said), changes


def _changes(project: Any, port: int, count: int):
    command = [sys.executable, str(HERE / "reigns.py"), str(project.folder), str(port), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:
        try:
            for number, line in enumerate(other.stdout or (), start=1):
                change = Change(**json.loads(line))
                late = change.served - change.decided
                said = f"[{number}/{count}] version {change.version} serves after {late:.1f} s"
                print(said, file=sys.stderr, flush=True)
                yield change
        except BaseException:
            other.terminate()
            raise
    if other.returncode:
        sys.exit(f"{command} ended with {other.returncode}")


def report(found: Judgement, changes: Sequence[Change], parts: Mapping[str, Mapping[str, float]]) -> None:
    waits = [change.served - change.decided for change in changes]
    print("| swaps | versions | requests | failed | rows | mixed | decided to served, s: p50, most |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {len(changes)} | {found.versions} | {found.requests:,} | {found.failed} | {found.rows:,} | {found.mixed} | "
        f"{sorted(waits)[len(waits) // 2]:.1f}, {max(waits):.1f} |\n"
    )
    print("| when | requests | p50 ms | p99 ms |\n| --- | ---: | ---: | ---: |")
    for name, part in parts.items():
        print(f"| {name} swaps | {part['requests']:,} | {part['p50_ms']:.2f} | {part['p99_ms']:.2f} |")


def ask_until(port: int, connections: int, pause: float, over: Path) -> None:
    """Ask until a file is there, and print what was heard."""
    heard, seen = Heard(), [0.0, False]

    def is_over() -> bool:
        if time.monotonic() - seen[0] > 0.2:
            seen[:] = [time.monotonic(), over.exists()]
        return bool(seen[1])

    asyncio.run(ask(port, connections, pause, heard, is_over))
    answers = [[*key, count] for key, count in heard.answers.items()]
    print(json.dumps({**asdict(heard), "answers": answers}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["ask"]:
        ask_until(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
    else:
        run_script(main)
