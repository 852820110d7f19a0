"""Monitoring: the window of live traffic that is due, the verdict on it, and what is written and told of it."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from evergreen.drift.alert import DriftAlert
from evergreen.gate.decision import Reason
from evergreen.monitoring.arrivals import AS_FAR_BACK
from evergreen.monitoring.policy import MONTH, Judged, Reign, decide
from evergreen.registry.handles import Champion
from evergreen.registry.reference import fetch_reference
from evergreen.settings import Settings
from evergreen.spec.base import format_duration
from evergreen.spec.model import ModelSpec
from evergreen.stages.open import connect, read_spec, registry_of
from evergreen.stages.scorer import find_champion
from evergreen.store.database import WAIT_SECONDS
from evergreen.store.facts import Fact, FactKind
from evergreen.store.prediction import Role
from evergreen.store.traffic import Traffic, Written
from evergreen.store.window import Signal, SignalKind, Verdict, Window
from evergreen.store.windows import Windows

log = logging.getLogger("evergreen.monitor")

# A row's moment of writing is taken before its transaction, which may wait so long for the store's lock.
_SETTLES = timedelta(seconds=WAIT_SECONDS + 5)
# Groups are counted as a whole: near the bound their rows are looked at.
_NEAR = 10_000
_KINDS = {Verdict.QUARANTINE: FactKind.FAULTS, Verdict.LABELS: FactKind.LABELS, Verdict.ALERT: FactKind.ALERT}


@dataclass(frozen=True)
class Due:
    """A window that can be looked at: rows that `champion` answered from `since` on and before `until`.

    `written` is when they were written, and `late` the same of rows before `since` that no window has seen; None where
    this champion had no window yet. `reigns` is when the champion took over.
    """

    name: str
    spec: ModelSpec
    champion: Champion
    reigns: datetime
    since: datetime
    until: datetime
    looked_at: datetime
    written: Written
    late: Written | None = None

    @property
    def model(self) -> str:
        """Whose window it is."""
        return self.spec.model

    @property
    def counted(self) -> tuple[datetime, datetime]:
        """The minutes whose requests count in it: those that were over by its end, and had been written.

        They begin where those of the champion's last window ended, so that each counts once, and as a whole.
        """
        settled = self.late.since if self.late and self.late.since else self.since
        return _minute(min(self.since, settled)), _minute(min(self.until, self.written.before))


@dataclass(frozen=True)
class NotDue:
    """There is no window to look at, and why."""

    model: str
    why: str


@dataclass(frozen=True)
class Seen:
    """What was seen in a window: its rows, how many of them were late, and its signals."""

    rows: int
    late: int
    signals: tuple[Signal, ...]


def take_window(name: str, settings: Settings, now: datetime, *, early: bool = False) -> Due | NotDue:
    """The window of a spec's model that is due: from the last one's end, or from when the champion took over.

    With `early` whatever came since then is a window. Raises IntegrityError where the champion is not the artifact
    that the ledger promoted, UnavailableError where registry or store do not answer.
    """
    spec = read_spec(name, settings)
    tracking, ledger = connect(settings)
    crowns = ledger.history(spec.model)
    if not crowns or registry_of(settings).champion_version(spec.model) is None:
        return NotDue(spec.model, "no champion yet")
    champion = find_champion(spec.model, name, settings)
    last = next(iter(Windows(settings.store_url).last(spec.model)), None)
    reigns = next((crown.at for crown in reversed(crowns) if crown.version == champion.version), crowns[-1].at)
    before = last.settled if last and last.version == champion.version else None
    until, settled = now - spec.monitoring.grace, _settled(now, spec, before)
    since = max(reigns, last.until) if last else reigns
    if until <= since:
        return NotDue(spec.model, f"the last window ended at {since:%Y-%m-%d %H:%M} UTC")
    traffic, written = Traffic(settings.store_url), Written(settled)
    piece = traffic.cut(spec.model, since, until, champion.version, spec.monitoring.max_rows, written)
    rows = piece.rows if piece.rows >= _NEAR else _count(traffic, champion, since, piece.until, written)
    if why := _waits(spec, rows, until - since, early=early, first=last is None):
        return NotDue(spec.model, why)
    late = Written(settled, before) if before else None
    champion = fetch_reference(tracking, champion, settings.home / "champions")
    return Due(name, spec, champion, reigns, since, piece.until, now, written, late)


def judge_window(due: Due, seen: Seen, settings: Settings) -> Judged:
    """What follows from the signals of a window and from those before it."""
    windows, now = Windows(settings.store_url), due.looked_at
    rules = due.spec.monitoring
    asked = windows.asked(due.model, now - max(MONTH, rules.cooldown))
    reign = Reign(due.champion.version, due.reigns)
    return decide(seen.signals, earlier_windows(due, settings), rules, asked, now, reign)


def conclude_window(due: Due, seen: Seen, judged: Judged, settings: Settings) -> Window:
    """Write the window and, in the same transaction, what people or a retraining are to be told of it.

    Where another run was faster its window stays, and is what comes back.
    """
    window = Window(
        model=due.model,
        version=due.champion.version,
        since=due.since,
        until=due.until,
        looked_at=due.looked_at,
        rows=seen.rows,
        late=seen.late,
        signals=seen.signals,
        verdict=judged.verdict,
        reasons=judged.reasons,
        event=_key(due, judged),
        settled=due.written.before,
        late_since=due.late.since if due.late else None,
    )
    windows = Windows(settings.store_url)
    if windows.write(window, _fact(window, judged)):
        log.info("monitor     %s rows of %s: %s", f"{window.rows:,}", due.model, window.verdict)
    else:
        log.info("monitor     %s: another run has looked at this window", due.model)
    shared = windows.between(due.model, due.since, due.since + timedelta(microseconds=1))
    return next(each for each in shared if each.since == due.since)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def headline(window: Window) -> str:
    """A window in a line."""
    return f"{window.model}: {window.verdict.value}, {window.rows:,} rows: {'; '.join(window.reasons)}"


def earlier_windows(due: Due, settings: Settings) -> tuple[Window, ...]:
    """The windows before it, as far back as anything is compared with, the newest last."""
    return Windows(settings.store_url).between(due.model, due.since - AS_FAR_BACK, due.since)


def _settled(looked_at: datetime, spec: ModelSpec, before: datetime | None) -> datetime:
    """Rows that were written before this moment can be read by then: their transactions had the time to end.

    It never goes back, whatever becomes of `grace`: `before` is that of the last window.
    """
    settled = looked_at - max(spec.monitoring.grace / 2, _SETTLES)
    return max(settled, before) if before else settled


def _count(traffic: Traffic, champion: Champion, since: datetime, until: datetime, written: Written) -> int:
    import pyarrow.compute as pc

    chunks = traffic.chunks(champion.model, since, until, champion.version, (), written)
    return sum(int(pc.sum(pc.equal(c.answers["role"], Role.CHAMPION.value)).as_py() or 0) for c in chunks)


def _waits(spec: ModelSpec, rows: int, waited: timedelta, *, early: bool, first: bool) -> str:
    """Why there is no window yet; empty where there is."""
    rules = spec.monitoring
    if not rows and first:
        return "no prediction of its champion is captured yet"
    if early or rows >= rules.min_rows or waited >= rules.max_wait:
        return ""
    return f"{rows:,} rows came, and a window has {rules.min_rows:,}, or {format_duration(rules.max_wait)}"


def _kind(judged: Judged) -> FactKind | None:
    """What is told; None where nothing is."""
    if not judged.told:
        return None
    if judged.verdict is Verdict.RETRAIN:
        return FactKind.DRIFT if judged.retrain is Reason.DRIFT else FactKind.PERFORMANCE
    return _KINDS[judged.verdict]


def _key(due: Due, judged: Judged) -> str:
    """The window names its event. One of drift has the name that a report of the same rows from elsewhere has."""
    kind = _kind(judged)
    moment = due.until if kind is FactKind.DRIFT else due.since
    return f"{kind}:{due.model}:{moment.isoformat()}" if kind else ""


def _fact(window: Window, judged: Judged) -> Fact | None:
    kind = _kind(judged)
    if kind is None:
        return None
    said = {"reasons": list(window.reasons), "version": window.version, "rows": window.rows}
    times = {"window_start": window.since.isoformat(), "window_end": window.until.isoformat()}
    payload = _alert(window) if kind is FactKind.DRIFT else times
    return Fact(window.event, kind, window.model, window.looked_at, {**payload, **said})


def _alert(window: Window) -> dict[str, Any]:
    """What a retraining for drift is given: the columns that moved, as a share of those that were compared."""
    signal = window.signal(SignalKind.INPUT_DRIFT)
    columns = list(signal.details.get("columns", ())) if signal else []
    moved = tuple(str(column["column"]) for column in columns if column.get("moved"))
    alert = DriftAlert(
        share=len(moved) / max(len(columns), 1),
        columns=moved,
        window_start=window.since,
        window_end=window.until,
        version=window.version,
    )
    return alert.model_dump(mode="json")
