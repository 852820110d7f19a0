"""A run, and what people ask for, is killed with SIGKILL where everything is on PostgreSQL.

What asks little of the databases, the other database shows: of the flow and of people every fourth step is here.
"""

import pytest

from tests.faults.killing import CASES, survives
from tests.faults.points import FLOW, PEOPLE, PROTOCOL

pytestmark = pytest.mark.slow

OF_PEOPLE = [(command, point) for command, points in PEOPLE.items() for point in points][::4]


@pytest.mark.parametrize("point", [*PROTOCOL, *FLOW[::4]], ids=str)
def test_nothing_is_lost_and_nothing_doubled(ground, point, counted):
    with counted("kill -9 of a run, PostgreSQL"):
        case = CASES["run"]
        survives(ground("postgresql", case.state), case, point)


@pytest.mark.parametrize(("command", "point"), OF_PEOPLE, ids=str)
def test_what_people_ask_for_is_done_once_or_not_at_all(ground, command, point, counted):
    with counted("kill -9 of a person's command, PostgreSQL"):
        case = CASES[command]
        survives(ground("postgresql", case.state), case, point)
