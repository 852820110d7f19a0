"""A run is killed with SIGKILL at every step of the promotion and all through the flow.

Right after the blow the champion is one that may be champion. Reconciling leaves nothing half done. The next run goes
on from what is finished, and ends as if nothing had happened.
"""

import signal
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tests.faults.points import FLOW, PROTOCOL, Point
from tests.project import SECOND

pytestmark = pytest.mark.slow

KINDS = ("sqlite", "postgresql")
# Of the flow, which asks little of the store, every fourth step is enough on the second database.
FAULTS = [("sqlite", point) for point in (*PROTOCOL, *FLOW)] + [("postgresql", p) for p in (*PROTOCOL, *FLOW[::4])]
# Faults at once, one a core of a small machine; each has a project and databases of its own.
LANES = 2


def finished_work(folder: Path) -> dict[str, int]:
    """Trials and models that are complete, with the time they were written."""
    found = (folder / "home" / "work").glob("*/*.json")
    return {str(path): path.stat().st_mtime_ns for path in found if path.name.startswith(("trial-", "model-"))}


def observe(ground: Any, point: Point) -> dict[str, Any]:
    """Kill a run at the point, look, reconcile, look, run again, look."""
    ground.reset()
    killed = ground.run(SECOND, point)
    kept = finished_work(ground.place.folder)
    struck, settled = ground.states(SECOND, tidied=True)
    again = ground.run(SECOND)
    (done,) = ground.states()
    work = finished_work(ground.place.folder)
    said = ground.log.read_text()[-4000:]
    return {"killed": killed, "struck": struck, "settled": settled, "again": again, "done": done, "said": said} | {
        "redone": [name for name, written in kept.items() if work.get(name) != written]
    }


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest, new_ground: Callable[[str], Any]) -> dict[Any, "Future[dict[str, Any]]"]:
    """What came of every fault that was selected; two are planted at a time."""
    wanted = [item.callspec.params for item in request.session.items if "observed" in getattr(item, "fixturenames", ())]
    found: dict[Any, Future[dict[str, Any]]] = {}
    for kind in KINDS:
        points = [params["point"] for params in wanted if params["kind"] == kind]
        found |= {(kind, point): future for point, future in _plant(points, [new_ground(kind) for _ in points[:LANES]])}
    return found


def _plant(points: Iterable[Point], grounds: list[Any]) -> list[tuple[Point, "Future[dict[str, Any]]"]]:
    free: SimpleQueue[Any] = SimpleQueue()
    for ground in grounds:
        free.put(ground)

    def planted(point: Point) -> dict[str, Any]:
        ground = free.get()
        try:
            return observe(ground, point)
        finally:
            free.put(ground)

    with ThreadPoolExecutor(LANES) as pool:
        return [(point, pool.submit(planted, point)) for point in points]


@pytest.mark.parametrize(("kind", "point"), FAULTS, ids=str)
def test_nothing_is_lost_and_nothing_doubled(kind, point, observed, tally):
    try:
        _survived(observed[kind, point].result(), point)
    except BaseException:
        tally(f"kill -9, {kind}", "lost")
        raise
    tally(f"kill -9, {kind}", "survived")


def _survived(seen, point):
    struck, settled, done = seen["struck"], seen["settled"], seen["done"]
    assert seen["killed"] == -signal.SIGKILL, f"{point} was never reached\n{seen['said']}"
    assert struck["champion"] in (1, 2)
    assert struck["versions"] in ([1], [1, 2])

    assert settled["problems"] == []
    assert settled["running"] == 0
    assert settled["crowns"][-1] == settled["champion"] >= struck["champion"]

    assert seen["again"] == 0, seen["said"]
    assert done["problems"] == []
    assert {name: done[name] for name in ("champion", "versions", "crowns", "running")} == {
        "champion": 2,
        "versions": [1, 2],
        "crowns": [1, 2],
        "running": 0,
    }
    assert done["kinds"].count("PROMOTE") == 2
    assert seen["redone"] == [], "finished work was done again"


def test_enough_points_are_planted():
    assert len(FLOW) >= 30
    assert len(set(map(str, (*FLOW, *PROTOCOL)))) == len(FLOW) + len(PROTOCOL)
