"""Silence: a model whose schedule is active and which had no successful run for twice the schedule's interval."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from evergreen.operations.specs import Specs
from evergreen.settings import Settings
from evergreen.spec.model import ModelSpec, Schedule
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.facts import Fact, FactKind
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Outbox

# Time for a run to come to its end; less where runs are due more often than that.
_GRACE = timedelta(hours=1)
# A page of the ledger, and then as much as it takes: decisions without data are rare, except after a storm of alerts.
_PAGES = (10, 10_000)


def notice_silence(specs: Specs, settings: Settings, now: datetime) -> list[str]:
    """Put a fact into the outbox for every model that is silent now, once an episode; a line for each."""
    ledger, outbox = Ledger(settings.store_url), Outbox(settings.store_url)
    return [line for spec in specs.values() if spec.schedule.active if (line := _notice(spec, ledger, outbox, now))]


def deadline(schedule: Schedule, since: datetime) -> datetime | None:
    """When a model that had its last success at `since` counts as silent: at its second firing, and time for a run.

    None where the schedule never fires. Both moments are aware, the answer in UTC.

    >>> deadline(Schedule(cron="0 6 * * 1"), datetime(2026, 11, 16, 6, 10, tzinfo=UTC))
    datetime.datetime(2026, 11, 30, 7, 0, tzinfo=datetime.timezone.utc)
    """
    from cronsim import CronSim, CronSimError

    try:
        firings = CronSim(schedule.cron, since.astimezone(ZoneInfo(schedule.timezone)))
        first, second = (next(firings).astimezone(UTC) for _ in range(2))
    except (CronSimError, StopIteration):
        return None
    return second + min(second - first, _GRACE)


def last_success(ledger: Ledger, model: str) -> LedgerEntry | None:
    """The newest run that looked at data and decided, whatever it decided; runs that were dropped looked at none."""
    for page in _PAGES:
        entries = ledger.entries(model, page)
        found = next((e for e in entries if e.cause is Cause.RUN and e.snapshot is not None), None)
        if found is not None or len(entries) < page:
            return found
    return None


def _notice(spec: ModelSpec, ledger: Ledger, outbox: Outbox, now: datetime) -> str | None:
    last = last_success(ledger, spec.model)
    known = _known_since(outbox, spec, now)
    since = max(known.at, last.decided_at) if last else known.at
    due = deadline(spec.schedule, since)
    if due is None or now < due:
        return None
    schedule = f"{spec.schedule.cron}, {spec.schedule.timezone}"
    success = last.decided_at.isoformat() if last else None
    payload = {"last_success": success, "schedule": schedule, "due": due.isoformat()}
    episode = f"silence:{spec.model}:{last.id if last else known.key}"
    if not outbox.put(Fact(episode, FactKind.SILENCE, spec.model, now, payload)):
        return None
    return f"silence: {spec.model} has had no successful run since {since:%Y-%m-%d %H:%M} UTC"


def _known_since(outbox: Outbox, spec: ModelSpec, now: datetime) -> Fact:
    """When this schedule of the model was first seen: before that nobody can have missed a run."""
    key = f"schedule:{spec.model}:{spec.schedule.cron}:{spec.schedule.timezone}"
    seen = outbox.known(key)
    if seen is None:
        seen = Fact(key, FactKind.NOTE, spec.model, now)
        outbox.put(seen)
    return seen
