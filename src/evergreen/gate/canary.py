"""What a canary's counts say: promote the challenger, take it back, or go on. Nothing here reads, writes or raises."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from evergreen.checks import Check, Outcome
from evergreen.evaluation.sequential import Interval, mean_interval, quantile_interval, share_interval
from evergreen.evaluation.totals import Losses, Totals
from evergreen.spec.base import format_duration
from evergreen.spec.canary import CanaryQuality, CanaryRules

_LEVEL = 0.95


class Action(StrEnum):
    """What a canary's counts come to."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    KEEP_ON = "keep on"
    END = "end"  # its time is over and nothing is certain


class Side(StrEnum):
    """Whose requests are counted."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    WATCHED = "watched"  # the challenger after its promotion


@dataclass(frozen=True)
class Arm:
    """One side of a canary: a version and what was counted of it."""

    version: int
    totals: Totals = field(default_factory=Totals)


@dataclass(frozen=True)
class Observed:
    """What was seen of a canary: both sides, and when it began; aware moments.

    `until` is when it was counted last. `watched` is the challenger after its promotion, where that is watched.
    """

    decision_id: int
    champion: Arm
    challenger: Arm
    since: datetime
    until: datetime | None = None
    watched: Totals = field(default_factory=Totals)


@dataclass(frozen=True)
class Verdict:
    """What to do, and the checks it rests on."""

    action: Action
    checks: tuple[Check, ...]


def judge_canary(observed: Observed, rules: CanaryRules, now: datetime) -> Verdict:
    """The verdict on the counts up to now: certain at `rules.confidence`, however often it is asked for.

    One condition that is broken for certain ends the trial at once; a promotion wants them all met for certain, and
    enough requests. A promotion that is due when the time is over is still one.
    """
    checks = (_check_requests(observed, rules), *_conditions(observed, rules))
    outcomes = {check.outcome for check in checks}
    if Outcome.FAIL in outcomes:
        return Verdict(Action.ROLL_BACK, checks)
    if outcomes == {Outcome.PASS} and rules.conditions:
        return Verdict(Action.PROMOTE, checks)
    return Verdict(Action.END if now - observed.since >= rules.within else Action.KEEP_ON, checks)


def broken_since(observed: Observed, rules: CanaryRules) -> tuple[str, ...]:
    """What the new champion breaks for certain since its promotion, in sentences; none where nothing is certain.

    It is held against what the champion before it did during the trial: nobody asks that one any more.
    """
    alone = replace(observed, challenger=Arm(observed.challenger.version, observed.watched))
    broken = [check for check in _conditions(alone, rules) if check.outcome is Outcome.FAIL]
    return tuple(f"{check.why} (must be {check.bound})" for check in broken)


def explain(verdict: Verdict, decision_id: int, rules: CanaryRules) -> tuple[str, ...]:
    """The verdict in sentences, for a decision's reasons."""
    wanted = {Action.ROLL_BACK: Outcome.FAIL, Action.PROMOTE: Outcome.PASS}.get(verdict.action, Outcome.UNKNOWN)
    said = tuple(f"{check.why} (must be {check.bound})" for check in verdict.checks if check.outcome is wanted)
    head = {
        Action.ROLL_BACK: "broke a condition",
        Action.PROMOTE: "met every condition",
        Action.END: f"came to no verdict within {format_duration(rules.within)}",
        Action.KEEP_ON: "is not certain yet",
    }
    return (f"the canary of decision {decision_id} {head[verdict.action]}", *said)


def _conditions(observed: Observed, rules: CanaryRules) -> Iterator[Check]:
    # All conditions together miss with probability 1 - confidence: each has its part of it.
    alpha = (1 - rules.confidence) / max(rules.conditions, 1)
    champion, challenger = observed.champion.totals, observed.challenger.totals
    if rules.max_error_share is not None:
        yield _check_errors(challenger, rules.max_error_share, alpha)
    if rules.max_error_increase is not None:
        yield _check_increase(champion, challenger, rules.max_error_increase, alpha / 2)
    if rules.max_latency_ratio is not None:
        yield _check_latency(champion, challenger, rules.max_latency_ratio, alpha / 2)
    if rules.quality is not None:
        yield _check_quality(champion, challenger, rules.quality, alpha)


def _check_requests(observed: Observed, rules: CanaryRules) -> Check:
    counts = observed.champion.totals.requests, observed.challenger.totals.requests
    outcome = Outcome.PASS if min(counts) >= rules.at_least else Outcome.UNKNOWN
    why = f"{counts[0]:,} requests to the champion, {counts[1]:,} to the challenger"
    return Check("canary_requests", outcome, float(min(counts)), f"≥ {rules.at_least:,} each", why)


def _check_errors(challenger: Totals, most: float, alpha: float) -> Check:
    found = share_interval(challenger.errors, challenger.requests, alpha)
    why = f"{_failed(challenger)}, {found.lower:.2%} to {found.upper:.2%}"
    return _judge("canary_error_share", _share(challenger), found, most, why)


def _check_increase(champion: Totals, challenger: Totals, most: float, alpha: float) -> Check:
    known = share_interval(challenger.errors, challenger.requests, alpha)
    found = known - share_interval(champion.errors, champion.requests, alpha)
    ours, theirs = _share(challenger), _share(champion)
    value = None if ours is None or theirs is None else ours - theirs
    what = f"{_failed(challenger)}, with the champion {_failed(champion)}"
    why = f"{what}: {found.lower:+.2%} to {found.upper:+.2%}"
    return _judge("canary_error_increase", value, found, most, why)


def _check_latency(champion: Totals, challenger: Totals, most: float, alpha: float) -> Check:
    ours = quantile_interval(challenger.latencies, _LEVEL, alpha)
    theirs = quantile_interval(champion.latencies, _LEVEL, alpha)
    most_above = ours.upper / theirs.lower if theirs.lower else math.inf
    found = Interval(ours.lower / theirs.upper, most_above)
    why = f"p95 of the latency is {_range(ours)} ms, with the champion {_range(theirs)} ms: {_range(found)} times"
    if not challenger.latencies or not champion.latencies:
        why = "no latencies of both sides yet"
    return _judge("canary_latency_ratio", None, found, most, why)


def _check_quality(champion: Totals, challenger: Totals, rules: CanaryQuality, alpha: float) -> Check:
    name, ours, theirs, gaps = f"canary_{rules.metric}", challenger.losses, champion.losses, challenger.gaps
    labelled = gaps.count or min(theirs.count, ours.count)
    if labelled < rules.at_least:
        why = f"{labelled:,} labelled requests of either side"
        return Check(name, Outcome.UNKNOWN, None, f"≥ {rules.at_least:,} labelled", why)
    if gaps.count:
        value, found = gaps.mean, _gap(gaps, rules, alpha)
        what = f"{gaps.count:,} requests that both were asked"
    else:
        value, found = ours.mean - theirs.mean, _mean(ours, rules, alpha / 2) - _mean(theirs, rules, alpha / 2)
        what = f"{ours.count:,} requests, with the champion {theirs.count:,}"
    known = "too few of them carry it" if math.isinf(found.upper) else f"{found.lower:+.3g} to {found.upper:+.3g}"
    why = f"{rules.metric} is worse by {value:+.4g} on {what}: {known}"
    return _judge(name, value, found, rules.margin, why)


def _mean(losses: Losses, rules: CanaryQuality, alpha: float) -> Interval:
    if rules.metric == "accuracy":
        return share_interval(round(losses.total), losses.count, alpha)
    return mean_interval(losses, alpha, rules.at_least)


def _gap(gaps: Losses, rules: CanaryQuality, alpha: float) -> Interval:
    """Of the mean difference on the same requests; for right or wrong, of those that only one of the two has wrong."""
    if rules.metric != "accuracy":
        return mean_interval(gaps, alpha, rules.at_least)
    worse, better = round((gaps.squares + gaps.total) / 2), round((gaps.squares - gaps.total) / 2)
    return share_interval(worse, gaps.count, alpha / 2) - share_interval(better, gaps.count, alpha / 2)


def _judge(name: str, value: float | None, found: Interval, most: float, why: str) -> Check:
    """`found` is where the truth lies for certain, `most` the bound, and `why` says both sides' counts."""
    outcome = Outcome.FAIL if found.lower > most else Outcome.PASS if found.upper <= most else Outcome.UNKNOWN
    return Check(name, outcome, value, f"≤ {most:g}", f"{why}{'; not certain yet' * (outcome is Outcome.UNKNOWN)}")


def _share(totals: Totals) -> float | None:
    return totals.errors / totals.requests if totals.requests else None


def _failed(totals: Totals) -> str:
    return f"{totals.errors:,} of {totals.requests:,} requests failed"


def _range(found: Interval) -> str:
    return f"{found.lower:.3g} to {found.upper:.3g}"
