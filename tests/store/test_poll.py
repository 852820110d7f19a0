"""A poll says what the ledger says, whatever becomes of the file or the server behind its open connection."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from evergreen.address import sqlite_file, with_driver
from evergreen.errors import IntegrityError, UnavailableError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.spec.canary import CanaryRules
from evergreen.store import poll as module
from evergreen.store.canary import Canaries
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.poll import Poll

NOW = datetime(2026, 3, 2, tzinfo=UTC)
FIRST = LedgerEntry(
    "churn", DecisionKind.PROMOTE, ("fine",), (), Reason.MANUAL, NOW, NOW, "eva",
    training_key="k1", mlflow_run="r1", model_digest="d1", version=1, champion_after=1, fence=0,
)  # fmt: skip
OTHERS = (
    "pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def poll(ledger):
    made = Poll(ledger.url)
    yield made
    made.close()


def crown(ledger, version=1):
    entry = replace(FIRST, version=version, champion_after=version, training_key=f"k{version}")
    entry = ledger.record(replace(entry, fence=ledger.fence("churn"), champion_before=version - 1 or None))
    ledger.crown(entry.id, "churn", version, NOW)


def hold(ledger):
    waits = replace(FIRST, kind=DecisionKind.HOLD, training_key="k9", version=9, model_digest="d9", champion_before=1)
    return ledger.record(replace(waits, fence=ledger.fence("churn")), CanaryRules())


def agrees(poll, ledger):
    trials = Canaries(ledger.url).open("churn")
    expected = ledger.fence("churn"), trials[-1].decision_id if trials else None
    assert poll.ask("churn") == expected
    return expected


def test_it_says_what_the_ledger_says_as_it_changes(ledger, poll):
    assert agrees(poll, ledger) == (0, None)
    crown(ledger)
    assert agrees(poll, ledger) == (1, None)
    held = hold(ledger)
    assert agrees(poll, ledger) == (1, held.id)
    ledger.record(replace(held, id=None, kind=DecisionKind.REJECT, cause=Cause.APPROVAL, resolves=held.id))
    assert agrees(poll, ledger) == (1, None)
    assert poll.ask("delay") == (0, None)


def test_it_opens_one_connection(ledger, poll, monkeypatch):
    opened = []
    open_engine = module.open_engine

    def count(url):
        engine = open_engine(url)
        sa.event.listen(engine, "connect", lambda *_: opened.append(url))
        return engine

    monkeypatch.setattr(module, "open_engine", count)
    for _ in range(5):
        poll.ask("churn")
    assert len(opened) == 1


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_connection_that_the_server_closed_is_opened_anew_at_once(ledger, poll):
    crown(ledger)
    poll.ask("churn")
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.execute(sa.text(f"SELECT {OTHERS}")).all()
    assert poll.ask("churn") == (1, None)


@pytest.fixture
def file(ledger):
    return sqlite_file(ledger.url)


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("way", ["replaced", "moved away and copied", "through SQLite"])
def test_a_file_that_was_restored_is_read_and_not_the_one_before(ledger, file, poll, tmp_path, way):
    crown(ledger)
    copy = tmp_path / "backup.db"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    crown(ledger, 2)
    assert agrees(poll, ledger) == (2, None)
    if way == "through SQLite":
        with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)
    else:
        for name in ("-wal", "-shm"):
            file.with_name(file.name + name).unlink(missing_ok=True)
        if way == "replaced":
            copy.replace(file)
        else:
            file.rename(file.with_suffix(".before"))
            shutil.copyfile(copy, file)
    assert agrees(poll, ledger) == (1, None)
    crown(ledger, 3)
    assert agrees(poll, ledger)[0] > 1
    assert ledger.verify() == ()


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_file_that_was_made_smaller_is_read(ledger, file, poll):
    crown(ledger)
    agrees(poll, ledger)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    crown(ledger, 2)
    assert agrees(poll, ledger) == (2, None)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_file_that_is_gone_or_none_is_an_error_until_it_is_back(ledger, file, poll):
    crown(ledger)
    poll.ask("churn")
    away = file.rename(file.with_suffix(".away"))
    file.mkdir()
    with pytest.raises(UnavailableError):
        poll.ask("churn")
    file.rmdir()
    sqlite3.connect(file).close()
    with pytest.raises(IntegrityError, match="not a prepared store"):
        poll.ask("churn")
    file.unlink()
    away.rename(file)
    assert poll.ask("churn") == (1, None)
