"""An approval, a rejection, a time-out, a rollback, a pin is killed with SIGKILL at each of its steps."""

import pytest

from tests.faults.killing import CASES, survives
from tests.faults.points import PEOPLE

pytestmark = pytest.mark.slow

FAULTS = [(command, point) for command, points in PEOPLE.items() for point in points]


@pytest.mark.parametrize(("command", "point"), FAULTS, ids=str)
def test_what_people_ask_for_is_done_once_or_not_at_all(ground, command, point, counted):
    with counted("kill -9 of a person's command, SQLite"):
        case = CASES[command]
        survives(ground("sqlite", case.state), case, point)
