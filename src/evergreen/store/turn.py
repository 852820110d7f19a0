"""Taking turns: one run of a model at a time, on every machine that shares the store.

A turn ends with the process that has it, however that dies: on SQLite it is a lock on a file beside the store's, on
PostgreSQL an advisory lock of a session of its own.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from evergreen.address import redacted, sqlite_file
from evergreen.errors import EvergreenError, UserError
from evergreen.store import turn_file, turn_session
from evergreen.store.database import open_engine
from evergreen.store.lock import exclusive

log = logging.getLogger("evergreen.turn")


class Busy(EvergreenError):  # noqa: N818 - the word says it
    """Somebody else has the turn."""


@dataclass(frozen=True)
class Holder:
    """Who has a model's turn since when: `holder` is the id of a flow run, or whatever a taker called itself."""

    holder: str
    since: datetime
    model: str


@dataclass(frozen=True)
class Turn:
    """A turn that was taken."""

    model: str
    holder: str
    since: datetime
    _alive: Callable[[], bool] = field(repr=False)

    def alive(self) -> bool:
        """False once the turn is over or lost: the database was restarted, the connection cut, the file removed."""
        return self._alive()


@contextmanager
def take_turn(store_url: str, model: str, holder: str, now: datetime) -> Iterator[Turn]:
    """Have the turn of a model to oneself. Raises Busy at once where another process or thread has it.

    On PostgreSQL the store must be prepared.
    """
    name = _name_of(model)
    with _attempt(store_url, name, holder, now) as alive:
        if alive is None:
            raise Busy(_in_words(store_url, model))
        turn = Turn(model, holder, now, alive)
        yield turn
        if not turn.alive():
            log.warning("turn        of %s was lost before its end; another run may have started meanwhile", model)


def holder(store_url: str, model: str) -> Holder | None:
    """Who has the turn of a model; None where nobody has."""
    file, name = sqlite_file(store_url), _name_of(model)
    if file is not None:
        found = turn_file.holder(_lock_file(file, name))
    else:
        found = turn_session.holder(_server(store_url), store_url, name)
    return None if found is None else Holder(*found, model)


@contextmanager
def in_turn(store_url: str, name: str, timeout_seconds: float) -> Iterator[None]:
    """Wait for one's turn in a short critical section. Raises UnavailableError where others take too long."""
    file, full_name = sqlite_file(store_url), f"section-{name}"
    if file is not None:
        with exclusive(_lock_file(file, full_name), timeout_seconds):
            yield
    else:
        with turn_session.waited_for(_server(store_url), store_url, full_name, timeout_seconds):
            yield


def _attempt(
    store_url: str, name: str, holder: str, now: datetime
) -> AbstractContextManager[Callable[[], bool] | None]:
    file = sqlite_file(store_url)
    if file is not None:
        return turn_file.attempted(_lock_file(file, name), holder, now)
    return turn_session.attempted(_server(store_url), store_url, name, holder, now)


def _in_words(store_url: str, model: str) -> str:
    other = holder(store_url, model)
    if other is None:
        return f"{model}: another run had its turn until now; start again"
    since = f"{other.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{model}: a run has its turn since {since} ({other.holder}); wait for it, or stop it"


def _name_of(model: str) -> str:
    return f"model-{model}"


def _lock_file(store: Path, name: str) -> Path:
    return store.with_name(f"{store.name}.turns") / f"{quote(name, safe='')}.lock"


def _server(store_url: str) -> turn_session.Engine:
    engine = open_engine(store_url)
    if engine.dialect.name == "sqlite":
        raise UserError(f"{redacted(store_url)}: nobody can take turns on a store in memory; give it a file")
    return engine
