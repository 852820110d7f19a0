"""What a window asks for: signals, those of the windows before it, and the rules of the spec."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from evergreen.checks import Outcome
from evergreen.gate.decision import Reason
from evergreen.spec.base import format_duration
from evergreen.spec.monitoring import MonitoringRules, Persistence
from evergreen.store.window import Signal, SignalKind, Verdict, Window

MONTH = timedelta(days=30)
"""What the budget of retrainings is of."""

_TELLING = (
    SignalKind.VOLUME,
    SignalKind.FRESHNESS,
    SignalKind.UNSEEN,
    SignalKind.ERRORS,
    SignalKind.LATENCY,
    SignalKind.AGE,
    SignalKind.SKEW,
)
_OF_ROWS = (SignalKind.INPUT_DRIFT, SignalKind.PREDICTION_DRIFT, SignalKind.ESTIMATE, SignalKind.REALISED)
_TOLD = (Verdict.ALERT, Verdict.LABELS, Verdict.QUARANTINE)


@dataclass(frozen=True)
class Judged:
    """What a window asks for, in sentences; `retrain` is why, where it asks for a retraining.

    `told` is False where people were told the same a short while ago.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    retrain: Reason | None = None
    told: bool = False


@dataclass(frozen=True)
class _Wish:
    """What one rule asks for."""

    verdict: Verdict
    why: str
    retrain: Reason | None = None


@dataclass(frozen=True)
class Reign:
    """The version that is the champion, and since when: one that was rolled back to begins anew."""

    version: int
    since: datetime

    def has(self, window: Window) -> bool:
        """True where it is the champion whose window that is."""
        return window.version == self.version and window.since >= self.since


def decide(
    signals: Sequence[Signal],
    earlier: Sequence[Window],
    rules: MonitoringRules,
    asked_at: Sequence[datetime],
    now: datetime,
    reign: Reign | None = None,
) -> Judged:
    """What follows from the signals of a window.

    `earlier` are the windows before it, the newest last; those of another reign than `reign` say nothing about this
    one, and neither do those whose feed was broken. `asked_at` is when monitoring asked for retrainings.

    >>> moved = Signal(SignalKind.REALISED, Outcome.FAIL, "the loss is 0.21 at least, and 0.14 is the bound")
    >>> decide([moved], [], MonitoringRules(), [], datetime(2026, 11, 16, 6)).verdict
    <Verdict.RETRAIN: 'retrain'>
    """
    ours = [window for window in earlier if reign is None or reign.has(window)]
    past = [w for w in ours if w.verdict is not Verdict.QUARANTINE]
    found = {signal.kind: signal for signal in signals}
    wishes = list(_wishes(found, past, rules))
    verdict = max((wish.verdict for wish in wishes), key=_rank, default=_without_wishes(found))
    reasons = tuple(wish.why for wish in sorted(wishes, key=lambda wish: -_rank(wish.verdict)))
    retrain = next((wish.retrain for wish in wishes if wish.verdict is verdict), None)
    if verdict is Verdict.RETRAIN and (refused := _refusal(rules, asked_at, now)):
        return _telling(Judged(Verdict.ALERT, (*reasons, refused)), signals, earlier, rules, now)
    if verdict is Verdict.RETRAIN:
        return Judged(verdict, reasons, retrain, told=True)
    return _telling(Judged(verdict, reasons or _nothing(found, verdict)), signals, earlier, rules, now)


def is_broken(signal: Signal) -> bool:
    """True where a signal says that the feed is broken: nothing is learnt from such rows, nor retrained for them.

    Categories that are new, or a rush of rows, are no fault of them.
    """
    if not signal.raised or signal.kind not in (SignalKind.FAULTS, SignalKind.UNSEEN):
        return False
    columns = signal.details.get("columns", ())
    return signal.kind is SignalKind.FAULTS or any(c.get("raised") and c.get("what") != "unseen" for c in columns)


def _wishes(found: dict[SignalKind, Signal], past: Sequence[Window], rules: MonitoringRules) -> Iterator[_Wish]:
    broken = [signal for signal in found.values() if is_broken(signal)]
    yield from (_Wish(Verdict.QUARANTINE, _sentence(signal.kind, signal.why)) for signal in broken)
    telling = [signal for kind in _TELLING if (signal := _raised(found, kind)) and signal not in broken]
    yield from (_Wish(Verdict.ALERT, _sentence(signal.kind, signal.why)) for signal in telling)
    if broken:
        # Whatever else these rows seem to say, they say it of the feed.
        return
    if signal := _raised(found, SignalKind.REALISED):
        yield _realised_wish(signal, past, rules)
    yield from _estimate_wishes(found, past, rules)
    yield from _drift_wishes(found, past, rules)


def _realised_wish(signal: Signal, past: Sequence[Window], rules: MonitoringRules) -> _Wish:
    """A loss that is only copied asks for no retraining again; for the first one it may, where that was refused."""
    why = _sentence(signal.kind, signal.why)
    if not _is_copied(signal):
        return _wish(rules.realised.then, why, Reason.PERFORMANCE)
    why = f"{why}; no label is new since that was measured"
    measured = any(not _is_copied(found) for window in past if (found := window.signal(SignalKind.REALISED)))
    if measured and all(window.verdict is not Verdict.RETRAIN for window in past):
        return _wish(rules.realised.then, why, Reason.PERFORMANCE)
    return _Wish(Verdict.ALERT, why)


def _is_copied(signal: Signal) -> bool:
    return bool(signal.details.get("copied"))


def _estimate_wishes(
    found: dict[SignalKind, Signal], past: Sequence[Window], rules: MonitoringRules
) -> Iterator[_Wish]:
    signal = _raised(found, SignalKind.ESTIMATE)
    if signal is None:
        return
    times = 1 + sum(window.raised(SignalKind.ESTIMATE) for window in _newest(past, rules.estimate))
    why = f"{_sentence(signal.kind, signal.why)} ({_persistence(times, rules.estimate, rules.estimate.k)})"
    if times >= rules.estimate.k:
        yield _wish(rules.estimate.then, why, Reason.PERFORMANCE)
    else:
        yield _Wish(Verdict.QUIET, why)


def _drift_wishes(found: dict[SignalKind, Signal], past: Sequence[Window], rules: MonitoringRules) -> Iterator[_Wish]:
    """Together they count in `k` of `n`. One alone is told where all `n` say so: it is no harm, and may be chance."""
    rule = rules.drift
    kinds = [kind for kind in (SignalKind.INPUT_DRIFT, SignalKind.PREDICTION_DRIFT) if _raised(found, kind)]
    for kind in kinds:
        times = 1 + sum(window.raised(kind) for window in _newest(past, rule))
        why = f"{_sentence(kind, found[kind].why)} ({_persistence(times, rule, rule.n)})"
        yield _Wish(Verdict.ALERT if times >= rule.n else Verdict.QUIET, why)
    if len(kinds) > 1:
        moved = [window for window in _newest(past, rule) if all(window.raised(kind) for kind in kinds)]
        why = f"Inputs and predictions moved together ({_persistence(1 + len(moved), rule, rule.k)})"
        if len(moved) + 1 < rule.k:
            yield _Wish(Verdict.QUIET, why)
        elif harmless := _harmless(found, [*moved, *past[-1:]], rules):
            yield _Wish(Verdict.ALERT, f"{why}, without harm: {harmless}")
        else:
            yield _wish(rule.then, why, Reason.DRIFT)


def _harmless(found: dict[SignalKind, Signal], moved: Sequence[Window], rules: MonitoringRules) -> str:
    """What shows that the model is as good on rows that moved as before; empty where nothing does.

    Labels show it, as many as any verdict on the loss needs, of rows that were answered since they moved, where the
    estimate does not say otherwise. Labels of older rows would say it of the world that is gone.
    """
    realised = found.get(SignalKind.REALISED)
    if realised is None or realised.outcome is not Outcome.PASS or _is_copied(realised):
        return ""
    newest = realised.details.get("newest", {})
    since = min((window.since for window in moved), default=None)
    known = newest.get("labels", 0) >= rules.realised.min_labels and "answered_since" in newest
    if not known or realised.bound is None or newest["loss"] > realised.bound or _raised(found, SignalKind.ESTIMATE):
        return ""
    if since is not None and datetime.fromisoformat(newest["answered_since"]) < since:
        return ""
    return f"the loss on their {newest['labels']:,} labels is {newest['loss']:.4g}, and its bound {realised.bound:.4g}"


def _wish(then: str, why: str, retrain: Reason) -> _Wish:
    verdict = Verdict(then)
    return _Wish(verdict, why, retrain if verdict is Verdict.RETRAIN else None)


def _newest(past: Sequence[Window], rule: Persistence) -> Sequence[Window]:
    """The windows that count beside the newest one."""
    return past[-(rule.n - 1) :] if rule.n > 1 else ()


def _refusal(rules: MonitoringRules, asked_at: Sequence[datetime], now: datetime) -> str:
    """Why a retraining is not asked for now; empty where it is."""
    last = max(asked_at, default=None)
    if last is not None and now < last + rules.cooldown:
        length = format_duration(rules.cooldown)
        return f"No retraining is asked for: one was on {last:%Y-%m-%d %H:%M} UTC, and monitoring.cooldown is {length}"
    month = sum(at > now - MONTH for at in asked_at)
    if month >= rules.budget:
        return f"No retraining is asked for: {month} were in 30 days, and monitoring.budget is {rules.budget}"
    return ""


def _telling(
    judged: Judged, signals: Sequence[Signal], earlier: Sequence[Window], rules: MonitoringRules, now: datetime
) -> Judged:
    """The same, told unless people were told of the same signals within the cooldown, if only by a retraining."""
    raised = {signal.kind for signal in signals if signal.raised}
    same = {judged.verdict, *({Verdict.RETRAIN} if judged.verdict is Verdict.ALERT else ())}
    known = any(
        window.verdict in same and raised <= {signal.kind for signal in window.signals if signal.raised}
        for window in earlier
        if window.event and now < window.looked_at + rules.cooldown
    )
    return Judged(judged.verdict, judged.reasons, told=judged.verdict in _TOLD and not known)


def _without_wishes(found: dict[SignalKind, Signal]) -> Verdict:
    """QUIET where any look at the rows could tell something; what is copied was no look."""
    looked = [found[kind] for kind in _OF_ROWS if kind in found and not _is_copied(found[kind])]
    told = any(signal.outcome is not Outcome.UNKNOWN for signal in looked)
    return Verdict.QUIET if told else Verdict.UNKNOWN


def _nothing(found: dict[SignalKind, Signal], verdict: Verdict) -> tuple[str, ...]:
    if verdict is Verdict.QUIET:
        return ("Nothing is out of bounds",)
    unknown = dict.fromkeys(found[k].why for k in _OF_ROWS if k in found and found[k].outcome is Outcome.UNKNOWN)
    return tuple(_capital(why) for why in unknown) or ("Nothing was looked at",)


def _raised(found: dict[SignalKind, Signal], kind: SignalKind) -> Signal | None:
    signal = found.get(kind)
    return signal if signal is not None and signal.raised else None


def _persistence(times: int, rule: Persistence, needed: int) -> str:
    return f"in {times} of the last {rule.n} windows; {needed} are needed"


def _sentence(kind: SignalKind, why: str) -> str:
    return f"{_capital(kind.value)}: {why}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_ORDER = (Verdict.UNKNOWN, Verdict.QUIET, Verdict.ALERT, Verdict.LABELS, Verdict.RETRAIN, Verdict.QUARANTINE)


def _rank(verdict: Verdict) -> int:
    return _ORDER.index(verdict)
