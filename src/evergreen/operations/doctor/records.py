"""The store: whether it answers, is of this version, holds together, and what in it waits."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from evergreen.address import redacted
from evergreen.errors import IntegrityError
from evergreen.operations.doctor.clock import judge_clock, measure
from evergreen.operations.doctor.finding import Finding, asked, fine, first_line, unknown, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.store.entry import LedgerEntry
from evergreen.store.health import DatabaseState, known_revisions, read_state
from evergreen.store.ledger import Ledger
from evergreen.store.tables import HEAD

STORE, MIGRATIONS, CLOCK, LEDGER, WAITING = "store", "migrations", "store clock", "ledger", "waiting decisions"
BEHIND_STORE = (MIGRATIONS, CLOCK, LEDGER, WAITING)


def look_at_store(patient: Patient) -> Iterator[Finding]:
    """The database of the ledger, from the outside in: what stands on something broken is not looked at."""
    url = patient.settings.store_url
    try:
        state = read_state(url)
    except Exception as error:
        # Drivers throw what they like; a store that cannot be opened is wrong, however it says so.
        yield wrong(STORE, first_line(error), _what_to_do(error))
        yield from (unknown(name, "the store does not answer") for name in BEHIND_STORE)
        return
    if state is None:
        yield fine(STORE, f"{redacted(url)} is created by the first run")
        yield from (fine(name, "nothing yet") for name in BEHIND_STORE)
        return
    yield fine(STORE, redacted(url))
    yield from _look_inside(state, patient)


def judge_migrations(found: str | None) -> Finding:
    """The migration that a store is at, None for an empty database, against the one that this version needs."""
    if found is None:
        return fine(MIGRATIONS, "an empty database; the first run prepares it")
    if found == HEAD:
        return fine(MIGRATIONS, f"at {found}")
    if found in known_revisions():
        what = f"at {found}, and this Evergreen needs {HEAD}; runs migrate it before they start"
        return wrong(MIGRATIONS, what, "back the store up, then: evergreen tend")
    what = f"at {found}, which a newer Evergreen wrote; this one knows up to {HEAD}"
    return wrong(MIGRATIONS, what, "install that version")


def judge_waiting(held: tuple[LedgerEntry, ...]) -> Finding:
    """Decisions that a person has to answer. That is nothing wrong."""
    if not held:
        return fine(WAITING, "none")
    shown = ", ".join(f"{entry.id} ({entry.model}, since {entry.decided_at:%Y-%m-%d})" for entry in held)
    return fine(WAITING, f"{len(held)}: {shown}", f"evergreen approve {held[0].id}, or reject")


def _look_inside(state: DatabaseState, patient: Patient) -> Iterator[Finding]:
    yield judge_migrations(state.revision)
    url = patient.settings.store_url
    yield asked(CLOCK, lambda: _look_at_clock(url, patient) if state.now else fine(CLOCK, "is that of this machine"))
    if state.revision != HEAD:
        answer: Callable[[str, str], Finding] = fine if state.revision is None else unknown
        yield from (
            answer(name, "nothing yet" if state.revision is None else "not read before it is migrated")
            for name in (LEDGER, WAITING)
        )
        return
    ledger = Ledger(url)
    yield asked(LEDGER, lambda: _look_at_ledger(ledger))
    yield asked(WAITING, lambda: judge_waiting(ledger.pending(None)))


def _look_at_clock(url: str, patient: Patient) -> Finding:
    def now() -> datetime:
        state = read_state(url)
        assert state is not None, "a server's database has a state"
        assert state.now is not None, "a server has a clock"
        return state.now

    skew = measure(now, patient.clock, step=timedelta(0))
    return judge_clock(CLOCK, skew, patient.bounds.skew)


def _look_at_ledger(ledger: Ledger) -> Finding:
    problems = ledger.verify()
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        return wrong(LEDGER, f"{problems[0]}{more}", "evergreen audit; compare it with a backup before anything else")
    return fine(LEDGER, "its chain holds")


def _what_to_do(error: Exception) -> str:
    if isinstance(error, IntegrityError):
        return "restore it from its backup, or correct EVERGREEN_STORE_URL"
    return "start it, or correct EVERGREEN_STORE_URL"
