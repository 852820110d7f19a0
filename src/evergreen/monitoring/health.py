"""How serving does: errors, latency, the champion's age, and whether it computes what training computed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from evergreen.checks import Outcome
from evergreen.monitoring.arrivals import in_words
from evergreen.monitoring.chance import exceeds
from evergreen.spec.base import format_duration
from evergreen.spec.model import ModelSpec
from evergreen.store.asked import Asked
from evergreen.store.window import Signal, SignalKind

_TAIL = 0.05


def look_at_health(
    answers: Any, asked: Asked | None, trained_until: datetime | None, spec: ModelSpec, now: datetime
) -> tuple[Signal, Signal, Signal]:
    """ERRORS, LATENCY and AGE of a window.

    `answers` is an Arrow table of captured answers (`request` and `latency_ms`), of both roles; `asked` what serving
    counted of the same time, None where nobody did. `trained_until` is the moment of the champion's newest training
    row, None where it has no time.
    """
    rules = spec.monitoring.health
    bound = rules.latency_p95_ms or _gate_bound(spec)
    return (
        judge_errors(asked, rules.max_error_share),
        judge_latency(_latency_of_requests(answers), bound),
        judge_age(trained_until, rules.max_age, now),
    )


def judge_errors(asked: Asked | None, bound: float) -> Signal:
    """Requests that serving failed at (5xx), as a share of those that it answered or failed at.

    Refused requests (4xx) are the caller's and count for neither. FAIL where chance does not explain what is above the
    bound. UNKNOWN where nothing was counted: an answer that was never given is captured nowhere.
    """
    if asked is None:
        why = "nobody counted: serving keeps counts of requests in the store once it runs with one"
        return Signal(SignalKind.ERRORS, Outcome.UNKNOWN, why, bound=bound)
    tried = asked.answered + asked.failed
    details = {"answered": asked.answered, "refused": asked.refused, "failed": asked.failed}
    if not tried:
        return Signal(SignalKind.ERRORS, Outcome.UNKNOWN, "no request came", bound=bound, details=details)
    outcome = Outcome.FAIL if exceeds(asked.failed, tried, bound) else Outcome.PASS
    why = f"{asked.failed:,} of {tried:,} requests failed ({asked.failed / tried:.2%})"
    if asked.refused:
        why += f"; {asked.refused:,} more were refused"
    return Signal(SignalKind.ERRORS, outcome, why, asked.failed / tried, bound, details=details)


def judge_latency(latencies: Sequence[float], bound: float | None) -> Signal:
    """The latency in milliseconds that 95 % of the requests stay at or below; one number a request.

    FAIL where more than 5 % of them are above the bound, by more than chance explains. A bound that nobody declared is
    kept by everybody.
    """
    import numpy as np

    values = np.asarray(latencies, dtype=float)
    if not len(values):
        return Signal(SignalKind.LATENCY, Outcome.UNKNOWN, "no captured answer says how long it took", bound=bound)
    p95 = float(np.quantile(values, 1 - _TAIL, method="inverted_cdf"))
    said = f"p95 of {len(values):,} requests is {p95:.3g} ms"
    if bound is None:
        return Signal(SignalKind.LATENCY, Outcome.PASS, f"{said}; the spec declares no bound", p95)
    slow = exceeds(int((values > bound).sum()), len(values), _TAIL)
    why = f"{said}, allowed are {bound:g} ms"
    return Signal(SignalKind.LATENCY, Outcome.FAIL if slow else Outcome.PASS, why, p95, bound)


def judge_age(trained_until: datetime | None, limit: timedelta | None, now: datetime) -> Signal:
    """Days since the champion's newest training row. UNKNOWN where there is a limit, and the age is not known."""
    bound = None if limit is None else limit.total_seconds() / 86400
    if trained_until is None:
        outcome = Outcome.PASS if limit is None else Outcome.UNKNOWN
        return Signal(SignalKind.AGE, outcome, "the champion's training rows have no time", bound=bound)
    days = (now - trained_until).total_seconds() / 86400
    why = f"the champion's newest training row is {in_words(now - trained_until)} old"
    if limit is None:
        return Signal(SignalKind.AGE, Outcome.PASS, f"{why}; the spec declares no limit", days)
    outcome = Outcome.FAIL if days > limit.total_seconds() / 86400 else Outcome.PASS
    return Signal(SignalKind.AGE, outcome, f"{why}, allowed are {format_duration(limit)}", days, bound)


def judge_skew(rows: int, equal: int, difference: float, problem: str = "") -> Signal:
    """What `stages.skew` measured of the champion: so many captured rows answered again, so many equal.

    `value` is the share that differs. One row is enough: the same version cannot say two things about the same inputs.

    >>> judge_skew(200, 199, 0.5).outcome
    <Outcome.FAIL: 'FAIL'>
    """
    if problem or not rows:
        return Signal(SignalKind.SKEW, Outcome.UNKNOWN, problem or "no captured row was answered again", bound=0.0)
    share = (rows - equal) / rows
    details = {"rows": rows, "equal": equal, "difference": difference if difference < float("inf") else None}
    if share:
        why = f"{rows - equal:,} of {rows:,} captured rows are answered otherwise by the pipeline; see evergreen skew"
        return Signal(SignalKind.SKEW, Outcome.FAIL, why, share, 0.0, details=details)
    why = f"{rows:,} captured rows are answered by the pipeline as they were served"
    return Signal(SignalKind.SKEW, Outcome.PASS, why, 0.0, 0.0, details=details)


def _gate_bound(spec: ModelSpec) -> float | None:
    declared = spec.gates.absolute.get("latency_p95_ms")
    return None if declared is None else declared.at_most


def _latency_of_requests(answers: Any) -> Any:
    """Milliseconds of each request: all rows of one were answered together."""
    import pyarrow.compute as pc

    known = answers.select(["request", "latency_ms"]).filter(pc.is_valid(answers.column("latency_ms")))
    return known.group_by("request").aggregate([("latency_ms", "max")]).column("latency_ms_max").to_numpy()
