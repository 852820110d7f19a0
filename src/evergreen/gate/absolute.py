"""Checks on the challenger alone."""

from collections.abc import Iterator, Mapping

from evergreen.checks import Check, Outcome, at_least, at_most
from evergreen.evaluation.result import Evaluation
from evergreen.spec.rules import Bound

COSTS = ("latency_p95_ms", "size_mb")


def check_bounds(evaluation: Evaluation, bounds: Mapping[str, Bound]) -> Iterator[Check]:
    """One check a floor and one a ceiling. What could not be measured is UNKNOWN."""
    for name, bound in bounds.items():
        value = getattr(evaluation.challenger, name) if name in COSTS else evaluation.challenger.metrics.get(name)
        why = "" if value is not None else _why_missing(name, evaluation)
        if bound.at_least is not None:
            yield at_least(name, value, bound.at_least, why)
        if bound.at_most is not None:
            yield at_most(name, value, bound.at_most, why)


def check_dummy(evaluation: Evaluation) -> Check:
    """The challenger is better than the best constant answer; a tie is not better."""
    value, dummy = evaluation.challenger.metrics.get(evaluation.metric), evaluation.dummy
    if value is None or dummy is None:
        why = f"{evaluation.metric} cannot be computed on this holdout"
        return Check("beat_dummy", Outcome.UNKNOWN, value, "better than a constant answer", why)
    sign = ">" if evaluation.greater_is_better else "<"
    better = value > dummy if evaluation.greater_is_better else value < dummy
    why = f"{evaluation.metric} is {value:.4g}, a constant answer has {dummy:.4g}"
    return Check("beat_dummy", Outcome.PASS if better else Outcome.FAIL, value, f"{sign} {dummy:.4g}", why)


def check_overfit(evaluation: Evaluation, most: float) -> Check:
    """The holdout is not worse than cross-validation promised by more than `most`."""
    promised, kept = evaluation.cross_validated, evaluation.challenger.metrics.get(evaluation.metric)
    if promised is None or kept is None:
        return at_most("overfit_gap", None, most, "the metric is missing on the folds or on the holdout")
    gap = promised - kept if evaluation.greater_is_better else kept - promised
    return at_most("overfit_gap", gap, most, f"{evaluation.metric} is {promised:.4g} on the folds, {kept:.4g} held out")


def _why_missing(name: str, evaluation: Evaluation) -> str:
    if name in evaluation.challenger.metrics:
        return (
            f"{name} cannot be computed on this holdout (a single class, a constant or zero target, no probabilities)"
        )
    return f"{name} was not measured"
