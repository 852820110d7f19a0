"""`evergreen down`: stop the supervisor of this home from elsewhere."""

import signal
import time

from evergreen.cli.console import open_console, shorten
from evergreen.settings import Settings
from evergreen.supervisor.claim import claim, end_leftovers
from evergreen.supervisor.processes import birth, tell
from evergreen.supervisor.state import read_state

_PAUSE_SECONDS = 0.2
# What a guard does when its supervisor is killed takes a moment.
_CLAIM_SECONDS = 1.0


def run_down(wait_seconds: float, settings: Settings) -> None:
    """Stop it, wait until it is gone, and say what was stopped; by force when the wait is over."""
    console, home = open_console(), settings.home
    state = read_state(home)
    if state is not None:
        console.print(f"stopping process {state.pid} and what it runs: {', '.join(state.children)}", highlight=False)
        born, deadline = birth(state.pid), time.monotonic() + wait_seconds
        tell(state.pid, signal.SIGTERM)
        # It may have ended since its state was read: nobody is born then, and nobody is to be waited for.
        while born is not None and birth(state.pid) == born:
            if time.monotonic() > deadline:
                tell(state.pid, signal.SIGKILL)
            time.sleep(_PAUSE_SECONDS)
    left = 0
    if home.exists():
        with claim(home):
            left = end_leftovers(home, time.monotonic, time.sleep)
    if left:
        console.print(f"ended {left} processes that a killed evergreen up had left", highlight=False)
    done = f"stopped; nothing runs for {shorten(home)}" if state else f"nothing runs for {shorten(home)}"
    console.print(done, highlight=False)
