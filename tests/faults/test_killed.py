"""A run is killed with SIGKILL at every step of the promotion and all through the flow.

Right after the blow the champion is one that may be champion. Reconciling leaves nothing half done. The next run goes
on from what is finished, and ends as if nothing had happened.
"""

import signal
from pathlib import Path

import pytest

from tests.conftest import SECOND
from tests.faults.points import FLOW, PROTOCOL, Point

pytestmark = pytest.mark.slow

# Steps of the promotion on both databases; the rest of the flow does not depend on them.
POINTS = [("sqlite", point) for point in (*PROTOCOL, *FLOW)] + [("postgresql", point) for point in PROTOCOL]


def finished_work(folder: Path) -> dict[str, int]:
    """Trials and models that are complete, with the time they were written."""
    found = (folder / "home" / "work").glob("*/*.json")
    return {str(path): path.stat().st_mtime_ns for path in found if path.name.startswith(("trial-", "model-"))}


@pytest.mark.parametrize(("ground", "point"), POINTS, ids=str, indirect=["ground"], scope="session")
def test_nothing_is_lost_and_nothing_doubled(ground, point, tally):
    tally_as = f"kill -9, {ground.kind}"
    try:
        _survives(ground, point)
    except BaseException:
        tally(tally_as, "lost")
        print(ground.log.read_text()[-4000:])
        raise
    tally(tally_as, "survived")


def _survives(ground, point):
    ground.reset()
    assert ground.run(SECOND, point) == -signal.SIGKILL, f"{point} was never reached"
    after_blow = ground.state()
    assert after_blow["champion"] in (1, 2)
    assert after_blow["versions"] in ([1], [1, 2])
    kept = finished_work(ground.place.folder)

    settled = ground.state(SECOND, tidy=True)
    assert settled["problems"] == []
    assert settled["running"] == 0
    assert settled["crowns"][-1] == settled["champion"] >= after_blow["champion"]

    assert ground.run(SECOND) == 0
    done = ground.state()
    assert done["problems"] == []
    assert {name: done[name] for name in ("champion", "versions", "crowns", "running")} == {
        "champion": 2,
        "versions": [1, 2],
        "crowns": [1, 2],
        "running": 0,
    }
    assert done["kinds"].count("PROMOTE") == 2
    assert finished_work(ground.place.folder).items() >= kept.items(), "finished work was done again"


def test_enough_points_are_planted():
    assert len(FLOW) + len(PROTOCOL) >= 30
    assert len(set(map(str, (*FLOW, *PROTOCOL)))) == len(FLOW) + len(PROTOCOL)
    assert all(isinstance(point, Point) for _, point in POINTS)
