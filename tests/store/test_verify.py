"""What somebody does who can drop triggers is found."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.address import with_driver
from evergreen.checks import Check, Outcome
from evergreen.errors import IntegrityError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store.chain import link
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pins

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
CHECKS = (Check("accuracy", Outcome.PASS, 0.1 + 0.2, "≥ 0.30", "é"), Check("x", Outcome.UNKNOWN, float("nan"), "", ""))
REJECTED = LedgerEntry("churn", DecisionKind.REJECT, ("worse",), CHECKS, Reason.MANUAL, NOW, NOW, "anna")
PROMOTED = replace(REJECTED, kind=DecisionKind.PROMOTE, version=4, champion_before=3, champion_after=4)
HELD = replace(REJECTED, kind=DecisionKind.HOLD, mlflow_run="r", model_digest="d")

Forge = Callable[..., None]


@pytest.fixture
def forge(ledger) -> Forge:
    """Run statements as the owner of the tables, to whom triggers are no obstacle."""

    def run(*statements: str) -> None:
        engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
        with engine.begin() as connection:
            for statement in (*disarm(connection), *statements):
                connection.execute(sa.text(statement))

    return run


def disarm(connection: sa.Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        names = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
        return [f"DROP TRIGGER {name}" for name in names]
    return ["SET session_replication_role = replica"]


@pytest.fixture
def written(ledger) -> Ledger:
    """Five decisions of which one took effect (#2) and one answers another (#5 the held #4), and a pin."""
    ledger.record(REJECTED)
    ledger.record(PROMOTED)
    ledger.crown(2, "churn", 4, NOW + timedelta(minutes=1))
    ledger.record(replace(REJECTED, model="demand"))
    ledger.record(HELD)
    ledger.record(replace(REJECTED, cause=Cause.APPROVAL, resolves=4))
    Pins(ledger.url).pin("churn", "anna", "holidays", NOW)
    return ledger


def test_nothing_is_wrong_with_what_evergreen_wrote(written):
    assert written.verify() == ()


def test_nothing_is_wrong_with_an_empty_store(ledger):
    assert ledger.verify() == ()


@pytest.mark.parametrize(
    ("forgery", "found"),
    [
        ("UPDATE decisions SET decided_by = 'eve' WHERE id = 3", ["decisions: chain broken at #3: the row was"]),
        ("UPDATE decisions SET kind = 'PROMOTE' WHERE id = 1", ["decisions: chain broken at #1: the row was changed"]),
        ("UPDATE decisions SET version = 9 WHERE id = 3", ["decisions: chain broken at #3: the row was"]),
        ("UPDATE decisions SET version = NULL WHERE id = 2", ["decisions: chain broken at #2: the row was"]),
        ("UPDATE decisions SET reasons = '[\"better\"]' WHERE id = 5", ["decisions: chain broken at #5: the row was"]),
        ("UPDATE decisions SET as_of = '2026-03-01 00:00:00.000000' WHERE id = 1", ["decisions: chain broken at #1"]),
        ("DELETE FROM decisions WHERE id = 3", ["decisions: chain broken at #4: #3 is missing"]),
        ("DELETE FROM decisions WHERE id = 1", ["decisions: chain broken at #2: #1 is missing"]),
        ("DELETE FROM decisions WHERE id = 5", ["decisions: chain broken at its end: #5 is missing"]),
        (
            "DELETE FROM decisions WHERE id > 3",
            ["decisions: chain broken at its end: #4 to #5 are missing"],
        ),
        ("UPDATE decisions SET id = 6 WHERE id = 5", ["decisions: chain broken at #6: #5 is missing"]),
        ("UPDATE champions SET at = '2026-02-01 00:00:00.000000'", ["champions: chain broken at #1: the row was"]),
        (
            "UPDATE champions SET version = 5",
            ["champions: chain broken at #1", "champions: #1 says that decision 2 made version 5 of churn champion"],
        ),
        (
            "UPDATE champions SET decision_id = 77",
            ["champions: chain broken at #1", "there is no such decision"],
        ),
        ("DELETE FROM champions", ["champions: chain broken at its end: #1 is missing"]),
        ("DELETE FROM pins", ["pins: chain broken at its end: #1 is missing"]),
        ("UPDATE decisions SET resolves = 3 WHERE id = 5", ["chain broken at #5", "#5 answers #3, which was not held"]),
        ("DELETE FROM chain_heads WHERE name = 'pins'", ["pins: nothing says where the chain ends"]),
        (
            "UPDATE chain_heads SET chain = 'x' WHERE name = 'pins'",
            ["pins: chain broken at its end: #1 is not the row"],
        ),
    ],
)
def test_what_was_forged_is_found(written, forge, forgery, found):
    forge(forgery)
    told = written.verify()
    assert len(told) == len(found), told
    assert [words for words, problem in zip(found, told, strict=True) if words not in problem] == []


def test_a_row_that_was_slipped_in_is_found_and_what_follows_is_still_held_together(written, forge):
    columns = "model, kind, reasons, checks, reason, as_of, decided_at, decided_by, cause"
    forge(
        f"INSERT INTO decisions (id, {columns}) SELECT 6, {columns} FROM decisions WHERE id = 1",
    )
    assert written.record(REJECTED).id == 7
    assert written.verify() == ("decisions: #6 was not written by Evergreen: it is not in the chain",)


def test_a_row_that_was_changed_and_chained_anew_is_found_at_the_next_one(written, forge):
    forge("UPDATE decisions SET decided_by = 'eve', chain = 'anew' WHERE id = 2")
    assert [problem.split(":")[1] for problem in written.verify()] == [
        " chain broken at #2",
        " chain broken at #3",
    ]


@pytest.mark.parametrize("change", ["reasons = '{'", "as_of = 'yesterday'"])
def test_a_row_that_was_made_unreadable_is_found(tmp_path, change):
    # PostgreSQL takes neither: its columns have types.
    ledger = Ledger(f"sqlite:///{tmp_path / 'evergreen.db'}")
    ledger.prepare()
    for _ in range(3):
        ledger.record(REJECTED)
    engine = sa.create_engine(ledger.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in (*disarm(connection), f"UPDATE decisions SET {change} WHERE id = 2"):
            connection.execute(sa.text(statement))
    assert ledger.verify() == ("decisions: #2 was changed to something that cannot be read",)


def test_nothing_is_written_where_nobody_knows_the_end_of_the_chain(written, forge):
    forge("DELETE FROM chain_heads")
    with pytest.raises(IntegrityError, match="nothing says where the chain of decisions ends"):
        written.record(REJECTED)
    assert len(written.entries("churn")) == 4


def test_a_row_that_no_chain_holds_is_refused(written):
    # As a process that was started before the upgrade would write it.
    columns = "model, kind, reasons, checks, reason, as_of, decided_at, decided_by"
    engine = sa.create_engine(with_driver(written.url), poolclass=sa.NullPool)
    with (
        pytest.raises(sa.exc.DBAPIError, match="decisions takes chained rows only: use the newest Evergreen"),
        engine.begin() as connection,
    ):
        connection.execute(sa.text(f"INSERT INTO decisions (id, {columns}) SELECT 9, {columns} FROM decisions LIMIT 1"))
    assert written.verify() == ()


def test_a_chain_is_what_it_was_when_the_first_store_was_chained():
    # Never to be changed: every row that was ever written is verified with it.
    row = {"id": 1, "model": "churn", "checks": [{"value": 0.1 + 0.2, "why": "é"}], "as_of": NOW, "version": None}
    text = (
        '{"as_of":"2026-03-02T06:00:00+00:00","checks":[{"value":0.30000000000000004,"why":"\\u00e9"}],'
        '"id":1,"model":"churn"}'
    )
    assert link("", row | {"chain": "?"}) == sha256(f"\n{text}".encode()).hexdigest()
    assert link("ab", row) == sha256(f"ab\n{text}".encode()).hexdigest()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    value=st.none() | st.floats(),
    moment=st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),
)
def test_the_chain_holds_whatever_was_written(ledger, text, value, moment):
    checks = (Check(text, Outcome.PASS, value, "≥ 1", "why"),)
    ledger.record(replace(REJECTED, reasons=(text, text), checks=checks, as_of=moment, snapshot=text))
    assert ledger.verify() == ()
