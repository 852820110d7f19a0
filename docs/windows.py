"""Windows of a model as they could have been: eight weeks in which everything happens that monitoring knows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from evergreen.checks import Outcome
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.report.marks import History
from evergreen.store.entry import Cause, Crown, LedgerEntry
from evergreen.store.window import Signal, SignalKind, Verdict, Window

BEGIN = datetime(2026, 9, 21, tzinfo=UTC)
LENGTH = timedelta(hours=3)
DELAY = 40  # windows until labels are in
MOVED, BROKEN, TURNED, CURED = 150, range(232, 240), 300, 364
HOLDOUT, BOUND = 0.112, 0.1232

WORDS = """\
Customers are those that the model was trained on, and it is as right about them as it was then, by 1,960 labels of the
last days.

From 2 November on it had been wrong more often, though the customers had not changed: what they did had. The retraining
of 5 November learnt that from new labels, and the loss is back where it was.\
"""


def windows(count: int = 448) -> tuple[Window, ...]:
    """So many windows, oldest first."""
    rng = np.random.default_rng(5)
    return tuple(_window(place, rng) for place in range(count))


def history() -> History:
    """What became of the model meanwhile."""
    runs = [
        (7, DecisionKind.PROMOTE, Reason.SCHEDULED, 5),
        (14, DecisionKind.REJECT, Reason.SCHEDULED, None),
        (20, DecisionKind.PROMOTE, Reason.DRIFT, 6),
        (28, DecisionKind.HOLD, Reason.SCHEDULED, None),
        (35, DecisionKind.REJECT, Reason.SCHEDULED, None),
        (CURED / 8, DecisionKind.PROMOTE, Reason.PERFORMANCE, 7),
        (49, DecisionKind.PROMOTE, Reason.SCHEDULED, 8),
    ]
    decisions = [_entry(place, *run) for place, run in enumerate(runs, 1)]
    back = _entry(9, 51, DecisionKind.PROMOTE, Reason.MANUAL, 7, Cause.ROLLBACK)
    crowned = [entry for entry in [*decisions, back] if entry.kind is DecisionKind.PROMOTE]
    crowns = [Crown(e.id or 0, e.model, e.version or 0, e.decided_at + timedelta(minutes=1)) for e in crowned]
    return History((*decisions, back), crowns)


def _entry(
    number: int, day: float, kind: DecisionKind, reason: Reason, version: int | None, cause: Cause = Cause.RUN
) -> LedgerEntry:
    at = BEGIN + timedelta(days=day, hours=6)
    said = {DecisionKind.REJECT: ("f1_weighted is not better than the champion's by enough",)}.get(kind, ())
    said = ("drift share 0.6 is over 0.5",) if kind is DecisionKind.HOLD else said
    return LedgerEntry("churn", kind, said, (), reason, at, at, "evergreen", version=version, id=number, cause=cause)


def _version(place: int) -> int:
    return 4 + sum(place >= day * 8 + 2 for day in (7, 20, CURED / 8, 49)) - (place >= 51 * 8 + 2)


def _window(place: int, rng: np.random.Generator) -> Window:
    since = BEGIN + place * LENGTH
    rows = int(rng.poisson(620 * (1.35 + np.sin((place % 8) / 8 * 2 * np.pi - 1.2))))
    signals = tuple(_signals(place, rows, rng))
    verdict, reasons = _judge(place, signals)
    event = {Verdict.RETRAIN: "performance", Verdict.ALERT: "alert"}.get(verdict, "")
    until = since + LENGTH
    return Window(
        "churn",
        _version(place),
        since,
        until,
        until + timedelta(minutes=2),
        rows,
        place % 7 // 6,
        signals,
        verdict,
        reasons,
        event,
    )


def _judge(place: int, signals: tuple[Signal, ...]) -> tuple[Verdict, tuple[str, ...]]:
    raised = [signal for signal in signals if signal.raised]
    kinds = {signal.kind for signal in raised}
    verdict = Verdict.ALERT if raised else Verdict.QUIET
    if SignalKind.FAULTS in kinds:
        verdict = Verdict.QUARANTINE
    elif SignalKind.REALISED in kinds:
        verdict = Verdict.RETRAIN if place % 8 == 3 else Verdict.ALERT
    elif place < DELAY // 4:
        verdict = Verdict.UNKNOWN
    reasons = tuple(f"{signal.kind.value.capitalize()}: {signal.why}" for signal in raised)
    return verdict, reasons or ("Nothing is out of bounds",)


def _signals(place: int, rows: int, rng: np.random.Generator) -> Iterator[Signal]:
    broken, moved = place in BROKEN, MOVED <= place < 162
    ill = TURNED + DELAY <= place < CURED + DELAY // 4
    yield _of(
        SignalKind.FAULTS,
        broken,
        "quantity: 39.2% of rows are null, allowed are 5.0%"
        if broken
        else f"{rows:,} rows keep every rule of the schema",
        1.0 if broken else 0.0,
        0.0,
    )
    hourly = rows / 3
    yield _of(SignalKind.VOLUME, False, f"{hourly:,.0f} rows an hour, usual are 38 to 940", hourly, None, 38.0, 940.0)
    yield _of(SignalKind.FRESHNESS, False, "the last row came 4 seconds before the window's end", 4.0, 600.0)
    yield _of(SignalKind.UNSEEN, False, "no column has more nulls, or more categories that are new", 0.001, 0.02)
    level = 0.012 + 0.008 * rng.beta(2, 3) + 0.4 / np.sqrt(rows + 1) * 0.35
    score = level + (0.11 + 0.02 * rng.normal() if moved else 0) + (0.3 if broken else 0)
    bound = 0.025 + 0.4 / np.sqrt(rows + 1)
    yield _drift(score, bound, moved or broken)
    answers = 0.01 + 0.02 * rng.beta(2, 4) + (0.05 if moved else 0) + (0.16 if broken else 0)
    yield _of(SignalKind.PREDICTION_DRIFT, moved or broken, f"distance {answers:.3f}", answers, 0.045)
    estimate = HOLDOUT + 0.006 * rng.normal() + (0.012 if moved else 0) + (0.06 if broken else 0)
    width = 0.4 / np.sqrt(rows + 1)
    yield _of(
        SignalKind.ESTIMATE,
        broken,
        f"{estimate:.4f}, inside {HOLDOUT - width:.3f} to {HOLDOUT + width:.3f}",
        estimate,
        HOLDOUT + width,
        HOLDOUT - width,
        HOLDOUT + width,
        details={"metric": "brier", "holdout": HOLDOUT},
    )
    yield _realised(place, ill, rng)
    yield _of(SignalKind.ERRORS, False, f"0 of {rows:,} requests failed (0.00%); 3 more were refused", 0.0, 0.01)
    latency = 6 + rng.gamma(2, 0.6)
    took = f"p95 of {rows:,} requests is {latency:.3g} ms, allowed are 50 ms"
    yield _of(SignalKind.LATENCY, False, took, latency, 50)
    yield _of(SignalKind.AGE, False, "the champion's newest training row is 12 days old", 12.0)
    yield _of(SignalKind.SKEW, False, "200 captured rows are answered by the pipeline as they were served", 0.0, 0.0)


def _drift(score: float, bound: float, raised: bool) -> Signal:
    columns = [
        ("price", 0.41, 0.34 if raised else 0.05, "median 20.1 → 36.2"),
        ("quantity", 0.22, 0.21 if raised else 0.041, "median 5 → 7"),
        ("region", 0.03, 0.38 if raised else 0.044, "share of 'west' 25.0% → 61.2%"),
        ("plan", 0.12, 0.043, "share of 'pro' 20.1% → 23.0%"),
    ]
    details = {
        "score": score,
        "score_bound": bound,
        "columns": [
            {
                "column": name,
                "effect": effect,
                "weight": weight,
                "threshold": 0.042,
                "moved": effect > 0.0425,
                "raised": raised and weight > 0.1 and effect > 0.2,
                "what": what,
            }
            for name, weight, effect, what in columns
        ],
    }
    why = f"weighted distance {score:.3f}, {'above' if raised else 'of which up to'} {bound:.3f}"
    return _of(SignalKind.INPUT_DRIFT, raised, why, score, bound, details=details)


def _realised(place: int, ill: bool, rng: np.random.Generator) -> Signal:
    facts = {"metric": "brier", "holdout": HOLDOUT}
    since = max(0, place - DELAY)
    if since < 6:
        why = f"{since * 30} labels are in, 200 are needed"
        return Signal(SignalKind.REALISED, Outcome.UNKNOWN, why, details=facts)
    calm = min(since, 60)
    width = 0.09 / np.sqrt(calm)
    value = HOLDOUT - 0.004 + 0.02 * rng.normal() / np.sqrt(calm)
    rise = min(max(place - TURNED - DELAY + 12, 0), 24) / 24 * 0.07 if place < CURED + DELAY // 4 else 0.0
    value += rise
    raised = bool(ill and value - width > BOUND)
    why = f"{value:.4f}, {'certainly over' if raised else 'not certainly over'} {BOUND:.4f}"
    return _of(SignalKind.REALISED, raised, why, value, BOUND, value - width, value + width, details=facts)


def _of(kind: SignalKind, raised: bool, why: str, *numbers: Any, details: dict[str, Any] | None = None) -> Signal:
    """`numbers` are value, bound, lower and upper."""
    return Signal(kind, Outcome.FAIL if raised else Outcome.PASS, why, *numbers, details=details or {})
