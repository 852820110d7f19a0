"""A run is killed with SIGKILL at every step of the promotion and all through the flow."""

import pytest

from tests.faults.killing import CASES, survives
from tests.faults.points import FLOW, PEOPLE, PROTOCOL

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("point", [*PROTOCOL, *FLOW], ids=str)
def test_nothing_is_lost_and_nothing_doubled(ground, point, counted):
    with counted("kill -9 of a run, SQLite"):
        case = CASES["run"]
        survives(ground("sqlite", case.state), case, point)


def test_enough_points_are_planted():
    assert len(FLOW) >= 30
    planted = [("run", point) for point in (*PROTOCOL, *FLOW)]
    planted += [(command, point) for command, points in PEOPLE.items() for point in points]
    assert len({(command, str(point)) for command, point in planted}) == len(planted)
    assert set(PEOPLE) | {"run"} == set(CASES)
