"""One supervisor a home, and nothing left of an earlier one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evergreen.errors import UserError
from evergreen.supervisor.launch import is_of_home
from evergreen.supervisor.processes import Clock, Wait, end, marked_processes
from evergreen.supervisor.state import read_state, up_folder

_PATIENCE_SECONDS = 10.0


@contextmanager
def claim(home: Path) -> Iterator[None]:
    """Be the supervisor of a home. Raises UserError, which names the other one, where there is one."""
    import fcntl

    folder = up_folder(home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a")
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); name another EVERGREEN_HOME") from error
    with file:
        try:
            # Freed by the operating system when this process ends, however it does.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(_refusal(home)) from None
        yield


def _refusal(home: Path) -> str:
    state = read_state(home)
    if state is None:
        return f"evergreen up is starting or stopping for {home} just now; wait, or choose another EVERGREEN_HOME"
    where = f"process {state.pid}, Prefect at {state.prefect_ui}"
    return f"evergreen up runs already for {home}: {where}; evergreen down stops it"


def end_leftovers(home: Path, clock: Clock, wait: Wait) -> int:
    """End what supervisors that were killed have left; the number of processes. Only for who holds the claim."""

    def living() -> list[int]:
        return [found.pid for found in marked_processes() if is_of_home(found.mark, home)]

    found = len(living())
    end(living, lambda: _PATIENCE_SECONDS, clock, wait)
    return found
