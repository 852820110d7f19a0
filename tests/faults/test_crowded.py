"""Promotions at once, a store that somebody has locked, a disk that is full."""

import sqlite3
from contextlib import closing

import pytest

from tests.faults import child
from tests.faults.points import MLFLOW, Point
from tests.warm import forks

pytestmark = pytest.mark.slow

# Where a run writes what is large, and where it writes what decides.
FULL = [
    Point("evergreen.data.load:publish", "full"),
    Point("evergreen.stages.train:fit", "full"),
    Point(f"{MLFLOW}.log_model_artifacts", "full"),
    Point("evergreen.stages.evaluate:log_reference", "full"),
    Point("evergreen.report.page:write", "full"),
]


def ends_well(done):
    assert done["problems"] == []
    assert (done["champion"], done["versions"], done["crowns"], done["running"]) == (2, [1, 2], [1, 2], 0)


@pytest.mark.parametrize("point", FULL, ids=str)
def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(ground, point, counted):
    with counted("disk full"):
        full = ground("sqlite")
        assert full.act("run", point) == 1
        assert "No space left on device" in full.said
        seen = full.recover("run")
        assert seen["struck"]["champion"] in (1, 2)
        assert seen["settled"]["problems"] == []
        assert seen["settled"]["running"] == 0
        assert seen["again"] == "", full.said
        ends_well(seen["done"])


def test_a_store_that_somebody_has_locked_is_an_error_and_nothing_else(ground, counted):
    with counted("store locked"):
        locked = ground("sqlite")
        with closing(sqlite3.connect(locked.place.settings.home / "evergreen.db", isolation_level=None)) as somebody:
            somebody.execute("BEGIN EXCLUSIVE")
            assert locked.act("run", child.HASTY) == 1
        assert "locked by another process" in locked.said
        seen = locked.recover("run")
        assert seen["struck"]["champion"] == 1
        assert seen["again"] == "", locked.said
        ends_well(seen["done"])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("many", [2, 8])
def test_of_promotions_at_once_one_takes_effect(ground, kind, many, counted):
    with counted(f"{'two' if many == 2 else 'eight'} promotions at once"):
        crowded = ground(kind)
        assert crowded.join(crowded.start(child.decide, many)) == 0, crowded.said
        start = forks().Event()
        racers = [crowded.start(child.promote_now, n, start) for n in range(2, 2 + many)]
        start.set()
        ended = [crowded.join(racer) for racer in racers]
        assert sorted(ended) == [0] + [1] * (many - 1), crowded.said
        done = crowded.examine()
        winner = 2 + ended.index(0)
        assert (done["champion"], done["crowns"]) == (winner, [1, winner])
        # Those that were decided on before the winner are overtaken by it, which needs no word.
        assert done["kinds"].count("HOLD") == many - 1 - ended.index(0), "each of those after it is withdrawn"
        assert done["problems"] == []
