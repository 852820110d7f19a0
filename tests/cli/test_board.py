import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from evergreen.cli.board import Board
from evergreen.supervisor.child import Child
from evergreen.supervisor.part import Part, State

NOW = datetime(2026, 5, 4, 6, 0, 30, tzinfo=UTC)


def child(name, state, note="", **options):
    made = Child(Part(name, **options))
    made.begun = 0.0
    made.enter(state, 70.0, note)
    return made


CHILDREN = (
    child("prefect", State.UP, address="http://127.0.0.1:4200"),
    child("databases", State.DONE, once=True),
    child("worker", State.RESTARTING, "killed by SIGKILL, again in [4] s", command=("python",)),
)


def board(terminal: bool):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None, highlight=False)
    return Board(console, lambda: NOW, lambda: 100.0), console.file


def test_a_line_says_what_has_become_of_a_part():
    shown, file = board(terminal=False)
    for one in CHILDREN:
        shown.tell(one)
    assert file.getvalue().splitlines() == [
        "06:00:30  prefect    up  http://127.0.0.1:4200",
        "06:00:30  databases  done",
        "06:00:30  worker     restarting  killed by SIGKILL, again in [4] s",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_table_stays_on_a_terminal_and_is_printed_once_elsewhere(terminal):
    shown, file = board(terminal)
    shown.show(CHILDREN)
    assert ("http://127.0.0.1:4200" in file.getvalue()) is terminal
    shown.print_table(CHILDREN)
    rows = [line.split() for line in file.getvalue().splitlines() if "prefect" in line]
    # Thirty seconds ago.
    assert rows == [["prefect", "up", "http://127.0.0.1:4200", "not", "ours", "06:00:00"]]
    assert "databases" not in file.getvalue()
    shown.close()


def test_a_terminal_that_is_gone_is_no_reason_to_die():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    for terminal in (True, False):
        shown = Board(Console(file=Gone(), force_terminal=terminal), lambda: NOW, lambda: 100.0)
        shown.say("starting")
        shown.show(CHILDREN)
        shown.print_table(CHILDREN)
        shown.close()
