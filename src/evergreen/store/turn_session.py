"""Turns on a PostgreSQL store: an advisory lock each, on a connection of its own, so that it dies with its holder.

A pooler that shares connections between transactions would break this: give the store a connection that lasts.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine, exc

from evergreen.errors import UnavailableError
from evergreen.store.database import answering, upsert
from evergreen.store.forks import kept_from_children
from evergreen.store.tables import turns

_LOOKS = 20
_PAUSE_SECONDS = 0.02
_UNKNOWN = "unknown"
_LOCK_TIMEOUT = "55P03"  # PostgreSQL's code of lock_not_available

# A machine that lost its power says no goodbye: the server finds out within a minute, and ends no session for idling.
_SETTINGS = {
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "idle_session_timeout": "0",
}
_SET = sa.text("SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name")
_TRY = sa.text("SELECT pg_try_advisory_lock(:key)")
_WAIT = sa.text("SELECT pg_advisory_lock(:key)")
_FREE = sa.text("SELECT pg_advisory_unlock(:key)")
_SESSION = sa.text("SELECT pg_backend_pid()")
_OF_KEY = """
    l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND CAST(l.classid AS bigint) = :high AND CAST(l.objid AS bigint) = :low
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_MINE = sa.text(f"SELECT EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = pg_backend_pid() AND {_OF_KEY})")
_HOLDER = sa.text(
    f"""
    SELECT l.pid = t.session AS told, t.holder, t.since, coalesce(a.backend_start, now()) AS seen
    FROM pg_locks l LEFT JOIN turns t ON t.name = :name LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE {_OF_KEY}
    """
)

log = logging.getLogger("evergreen.turn")


@contextmanager
def attempted(engine: Engine, url: str, name: str, holder: str, now: datetime) -> Iterator[Callable[[], bool] | None]:
    """Hold the turn and write who does; yields what tells whether it is still held, None where others hold it."""
    with ExitStack() as stack:
        with answering(url):
            connection = stack.enter_context(_session(engine))
            held = connection.execute(_TRY, {"key": key_of(name)}).scalar_one()
            if held:
                stack.callback(_free, connection, name)
                _tell(connection, name, holder, now)
        yield _watch(connection, name) if held else None


@contextmanager
def waited_for(engine: Engine, url: str, name: str, timeout_seconds: float) -> Iterator[None]:
    """Hold the turn, having waited for it. Raises UnavailableError where others hold it for too long."""
    with ExitStack() as stack:
        with answering(url):
            connection = stack.enter_context(_session(engine))
            patience = f"{max(1, round(timeout_seconds * 1000))}ms"  # 0 would mean for ever
            connection.execute(_SET, {"name": "lock_timeout", "value": patience})
            try:
                connection.execute(_WAIT, {"key": key_of(name)})
            except exc.OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCK_TIMEOUT:
                    raise
                message = f"{name}: held by another process for over {timeout_seconds:g} s; wait for it or stop it"
                raise UnavailableError(message) from None
            stack.callback(_free, connection, name)
        yield


def holder(engine: Engine, url: str, name: str) -> tuple[str, datetime] | None:
    """Who holds the turn since when. What a dead holder left in the table is not believed."""
    with answering(url), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for look in range(_LOOKS):
            if look:
                time.sleep(_PAUSE_SECONDS)  # it was locked just now, and is written next
            row = connection.execute(_HOLDER, {"name": name, **_halves(name)}).one_or_none()
            if row is None or row.told:
                break
    if row is None:
        return None
    return (row.holder, row.since) if row.told else (_UNKNOWN, row.seen)


def key_of(name: str) -> int:
    """The name as PostgreSQL's advisory locks know it: a signed number of 64 bits.

    >>> key_of("model-churn")
    -316093523192801540
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _halves(name: str) -> dict[str, int]:
    key = key_of(name)
    return {"high": key >> 32 & 0xFFFFFFFF, "low": key & 0xFFFFFFFF}


@contextmanager
def _session(engine: Engine) -> Iterator[sa.Connection]:
    # Without transactions: one that stays open for the hours of a training would keep the database from cleaning up.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        with kept_from_children(driver.fileno()):
            for setting, value in _SETTINGS.items():
                connection.execute(_SET, {"name": setting, "value": value})
            yield connection


def _tell(connection: sa.Connection, name: str, holder: str, now: datetime) -> None:
    session = connection.execute(_SESSION).scalar_one()
    news = {"holder": holder, "since": now, "session": session}
    insert = upsert(connection, turns).values(name=name, **news)
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=news))


def _watch(connection: sa.Connection, name: str) -> Callable[[], bool]:
    one_at_a_time = threading.Lock()

    def is_held() -> bool:
        with one_at_a_time:
            try:
                return bool(connection.execute(_MINE, _halves(name)).scalar_one())
            except exc.SQLAlchemyError:
                # Cut, closed or never to be connected again: the lock went with the session.
                return False

    return is_held


def _free(connection: sa.Connection, name: str) -> None:
    # Said and not only hung up: who asks next must not come before the server has noticed.
    try:
        connection.execute(_FREE, {"key": key_of(name)})
    except exc.SQLAlchemyError as error:
        log.debug("the session of %s is gone, and its lock with it (%s)", name, type(error).__name__)
