"""A store that an earlier Evergreen wrote is brought here with every row."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import evergreen.store
from evergreen.address import sqlite_file, with_driver
from evergreen.checks import Check, Outcome
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store.entry import Cause, Crown, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Outbox

MIGRATIONS = Path(evergreen.store.__path__[0]) / "migrations"
MONDAY = datetime(2026, 3, 2, 6, 0, 0, 250, tzinfo=UTC)
OLD = {
    "model": "churn",
    "reasons": json.dumps(["better by 0.012 ± 0.004"]),
    "checks": json.dumps([Check("accuracy", Outcome.PASS, 0.1 + 0.2, "≥ 0.30", "é").to_dict()]),
    "reason": "scheduled",
    "as_of": "2026-03-02 06:00:00.000250",
    "decided_at": "2026-03-02 06:03:00.000000",
    "decided_by": "anna",
    "training_key": "k1",
}
PROMOTED = {"kind": "PROMOTE", "version": 4, "champion_after": 4}
ROWS = ({"kind": "HOLD"}, PROMOTED, {"kind": "REJECT"}, PROMOTED)


@pytest.fixture
def old_store(store_url) -> str:
    """A store at migration 0001 with four decisions, of which the second took effect; no third id, as of a rollback."""
    if file := sqlite_file(store_url):
        file.parent.mkdir()
    engine = sa.create_engine(with_driver(store_url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SET TIME ZONE 'UTC'"))
        migrate(connection, "0001")
        for row_id, row in zip((1, 2, 4, 5), ROWS, strict=True):
            insert(connection, "decisions", OLD | row | {"id": row_id})
        crown = {"decision_id": 2, "model": "churn", "version": 4, "at": "2026-03-02 06:04:00.000000"}
        insert(connection, "champions", crown)
    return store_url


def migrate(connection: sa.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def insert(connection: sa.Connection, table: str, row: dict) -> None:
    # As text with no types of ours, for this is what stands in files that are years old.
    values = ", ".join("NULL" if value is None else f"'{value}'" for value in row.values())
    connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})")


def test_every_row_is_there_as_it_was_and_in_the_chain(old_store):
    ledger = Ledger(old_store)
    ledger.prepare()
    assert ledger.verify() == ()
    assert [entry.id for entry in ledger.entries("churn")] == [5, 4, 2, 1]
    assert ledger.entry(2) == LedgerEntry(
        model="churn",
        kind=DecisionKind.PROMOTE,
        reasons=("better by 0.012 ± 0.004",),
        checks=(Check("accuracy", Outcome.PASS, 0.1 + 0.2, "≥ 0.30", "é"),),
        reason=Reason.SCHEDULED,
        as_of=MONDAY,
        decided_at=MONDAY.replace(minute=3, microsecond=0),
        decided_by="anna",
        training_key="k1",
        version=4,
        champion_after=4,
        id=2,
        cause=Cause.RUN,
    )
    assert ledger.history("churn") == (Crown(2, "churn", 4, MONDAY.replace(minute=4, microsecond=0)),)


def test_the_chain_goes_on_where_the_old_rows_end(old_store):
    ledger = Ledger(old_store)
    ledger.prepare()
    ledger.crown(5, "churn", 4, MONDAY)
    assert ledger.record(ledger_entry()).id == 6
    assert ledger.verify() == ()


@pytest.mark.parametrize("table", ["decisions", "champions"])
def test_old_rows_cannot_be_changed_afterwards(old_store, table):
    Ledger(old_store).prepare()
    engine = sa.create_engine(with_driver(old_store), poolclass=sa.NullPool)
    for change in (f"UPDATE {table} SET chain = ''", f"DELETE FROM {table}"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(sa.text(change))


def test_nobody_is_told_of_what_is_long_past(old_store):
    Ledger(old_store).prepare()
    assert Outbox(old_store).pending("hook") == 0


def test_an_upgrade_that_fails_leaves_the_old_store_as_it_was(old_store, monkeypatch):
    monkeypatch.setattr("evergreen.store.chain.hashlib.sha256", broken)
    with pytest.raises(ZeroDivisionError):
        Ledger(old_store).prepare()
    monkeypatch.undo()
    engine = sa.create_engine(with_driver(old_store), poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM evergreen_migrations")).scalar() == "0001"
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM champions"))
    Ledger(old_store).prepare()
    assert Ledger(old_store).verify() == ()


def broken(text: bytes) -> None:
    raise ZeroDivisionError


def ledger_entry() -> LedgerEntry:
    return LedgerEntry("churn", DecisionKind.SKIP, ("no drift",), (), Reason.DRIFT, MONDAY, MONDAY, "anna")
