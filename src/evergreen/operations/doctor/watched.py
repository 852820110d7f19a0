"""Monitoring: whether the traffic of every model that is served is looked at."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from evergreen.operations.doctor.finding import Finding, asked, fine, unknown, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.operations.doctor.project import readable_specs
from evergreen.operations.silence import deadline
from evergreen.spec import ModelSpec
from evergreen.spec.model import Schedule
from evergreen.store.health import read_state
from evergreen.store.ledger import Ledger
from evergreen.store.tables import HEAD
from evergreen.store.traffic import Traffic
from evergreen.store.windows import Windows

MONITORING = "monitoring"


def look_at_monitoring(patient: Patient) -> Iterator[Finding]:
    """The windows of all models, against the traffic that is captured."""
    yield asked(MONITORING, lambda: _look(patient))


def overdue(spec: ModelSpec, url: str, now: datetime) -> datetime | None:
    """Since when the captured traffic of a model has not been looked at, if it should have been; else None.

    Rows wait for their window up to `monitoring.max_wait`, and then for the next time of its schedule; the one after
    that was missed.
    """
    crowns = Ledger(url).history(spec.model)
    rules = spec.monitoring
    late = deadline(Schedule(cron=rules.cron, timezone=rules.timezone), now)
    if not crowns or not rules.active or late is None:
        return None
    last = next(iter(Windows(url).last(spec.model)), None)
    since = max(crowns[-1].at, last.until) if last else crowns[-1].at
    closed = now - rules.max_wait - (late - now)
    if closed <= since:
        return None
    return since if Traffic(url).cut(spec.model, since, closed, crowns[-1].version, 1).rows else None


def judge_monitoring(late: Sequence[tuple[ModelSpec, datetime]], watched: int) -> Finding:
    """Models whose traffic nobody looks at."""
    if not late:
        return fine(MONITORING, f"nothing is overdue of {watched} models" if watched else "no model is watched")
    named = ", ".join(f"{spec.model} (since {since:%Y-%m-%d %H:%M} UTC)" for spec, since in late)
    do = f"evergreen monitor {late[0][0].model} --now; see that its deployment monitor/{late[0][0].model} is scheduled"
    return wrong(MONITORING, f"captured traffic is not looked at: {named}", do)


def _look(patient: Patient) -> Finding:
    url = patient.settings.store_url
    state = read_state(url)
    if state is None or state.revision is None:
        return fine(MONITORING, "nothing yet")
    if state.revision != HEAD:
        return unknown(MONITORING, "not read before the store is migrated")
    specs = [spec for spec in readable_specs(patient.settings.configs)[0] if spec.monitoring.active]
    now = patient.clock()
    late = [(spec, since) for spec in specs if (since := overdue(spec, url, now)) is not None]
    return judge_monitoring(late, len(specs))
