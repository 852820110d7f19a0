"""What came true: the loss of labelled answers against the champion's loss on its holdout."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.checks import Outcome
from evergreen.evaluation.baseline import Loss, row_losses
from evergreen.evaluation.betting import Stretch, lower_end, strongest_stretch
from evergreen.evaluation.outputs import FloatArray, IntArray
from evergreen.evaluation.sequential import mean_interval
from evergreen.evaluation.totals import Losses
from evergreen.monitoring.answered import read_answers
from evergreen.monitoring.expectation import Expectation
from evergreen.spec.monitoring import RealisedRules
from evergreen.store.window import Signal, SignalKind

if TYPE_CHECKING:
    import pyarrow as pa

# A start every few labels would spend the error on stretches that say nothing.
_LEAST_STEP = 50
# So many steps of the newest labels are explained where nothing is raised.
_RECENT_STEPS = 10
_FEW = 0.5
# Before any of these nobody could look at a labelled row: when it was known and received, and the answer was kept.
_CAME = ("label_at", "received_at", "written_at")


@dataclass(frozen=True, eq=False)
class Labelling:
    """What is known of labelled answers beside themselves.

    `answered` counts all answers that are old enough for a label, labelled or not. `expectation` is what the estimate
    expects of each labelled row (`Estimator.expectation`), in their order. `looked_at` is when labels were looked at
    before: those that came since are the newest.
    """

    answered: int | None = None
    label_delay: timedelta = timedelta(0)
    expectation: Expectation | None = None
    looked_at: datetime | None = None


@dataclass(frozen=True, eq=False)
class _Known:
    """Losses in the order in which they could be looked at first, when that was, where each row stands, and when it was
    answered.
    """

    losses: FloatArray
    matured: Any
    rows: IntArray
    answered: Any


def realised_loss(
    answers: "pa.Table", holdout: Loss, rules: RealisedRules, metric: str, labelling: Labelling | None = None
) -> Signal:
    """The loss of every labelled answer since the champion took over, as `Traffic.labelled` gives them, in any order.
    Labels that were asked for are counted, and left out.

    It fails when the loss is over its bound for certain: since the champion took over, or since a later moment, so that
    years of good answers do not hide a bad week. The certainty is of all looks and all moments together. It assumes
    that a row's loss has a mean of at most the bound, whatever came before: where hard and easy days take turns, the
    margin has to cover the hard ones. `accuracy` is the share of wrong answers.
    """
    labelling = labelling or Labelling()
    known = _in_order(answers, metric, labelling.label_delay)
    # One half for what the holdout does not know of its own loss.
    alpha = (1 - rules.confidence) / 2
    bound = bound_of(holdout, rules.margin, alpha, metric)
    count = len(known.losses)
    share = min(count / labelling.answered, 1.0) if labelling.answered else None
    asked = int(_asked(answers).sum())
    facts: dict[str, Any] = {"metric": metric, "holdout": holdout.mean, "labels": count, "share_labelled": share}
    facts["asked"] = asked
    if count < rules.min_labels:
        why = f"{count:,} labels are in, {rules.min_labels:,} are needed"
        why = f"{why}; {asked:,} that were asked for do not count" if asked else why
        return Signal(SignalKind.REALISED, Outcome.UNKNOWN, why, bound=bound, details=facts)
    step = max(rules.min_labels, _LEAST_STEP)
    found = strongest_stretch(known.losses, bound, alpha, step)
    explained = found.start if found.refutes else max(0, count - _RECENT_STEPS * step)
    newest = _newest(known, labelling.looked_at, step)
    facts |= {"newest": _mean(known, newest, labelling.expectation), **_told(known, explained, labelling.expectation)}
    if count > newest:
        facts["newest"]["answered_since"] = _moment(known.answered[newest:].min()).isoformat()
    return _judge(known, found, bound, alpha, facts)


def copied(signal: Signal) -> Signal:
    """What a window takes over from the one before it, as no label is new: `copied` in its details says so."""
    return replace(signal, details={**signal.details, "copied": True})


def bound_of(holdout: Loss, margin: float, alpha: float, metric: str) -> float:
    """The holdout's loss and its margin; more where so few rows were held out that chance alone goes further.

    >>> bound_of(Loss(0.2, 0.3, 10_000), 0.5, 0.05, "brier"), round(bound_of(Loss(0.2, 0.3, 100), 0.1, 0.05, "mae"), 3)
    (0.30000000000000004, 0.249)
    """
    reach = NormalDist().inv_cdf(1 - alpha) * holdout.std / math.sqrt(holdout.rows)
    # Where no row cost anything its spread says nothing: three in as many could (Hanley and Lippman-Hand 1983).
    least = 3 / holdout.rows if metric in ("accuracy", "brier") else float(np.finfo(np.float64).tiny)
    return max(holdout.mean * (1 + margin), holdout.mean + reach, least)


def _judge(known: _Known, found: Stretch, bound: float, alpha: float, facts: dict[str, Any]) -> Signal:
    raised = found.refutes
    start, share = (found.start, found.alpha) if raised else (0, alpha / 2)
    part, since = known.losses[start:], _moment(known.matured[start])
    mean, upper = float(part.mean()), mean_interval(_losses(part), share, len(part)).upper
    certain = "is over" if raised else "is not over"
    when = f" since {since:%Y-%m-%d %H:%M} UTC" if start else ""
    why = f"{facts['metric']} {certain} its bound of {bound:.4g} for certain: {mean:.4g} on {len(part):,} labels{when}"
    share_labelled = facts["share_labelled"]
    few = share_labelled is not None and share_labelled < _FEW
    return Signal(
        kind=SignalKind.REALISED,
        outcome=Outcome.FAIL if raised else Outcome.PASS,
        why=f"{why}; {share_labelled:.0%} of the answers have one, which may be unlike the others" if few else why,
        value=mean,
        bound=bound,
        # It is found by halving, and what is refuted is below it.
        lower=max(lower_end(part, share), bound) if raised else lower_end(part, share),
        upper=upper if math.isfinite(upper) else None,
        details={**facts, "since": since.isoformat()},
    )


def _in_order(answers: "pa.Table", metric: str, delay: timedelta) -> _Known:
    losses = row_losses(read_answers(answers, metric in ("mae", "mse")), metric)
    # Sorted by when they were answered, or known, a late label would change what was looked at before.
    came = [_moments(answers, name) for name in _CAME if name in answers.column_names]
    at = _moments(answers, "at")
    matured = reduce(np.maximum, came, at + np.timedelta64(delay))
    order = np.lexsort((at, matured))
    order = order[(np.isfinite(losses) & ~_asked(answers))[order]]
    return _Known(losses[order], matured[order], order, at[order])


def _asked(answers: "pa.Table") -> Any:
    """Rows whose label was asked for: they are unusual, and a loss over them too would be higher than over all."""
    name = "asked"
    return answers[name].to_numpy() if name in answers.column_names else np.zeros(answers.num_rows, dtype=bool)


def _moments(answers: "pa.Table", name: str) -> Any:
    return answers[name].to_numpy().astype("datetime64[us]")


def _newest(known: _Known, looked_at: datetime | None, step: int) -> int:
    """Where the labels begin that came since the last look; a step of them where there was none."""
    if looked_at is None:
        return max(0, len(known.losses) - step)
    return int(np.searchsorted(known.matured, np.datetime64(looked_at.astimezone(UTC).replace(tzinfo=None)), "right"))


def _mean(known: _Known, start: int, expectation: Expectation | None) -> dict[str, Any]:
    part = known.losses[start:]
    if not len(part):
        return {"labels": 0}
    told = {} if expectation is None else {"expected": float(np.nanmean(expectation.losses[known.rows[start:]]))}
    return {"labels": len(part), "loss": float(part.mean()), **told}


def _told(known: _Known, start: int, expectation: Expectation | None) -> dict[str, Any]:
    """What of the loss was to be expected, for `concept.explain`; nothing without an estimate."""
    if expectation is None:
        return {}
    told = expectation.hold_against(known.losses[start:], known.rows[start:])
    return {"expectation": {**told, "since": _moment(known.matured[start]).isoformat()}}


def _losses(values: FloatArray) -> Losses:
    powers = (float(np.power(values, power).sum()) for power in (1, 2, 4))
    return Losses(len(values), *powers)


def _moment(value: Any) -> datetime:
    found: datetime = value.astype("datetime64[us]").astype(datetime)
    return found.replace(tzinfo=UTC)
