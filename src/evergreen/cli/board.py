"""What `evergreen up` shows: a line for whatever changes, and on a terminal a table that stays below the lines."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from evergreen.supervisor.child import Child
from evergreen.supervisor.part import State

_STYLES = {
    State.UP: "green",
    State.DONE: "green",
    State.FAILED: "red",
    State.SILENT: "yellow",
    State.RESTARTING: "yellow",
    State.STOPPING: "yellow",
}

_NAME_WIDTH = 11

Now = Callable[[], datetime]


class Board:
    """Lines and a table on a console. `now` gives local time, `clock` the seconds that children count in."""

    def __init__(self, console: Console, now: Now, clock: Callable[[], float]) -> None:
        self._console, self._now, self._clock = console, now, clock
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def say(self, text: str, style: str = "") -> None:
        """A line of the log, with the time of day."""
        self._print(Text(text, style))

    def tell(self, child: Child) -> None:
        """What has become of a part."""
        what = child.note or (child.part.address if child.state is State.UP else "") or ""
        self._print(Text(f"{child.part.name:<{_NAME_WIDTH}}"), _styled(child.state), Text(f"  {what}"))

    def _print(self, *texts: Text) -> None:
        line = Text.assemble((f"{self._now():%H:%M:%S}  ", "dim"), *texts)
        line.rstrip()
        with _gone():
            self._console.print(line, soft_wrap=True)

    def show(self, children: Sequence[Child]) -> None:
        """Draw the table anew where there is a terminal."""
        if self._live is not None:
            with _gone():
                self._live.start()
                self._live.update(self._table(children), refresh=True)

    def print_table(self, children: Sequence[Child]) -> None:
        """The table as it is now, among the lines, where no table stays below them."""
        if self._live is None:
            with _gone():
                self._console.print(self._table(children))

    def close(self) -> None:
        """Leave the lines, and no table."""
        if self._live is not None:
            with _gone():
                self._live.stop()

    def _table(self, children: Sequence[Child]) -> Table:
        table = Table("", "state", "address", "process", "since", box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for child in children:
            if child.part.once and child.state is State.DONE:
                continue
            since = self._now() - timedelta(seconds=self._clock() - child.since)
            who = str(child.pid or "") if child.part.command else "not ours"
            when = "" if child.begun is None else f"{since:%H:%M:%S}"
            table.add_row(child.part.name, _styled(child.state), Text(child.part.address or ""), who, when)
        return table


def _gone() -> suppress:
    """A terminal that was closed, or a pipe that nobody reads, is no reason not to go on, or not to stop in order."""
    return suppress(OSError, SystemExit)


def _styled(state: State) -> Text:
    return Text(state, _STYLES.get(state, ""))
