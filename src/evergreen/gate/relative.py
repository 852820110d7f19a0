"""Checks of the challenger against the champion. Without a champion they pass and say so."""

import math

from evergreen.checks import Check, Outcome, at_most
from evergreen.evaluation.result import Comparison, Evaluation, SliceScore
from evergreen.spec.rules import AgainstChampion, SliceRules

NO_CHAMPION = "no champion yet"


def check_champion(evaluation: Evaluation, rules: AgainstChampion) -> Check:
    """Non-inferiority: PASS when the interval lies above -margin, FAIL when the difference itself is below it.

    In between the holdout is too small to tell: UNKNOWN, with the rows that would decide.
    """
    name, bound = "against_champion", f"≥ {_signed(-rules.margin)}{' x champion' * rules.relative}"
    if evaluation.champion is None:
        return Check(name, Outcome.PASS, None, bound, NO_CHAMPION)
    found = evaluation.comparison
    if evaluation.champion_saw_holdout or found is None:
        return Check(name, Outcome.UNKNOWN, None, bound, evaluation.comparison_note or "no comparison was made")
    outcome = compare_with_margin(found.difference, found.lower, found.margin)
    bound = f"≥ {_signed(-found.margin)} at {found.confidence:.0%}"
    return Check(name, outcome, found.difference, bound, _explain(found, outcome))


def compare_with_margin(difference: float, lower: float, margin: float) -> Outcome:
    """The outcome of a difference (positive is better) with its lower confidence bound.

    >>> compare_with_margin(difference=0.0, lower=0.0, margin=0.0)
    <Outcome.PASS: 'PASS'>
    """
    if _reaches(lower, -margin):
        return Outcome.PASS
    return Outcome.FAIL if difference < -margin and not _reaches(difference, -margin) else Outcome.UNKNOWN


def check_slices(evaluation: Evaluation, rules: SliceRules) -> Check:
    """No slice is worse by more than the margin, beyond what noise explains; the worst one is named.

    A slice without an interval that looks worse is UNKNOWN, and so is a holdout in which no slice could be measured.
    """
    name, bound = "slices", f"≥ {_signed(-rules.margin)} each"
    if evaluation.champion is None:
        return Check(name, Outcome.PASS, None, bound, NO_CHAMPION)
    if evaluation.champion_saw_holdout:
        return Check(name, Outcome.UNKNOWN, None, bound, evaluation.comparison_note)
    measured = [part for part in evaluation.slices if part.difference is not None]
    if not measured:
        why = f"no slice of {', '.join(rules.by)} has {rules.min_rows} rows and a {evaluation.metric}"
        return Check(name, Outcome.UNKNOWN, None, bound, why)
    by_harm = {outcome: [p for p in measured if _judge_slice(p, rules.margin) is outcome] for outcome in Outcome}
    outcome = next(o for o in (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS) if by_harm[o])
    part = min(by_harm[outcome], key=_difference)
    return Check(name, outcome, part.difference, bound, _explain_slice(part, evaluation.metric, len(measured), rules))


def check_share(name: str, evaluation: Evaluation, share: str, most: float) -> Check:
    """A share of `evaluation.flips` is at most so much."""
    if evaluation.champion is None:
        return Check(name, Outcome.PASS, None, f"≤ {most:g}", NO_CHAMPION)
    if evaluation.flips is None:
        return at_most(name, None, most, evaluation.comparison_note or "counted for classes only")
    value = getattr(evaluation.flips, share)
    return at_most(name, value, most, f"{value:.2%} of {evaluation.rows} rows")


def _judge_slice(part: SliceScore, margin: float) -> Outcome:
    difference = _difference(part)
    if _reaches(difference, -margin):
        return Outcome.PASS
    if part.upper is None:
        return Outcome.UNKNOWN
    return Outcome.PASS if _reaches(part.upper, -margin) else Outcome.FAIL


def _difference(part: SliceScore) -> float:
    return math.nan if part.difference is None else part.difference


def _explain(found: Comparison, outcome: Outcome) -> str:
    interval = f"{found.difference:+.3g} [{found.lower:+.3g}, {found.upper:+.3g}]"
    text = f"{found.metric} {found.challenger:.4g} against {found.champion:.4g}: {interval}, positive is better"
    if outcome is not Outcome.UNKNOWN:
        return text
    need = f"about {found.rows_to_decide:,} would" if found.rows_to_decide else "no number of rows would"
    return f"{text}; {found.rows:,} rows do not decide, {need}"


def _explain_slice(part: SliceScore, metric: str, slices: int, rules: SliceRules) -> str:
    text = (
        f"worst of {slices}: {part.column} = {part.value}, {metric} {part.challenger:.4g} against {part.champion:.4g}"
    )
    if part.difference is None or _reaches(part.difference, -rules.margin):
        return text
    if part.upper is None:
        return f"{text}; {part.rows} rows are too few to tell from noise"
    return f"{text}, at best {_signed(part.upper)}" + ("; noise explains it" * _reaches(part.upper, -rules.margin))


def _reaches(value: float, bound: float) -> bool:
    # 0.8 - 0.9 is a hair below -0.1: that is rounding, not a worse model.
    return value >= bound or math.isclose(value, bound, rel_tol=1e-9)


def _signed(value: float) -> str:
    return f"{value:+.4g}" if value else "0"
