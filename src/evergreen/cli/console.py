"""The terminal as commands write to it."""

from pathlib import Path

from rich.console import Console

# What goes into a file or a log is not cut to the eighty columns that an unknown terminal is taken for.
_WIDTH_OF_FILES = 120


def open_console() -> Console:
    """A console on standard output, as wide as the terminal, or wide enough for tables where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_FILES)


def shorten(path: str | Path) -> Path:
    """A path as one would type it here: relative, where it lies below the working directory."""
    path = Path(path)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
