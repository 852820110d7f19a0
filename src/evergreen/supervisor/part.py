"""What is watched: a process of ours, or a server that somebody else runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_LONGEST_PAUSE_SECONDS = 60.0


class State(StrEnum):
    """Where a part stands, in words for people."""

    WAITING = "waiting"
    STARTING = "starting"
    UP = "up"
    SILENT = "not answering"
    RESTARTING = "restarting"
    DONE = "done"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Part:
    """One line of the table of children.

    Without a `command` it is a server of somebody else, which is only asked how it is. `answers` says whether the part
    does its work; without it, a part is up when its process has lived for a moment. It starts when each part in
    `after` was up, or done, once. A `once` part is a job: it ends, and is not started again; a `vital` one must not
    fail. `patience_seconds` lie between asking a part to end and killing it. One that `runs_flows` is held still while
    they close.
    """

    name: str
    command: tuple[str, ...] = ()
    address: str | None = None
    answers: Callable[[], bool] | None = None
    after: tuple[str, ...] = ()
    once: bool = False
    vital: bool = False
    runs_flows: bool = False
    patience_seconds: float = 10.0
    environment: Mapping[str, str] = field(default_factory=dict)


def pause_before_start(deaths: int) -> float:
    """Seconds until a part that died so often in a row is started again.

    >>> [pause_before_start(deaths) for deaths in (1, 2, 3, 4, 6, 7, 100)]
    [1.0, 2.0, 4.0, 8.0, 32.0, 60.0, 60.0]
    """
    return min(2.0 ** min(deaths - 1, 10), _LONGEST_PAUSE_SECONDS)
