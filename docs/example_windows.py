"""Windows of a model as they could have been: eight weeks in which everything happens that monitoring knows.

The numbers are drawn; the verdicts are the policy's.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from evergreen.checks import Outcome
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.monitoring.policy import Reign, decide
from evergreen.report.marks import History
from evergreen.spec.monitoring import MonitoringRules
from evergreen.store.entry import Cause, Crown, LedgerEntry
from evergreen.store.window import Signal, SignalKind, Verdict, Window

BEGIN = datetime(2026, 9, 21, tzinfo=UTC)
LENGTH = timedelta(hours=3)
DELAY = 10  # windows until labels are in
# Windows: other customers, and the model does as well; others yet, and answers move too; nulls; another rule.
HARMLESS, MOVED, BROKEN, TURNED = range(92, 108), range(176, 180), range(238, 246), range(320, 352)
# The first windows of each champion.
REIGNS = {4: -200, 5: 58, 6: 180, 7: 352, 8: 394, 9: 410}
VERSIONS = {9: 7}  # a way back
HOLDOUT, BOUND = 0.112, 0.1232

WORDS = """\
Customers are those that the model was trained on, and it is as right about them as it was then, by 1,960 labels of the
last days.

At the end of October it had been wrong more often, though the customers had not changed: what they did had. A
retraining learnt that from new labels, and the loss is back where it was.\
"""


def windows(count: int = 448) -> tuple[Window, ...]:
    """So many windows, oldest first."""
    rng, rules = np.random.default_rng(5), MonitoringRules()
    found: list[Window] = []
    for place in range(count):
        asked = [window.looked_at for window in found if window.verdict is Verdict.RETRAIN]
        found.append(_window(place, found[-12:], asked, rules, rng))
    return tuple(found)


def history() -> History:
    """What became of the model meanwhile."""
    runs = [
        (58, DecisionKind.PROMOTE, Reason.SCHEDULED, 5),
        (114, DecisionKind.REJECT, Reason.SCHEDULED, None),
        (180, DecisionKind.PROMOTE, Reason.DRIFT, 6),
        (282, DecisionKind.REJECT, Reason.SCHEDULED, None),
        (340, DecisionKind.REJECT, Reason.PERFORMANCE, None),
        (352, DecisionKind.PROMOTE, Reason.PERFORMANCE, 7),
        (394, DecisionKind.PROMOTE, Reason.SCHEDULED, 8),
    ]
    decisions = [_entry(place, *run) for place, run in enumerate(runs, 1)]
    back = _entry(9, 410, DecisionKind.PROMOTE, Reason.MANUAL, 7, Cause.ROLLBACK)
    crowned = [entry for entry in [*decisions, back] if entry.kind is DecisionKind.PROMOTE]
    crowns = [Crown(e.id or 0, e.model, e.version or 0, e.decided_at) for e in crowned]
    return History((*decisions, back), crowns)


def _entry(
    number: int, place: int, kind: DecisionKind, reason: Reason, version: int | None, cause: Cause = Cause.RUN
) -> LedgerEntry:
    at = BEGIN + place * LENGTH
    said = ("f1_weighted is not certainly as good as the champion's",) if kind is DecisionKind.REJECT else ()
    return LedgerEntry("churn", kind, said, (), reason, at, at, "evergreen", version=version, id=number, cause=cause)


def _reign(place: int) -> tuple[int, int]:
    """The champion of a window, and how long it has been one."""
    reign, begin = next((reign, begin) for reign, begin in reversed(REIGNS.items()) if begin <= place)
    return VERSIONS.get(reign, reign), place - begin


def _window(
    place: int, earlier: list[Window], asked: list[datetime], rules: MonitoringRules, rng: np.random.Generator
) -> Window:
    since, until = BEGIN + place * LENGTH, BEGIN + (place + 1) * LENGTH
    now, (version, reigned) = until + timedelta(minutes=2), _reign(place)
    rows = int(rng.poisson(700 * (1.35 + np.sin((place % 8) / 8 * 2 * np.pi - 1.2))))
    signals = tuple(_signals(place, reigned, rows, rng))
    judged = decide(signals, earlier, rules, asked, now, Reign(version, BEGIN))
    event = f"{judged.verdict}:churn:{since.isoformat()}" if judged.told else ""
    late = int(rng.binomial(3, 0.2))
    return Window(
        "churn", version, since, until, now, rows, late, signals, judged.verdict, judged.reasons, event
    )  # fmt: skip


def _signals(place: int, reigned: int, rows: int, rng: np.random.Generator) -> Iterator[Signal]:
    broken, noise = place in BROKEN, 0.4 / np.sqrt(rows)
    yield from _faults(rows, broken)
    score = 0.012 + 0.008 * rng.beta(2, 3) + 0.35 * noise
    score += (place in HARMLESS) * 0.07 + (place in MOVED) * 0.12 + broken * 0.3 + 0.004 * rng.normal()
    yield _drift(score, 0.028 + noise)
    answers = 0.01 + 0.02 * rng.beta(2, 4) + (place in MOVED) * 0.06 + broken * 0.16
    why = f"distance {answers:.3f}, of which up to 0.045 is nothing"
    yield _of(SignalKind.PREDICTION_DRIFT, answers > 0.045, why, answers, 0.045)
    estimate = HOLDOUT + 0.3 * noise * rng.normal() + broken * 0.06
    band = HOLDOUT - 1.2 * noise, HOLDOUT + 1.2 * noise
    why = f"{estimate:.4f}, the band without drift is {band[0]:.4f} to {band[1]:.4f}"
    facts = {"metric": "brier", "holdout": HOLDOUT}
    yield _of(SignalKind.ESTIMATE, estimate > band[1], why, estimate, band[1], *band, details=facts)
    yield _realised(place, reigned, rng)
    yield from _health(rows, reigned, rng)


def _faults(rows: int, broken: bool) -> Iterator[Signal]:
    why = "quantity: 39.2% of rows are null, allowed are 5.0%" if broken else f"{rows:,} rows keep every rule"
    yield _of(SignalKind.FAULTS, broken, why, float(broken), 0.0)
    why = f"{rows / 3:,.0f} rows an hour, usual are 38 to 940"
    yield _of(SignalKind.VOLUME, False, why, rows / 3, None, 38.0, 940.0)
    yield _of(SignalKind.FRESHNESS, False, "the last row came 4 seconds before the window's end", 4.0, 600.0)
    yield _of(SignalKind.UNSEEN, False, "no column has more nulls, or more categories that are new", 0.001, 0.02)


def _drift(score: float, bound: float) -> Signal:
    raised, far = score > bound, min(score * 2.4, 1.0)
    columns = [
        {"column": name, "effect": effect, "weight": weight, "threshold": 0.062, "moved": effect > 0.062,
         "raised": effect > 0.062 and weight > 0.1, "what": what}
        for name, weight, effect, what in (
            ("price", 0.41, far if raised else 0.05, "median 20.1 → 27.4"),
            ("quantity", 0.22, far / 2 if raised else 0.041, "median 5 → 6"),
            ("plan", 0.12, 0.03, "share of 'pro' 20.1% → 22.0%"),
            ("region", 0.03, 0.081, "share of 'west' 25.0% → 31.8%"),
        )
    ]  # fmt: skip
    why = f"weighted distance {score:.3f}, {'above' if raised else 'of which up to'} {bound:.3f}"
    why += "" if raised else " is nothing"
    details = {"score": score, "score_bound": bound, "columns": columns}
    return _of(SignalKind.INPUT_DRIFT, raised, why, score, bound, details=details)


def _realised(place: int, reigned: int, rng: np.random.Generator) -> Signal:
    facts, labels = {"metric": "brier", "holdout": HOLDOUT}, max(0, reigned - DELAY) * 60
    if labels < 200:
        why = f"{labels} labels are in, 200 are needed"
        return Signal(SignalKind.REALISED, Outcome.UNKNOWN, why, bound=BOUND, details=facts)
    width = 0.5 / np.sqrt(min(labels, 1500))
    ill = min(max(place - TURNED[0] - DELAY, 0), 18) / 18 if place in TURNED else 0.0
    value = HOLDOUT - 0.003 + width * 0.15 * rng.normal() + 0.06 * ill
    lower, upper = value - width, value + width
    why = f"{value:.4f} of {labels:,} labels, {'certainly' if lower > BOUND else 'not certainly'} over {BOUND:.4f}"
    return _of(SignalKind.REALISED, lower > BOUND, why, value, BOUND, lower, upper, details=facts)


def _health(rows: int, reigned: int, rng: np.random.Generator) -> Iterator[Signal]:
    yield _of(SignalKind.ERRORS, False, f"0 of {rows:,} requests failed (0.00%); 3 more were refused", 0.0, 0.01)
    took = 6 + rng.gamma(2, 0.6)
    why = f"p95 of {rows:,} requests is {took:.3g} ms, allowed are 50 ms"
    yield _of(SignalKind.LATENCY, False, why, took, 50)
    days = 30 + reigned / 8
    why = f"the champion's newest training row is {days:.3g} days old; the spec declares no limit"
    yield _of(SignalKind.AGE, False, why, days)
    yield _of(SignalKind.SKEW, False, "200 captured rows are answered by the pipeline as they were served", 0.0, 0.0)


def _of(kind: SignalKind, raised: bool, why: str, *numbers: Any, details: dict[str, Any] | None = None) -> Signal:
    """`numbers` are value, bound, lower and upper."""
    plain = [None if number is None else float(number) for number in numbers]
    return Signal(kind, Outcome.FAIL if raised else Outcome.PASS, why, *plain, details=details or {})
