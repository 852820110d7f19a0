"""One line a stage on the terminal, with the seconds since the start."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


class StageLines(logging.Handler):
    """Prints what stages log as `  12.3 s  message`."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(level=logging.INFO)
        self._console, self._clock, self._start = console, clock, clock()

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; the text is never read as markup."""
        style = "yellow" if record.levelno >= logging.WARNING else None
        seconds = self._clock() - self._start
        self._console.print(f"[dim]{seconds:7.1f} s[/dim]  ", end="")
        self._console.print(record.getMessage(), style=style, markup=False, highlight=False)


@contextmanager
def progress(console: Console) -> Iterator[None]:
    """Show stage lines while the block runs."""
    logger = logging.getLogger("evergreen")
    handler = StageLines(console)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
