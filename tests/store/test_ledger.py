from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.address import with_driver
from evergreen.checks import Check, Outcome
from evergreen.errors import IntegrityError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store.entry import Crown, LedgerEntry
from evergreen.store.ledger import AlreadyDecided, Ledger
from evergreen.store.pins import Pins

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)

ENTRY = LedgerEntry(
    model="churn",
    kind=DecisionKind.PROMOTE,
    reasons=("all 9 checks passed", "better by 0.012 ± 0.004"),
    checks=(
        Check("accuracy", Outcome.PASS, 0.93, "≥ 0.90", "accuracy is 0.93"),
        Check("drift", Outcome.UNKNOWN, None, "≤ 0.5", "no reference"),
    ),
    reason=Reason.SCHEDULED,
    as_of=MONDAY,
    decided_at=MONDAY + timedelta(minutes=3),
    decided_by="anna",
    training_key="k1",
    snapshot="5e1f",
    spec_digest="0a",
    code="c0ffee",
    mlflow_run="r1",
    flow_run="f1",
    version=4,
    champion_before=3,
    champion_after=4,
    model_digest="d4",
)


def at(days: float) -> datetime:
    return MONDAY + timedelta(days=days)


def promote(ledger: Ledger, version: int, before: int | None, day: float) -> LedgerEntry:
    entry = replace(ENTRY, version=version, champion_before=before, champion_after=version, decided_at=at(day))
    return ledger.record(entry)


def test_what_is_recorded_is_what_is_read(ledger):
    written = ledger.record(ENTRY)
    assert written == replace(ENTRY, id=written.id)
    assert ledger.entry(written.id) == written
    assert ledger.entries("churn") == (written,)


def test_times_come_back_in_utc_whatever_zone_they_went_in(ledger):
    berlin = timezone(timedelta(hours=2))
    written = ledger.record(replace(ENTRY, as_of=datetime(2026, 6, 1, 0, 30, tzinfo=berlin)))
    read = ledger.entry(written.id)
    assert read.as_of == datetime(2026, 5, 31, 22, 30, tzinfo=UTC)
    assert read.as_of.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(ledger):
    with pytest.raises(ValueError, match="no time zone"):
        ledger.record(replace(ENTRY, as_of=datetime(2026, 6, 1)))
    with pytest.raises(ValueError, match="no time zone"):
        ledger.champion_at("churn", datetime(2026, 6, 1))
    assert ledger.entries("churn") == ()


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 0.1 + 0.2, 1e-300, 0.0, None])
def test_the_value_of_a_check_survives(ledger, value):
    written = ledger.record(replace(ENTRY, checks=(Check("x", Outcome.FAIL, value, "≥ 1", "why"),)))
    assert ledger.entry(written.id).checks[0].value == value


def test_a_check_that_measured_nan_is_recorded(ledger):
    written = ledger.record(replace(ENTRY, checks=(Check("x", Outcome.UNKNOWN, float("nan"), "≥ 1", "why"),)))
    assert str(ledger.entry(written.id).checks[0].value) == "nan"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    moment=st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),
)
def test_any_words_and_moments_survive(ledger, text, moment):
    entry = replace(ENTRY, reasons=(text,), decided_by=text, decided_at=moment)
    written = ledger.record(entry)
    assert ledger.entry(written.id) == replace(entry, id=written.id)


def test_entries_are_newest_first_and_of_one_model(ledger):
    ids = [ledger.record(replace(ENTRY, code=str(n))).id for n in range(5)]
    ledger.record(replace(ENTRY, model="penguins"))
    assert [entry.id for entry in ledger.entries("churn", limit=3)] == ids[:1:-1]


def test_there_is_no_entry_without_a_decision(ledger):
    assert ledger.entry(1) is None
    assert ledger.entries("churn") == ()
    assert ledger.twin("churn", "k1") is None
    assert ledger.champion_at("churn", MONDAY) is None
    assert ledger.history("churn") == ()
    assert ledger.unfinished("churn") == ()


def test_a_recorded_entry_is_not_recorded_again(ledger):
    with pytest.raises(ValueError, match="in the ledger already"):
        ledger.record(ledger.record(ENTRY))


@pytest.mark.parametrize(
    ("later", "found"),
    [
        ({"kind": DecisionKind.REJECT}, True),
        ({"kind": DecisionKind.HOLD}, True),
        ({"kind": DecisionKind.SKIP}, False),
        ({"kind": DecisionKind.REJECT, "training_key": "k2"}, False),
        ({"kind": DecisionKind.REJECT, "training_key": None}, False),
        ({"kind": DecisionKind.REJECT, "model": "penguins"}, False),
    ],
)
def test_the_twin_is_the_newest_decision_on_the_same_training(ledger, later, found):
    first = ledger.record(ENTRY)
    second = ledger.record(replace(ENTRY, **later))
    assert ledger.twin("churn", "k1") == (second if found else first)


def test_which_version_was_champion_on_a_day(ledger):
    four, ten = promote(ledger, 4, 3, day=0), promote(ledger, 10, 4, day=7)
    ledger.crown(four.id, "churn", 4, at(0.5))
    ledger.crown(ten.id, "churn", 10, at(7.5))
    answers = {day: ledger.champion_at("churn", at(day)) for day in (0.4, 0.5, 7.4, 7.5, 400)}
    assert answers == {0.4: None, 0.5: (4, four), 7.4: (4, four), 7.5: (10, ten), 400: (10, ten)}
    assert ledger.champion_at("penguins", at(400)) is None


def test_crowning_twice_is_crowning_once(ledger):
    entry = promote(ledger, 4, 3, day=0)
    ledger.crown(entry.id, "churn", 4, at(1))
    ledger.crown(entry.id, "churn", 4, at(2))
    assert ledger.history("churn") == (Crown(entry.id, "churn", 4, at(1)),)


def test_a_decision_crowns_one_version_only(ledger):
    entry = promote(ledger, 4, 3, day=0)
    ledger.crown(entry.id, "churn", 4, at(1))
    with pytest.raises(IntegrityError, match="crowned churn 4, not churn 5"):
        ledger.crown(entry.id, "churn", 5, at(1))


def test_nothing_is_crowned_without_a_decision(ledger):
    with pytest.raises(IntegrityError):
        ledger.crown(77, "churn", 4, at(1))
    assert ledger.history("churn") == ()


def test_unfinished_are_promotions_that_no_crown_confirms_oldest_first(ledger):
    ledger.record(replace(ENTRY, kind=DecisionKind.REJECT))
    one, two = promote(ledger, 4, 3, day=0), promote(ledger, 5, 3, day=1)
    assert ledger.unfinished("churn") == (one, two)
    assert ledger.unfinished("penguins") == ()
    ledger.crown(one.id, "churn", 4, at(1))
    assert ledger.unfinished("churn") == (two,)


def test_a_promotion_that_a_later_one_overtook_is_not_unfinished(ledger):
    promote(ledger, 4, 3, day=0)
    later = promote(ledger, 5, 3, day=1)
    ledger.crown(later.id, "churn", 5, at(1))
    assert ledger.unfinished("churn") == ()


@pytest.mark.parametrize("table", ["decisions", "champions", "pins", "facts"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {table} SET model = 'other'",
        "DELETE FROM {table}",
        "DELETE FROM {table} WHERE id = 1",
    ],
)
def test_no_row_of_the_ledger_can_be_changed(ledger, table, change):
    entry = promote(ledger, 4, 3, day=0)
    ledger.crown(entry.id, "churn", 4, at(1))
    Pins(ledger.url).pin("churn", "anna", "holidays", at(1))
    with pytest.raises(sa.exc.DBAPIError, match=f"{table} is append-only"):
        execute(ledger, change.format(table=table))
    assert ledger.entries("churn") == (entry,)
    assert len(ledger.history("churn")) == 1


@pytest.mark.parametrize(
    "replacement",
    [
        "INTO decisions (id, model, kind, reasons, checks, reason, as_of, decided_at, decided_by, chain) "
        "VALUES (1, 'churn', 'SKIP', '[]', '[]', '', '', '', '', 'x')",
        "INTO champions (id, decision_id, model, version, at, chain) VALUES (1, 1, 'churn', 9, '', 'x')",
        "INTO champions (decision_id, model, version, at, chain) VALUES (1, 'churn', 9, '', 'x')",
        "INTO facts (key, kind, model, at, payload) VALUES ('decision:1', 'held', 'churn', '', '{}')",
    ],
)
def test_a_row_cannot_be_replaced(tmp_path, replacement):
    ledger = Ledger(f"sqlite:///{tmp_path / 'evergreen.db'}")
    ledger.prepare()
    ledger.crown(promote(ledger, 4, 3, day=0).id, "churn", 4, at(1))
    with pytest.raises(sa.exc.DBAPIError, match="is append-only"):
        execute(ledger, f"INSERT OR REPLACE {replacement}")
    assert ledger.verify() == ()


def test_rows_cannot_be_truncated_away(cluster):
    ledger = Ledger(cluster.create_database())
    ledger.prepare()
    ledger.crown(promote(ledger, 4, 3, day=0).id, "churn", 4, at(1))
    for tables in ("decisions, champions, canaries, canary_totals", "pins", "facts, deliveries"):
        with pytest.raises(sa.exc.DBAPIError, match="is append-only"):
            execute(ledger, f"TRUNCATE {tables}")
    assert ledger.verify() == ()


def execute(ledger: Ledger, statement: str) -> None:
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))


def test_a_clock_that_is_behind_puts_no_champion_before_the_one_it_followed(ledger):
    first, second = promote(ledger, 4, 3, day=0), promote(ledger, 5, 4, day=0)
    ledger.crown(first.id, "churn", 4, at(1))
    ledger.crown(second.id, "churn", 5, at(0.5))
    assert [crown.at for crown in ledger.history("churn")] == [at(1), at(1)]
    assert ledger.champion_at("churn", at(7))[0] == 5
    assert ledger.champion_at("churn", at(0.7)) is None


def test_an_answer_to_an_old_question_is_refused_and_overtakes_no_newer_one(ledger):
    held = replace(ENTRY, kind=DecisionKind.HOLD, mlflow_run="run", model_digest="d", training_key="k1")
    old = ledger.record(held)
    new = ledger.record(replace(held, training_key="k2"))
    with pytest.raises(AlreadyDecided, match="overtaken by decision 2"):
        ledger.record(replace(held, kind=DecisionKind.REJECT, resolves=old.id))
    assert [entry.id for entry in ledger.pending("churn")] == [new.id]
