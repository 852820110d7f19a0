"""Promotions at once, a store that somebody has locked, a disk that is full."""

import sqlite3
from contextlib import closing, contextmanager

import pytest

from tests.faults import child
from tests.faults.points import MLFLOW, Point
from tests.project import SECOND

pytestmark = pytest.mark.slow

# Where a run writes what is large, and where it writes what decides.
FULL = [
    Point("evergreen.data.load:publish", "full"),
    Point("evergreen.stages.train:fit", "full"),
    Point(f"{MLFLOW}.log_model_artifacts", "full"),
    Point("evergreen.stages.evaluate:log_reference", "full"),
    Point("evergreen.report.page:write", "full"),
]


@pytest.fixture(scope="module")
def grounds(new_ground):
    made = {}

    def ground(kind):
        if kind not in made:
            made[kind] = new_ground(kind)
        made[kind].reset()
        return made[kind]

    return ground


@contextmanager
def counted(tally, kind):
    """Survived, unless the block fails."""
    try:
        yield
    except BaseException:
        tally(kind, "lost")
        raise
    tally(kind, "survived")


def ends_well(ground):
    assert ground.run(SECOND) == 0, ground.log.read_text()[-3000:]
    (done,) = ground.states()
    assert done["problems"] == []
    assert (done["champion"], done["versions"], done["crowns"], done["running"]) == (2, [1, 2], [1, 2], 0)


@pytest.mark.parametrize("point", FULL, ids=str)
def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(grounds, point, tally):
    ground = grounds("sqlite")
    with counted(tally, "disk full"):
        assert ground.run(SECOND, point) == 1
        assert "No space left on device" in ground.log.read_text()
        struck, settled = ground.states(SECOND, tidied=True)
        assert struck["champion"] in (1, 2)
        assert settled["problems"] == []
        assert settled["running"] == 0
        ends_well(ground)


def test_a_store_that_somebody_has_locked_is_an_error_and_nothing_else(grounds, tally):
    ground = grounds("sqlite")
    with counted(tally, "store locked"):
        with closing(sqlite3.connect(ground.place.settings.home / "evergreen.db", isolation_level=None)) as somebody:
            somebody.execute("BEGIN EXCLUSIVE")
            assert ground.run(SECOND) == 1
        assert "locked by another process" in ground.log.read_text()
        assert ground.states()[0]["champion"] == 1
        ends_well(ground)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("many", [2, 8])
def test_of_promotions_at_once_one_takes_effect(grounds, forks, kind, many, tally):
    ground = grounds(kind)
    with counted(tally, "promotions at once"):
        decided = ground.start(child.decide, ground.place, many, ground.log)
        assert ground.join(decided) == 0, ground.log.read_text()[-3000:]
        start = forks.Event()
        racers = [ground.start(child.promote_now, ground.place, n, start, ground.log) for n in range(2, 2 + many)]
        start.set()
        ended = [ground.join(racer) for racer in racers]
        assert sorted(ended) == [0] + [1] * (many - 1), ground.log.read_text()[-3000:]
        (done,) = ground.states()
        winner = 2 + ended.index(0)
        assert (done["champion"], done["crowns"]) == (winner, [1, winner])
        # Those that were decided on before the winner are overtaken by it, which needs no word.
        assert done["kinds"].count("HOLD") == many - 1 - ended.index(0), "each of those after it is withdrawn"
        assert done["problems"] == []
