"""What was pruned stays written down, once, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from evergreen.address import with_driver
from evergreen.store.pruned import Kind, Pruned, PrunedLog

NOW = datetime(2026, 6, 1, tzinfo=UTC)
THIRD = Pruned(Kind.VERSION, "churn", "3", "never champion", "tom", NOW, 5_000_000_000)
DATA = Pruned(Kind.SNAPSHOT, "", "ab12", "nobody needs it", "tom", NOW)


@pytest.fixture
def log(ledger):
    return PrunedLog(ledger.url)


def test_what_is_noted_is_found_again_and_chained(ledger, log):
    assert log.note(THIRD)
    assert log.version("churn", 3) == THIRD
    assert log.version("churn", 4) is None
    assert log.version("demand", 3) is None
    assert log.of("churn", Kind.VERSION) == {"3": THIRD}
    assert log.of("churn", Kind.RUN) == {}
    assert ledger.verify() == ()


def test_the_first_note_stays(log):
    assert log.note(THIRD)
    assert not log.note(Pruned(Kind.VERSION, "churn", "3", "again", "eva", NOW + timedelta(days=1)))
    assert log.version("churn", 3) == THIRD


@pytest.mark.parametrize(("since", "anew"), [(-1, False), (0, False), (1, True)])
def test_what_came_back_is_noted_anew(log, since, anew):
    log.note(DATA)
    again = Pruned(Kind.SNAPSHOT, "", "ab12", "nobody needs it", "eva", NOW + timedelta(days=9))
    assert log.note(again, since=NOW + timedelta(days=since)) is anew
    assert log.find("", Kind.SNAPSHOT, "ab12") == (again if anew else DATA)
    assert log.of("", Kind.SNAPSHOT) == {"ab12": again if anew else DATA}


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE pruned SET done_by = 'eva'",
        "DELETE FROM pruned",
        "INSERT INTO pruned (kind, model, name, why, done_by, at) VALUES ('run', 'churn', '9', '', '', '2026-01-01')",
    ],
)
def test_nobody_changes_a_note_or_slips_one_in(ledger, log, forgery):
    log.note(THIRD)
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with pytest.raises(sa.exc.DBAPIError, match=r"append-only|chained rows only"), engine.begin() as connection:
        connection.execute(sa.text(forgery))
    assert log.of("churn", Kind.VERSION) == {"3": THIRD}
    assert ledger.verify() == ()


def test_a_note_that_was_removed_all_the_same_is_found(ledger, log):
    log.note(THIRD)
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(sa.text("DROP TRIGGER pruned_no_delete"))
        else:
            connection.execute(sa.text("SET session_replication_role = replica"))
        connection.execute(sa.text("DELETE FROM pruned"))
    assert ledger.verify() == ("pruned: chain broken at its end: #1 is missing",)
