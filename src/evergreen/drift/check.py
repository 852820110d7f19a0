"""What drift means for a run: hold it, go on, or find no reason to retrain."""

from dataclasses import replace

from evergreen.checks import Check, Outcome, at_most
from evergreen.drift.result import DriftResult
from evergreen.spec.rules import DriftRules

NAME = "drift share"
STAGE = "drift"


def drift_checks(result: DriftResult | None, rules: DriftRules, reason_is_drift: bool = False) -> tuple[Check, ...]:
    """The gate's view: FAIL above `max_share`, UNKNOWN where nothing could be judged, PASS without a champion.

    A run for reason drift has a second check, that enough drifted to retrain at all.
    """
    if result is None:
        return (Check(NAME, Outcome.PASS, None, f"≤ {rules.max_share:g}", "no champion yet", STAGE),)
    share = replace(at_most(NAME, result.share, rules.max_share, _why(result)), stage=STAGE)
    if not reason_is_drift:
        return (share,)
    return (share, _reason_check(result, rules))


def no_reason_to_retrain(result: DriftResult | None, rules: DriftRules) -> bool:
    """True where a run for reason drift has nothing to do: a share was measured and is below `retrain_share`.

    What could not be judged is no proof that nothing moved.

    >>> quiet = DriftResult((), 0.1, 5000, 5000)
    >>> no_reason_to_retrain(quiet, DriftRules(retrain_share=0.3))
    True
    """
    return result is not None and result.share is not None and result.share < rules.retrain_share


def _reason_check(result: DriftResult, rules: DriftRules) -> Check:
    outcome = Outcome.UNKNOWN if result.share is None else Outcome.PASS
    if no_reason_to_retrain(result, rules):
        outcome = Outcome.FAIL
    return Check("drift as reason", outcome, result.share, f"≥ {rules.retrain_share:g}", _why(result), STAGE)


def _why(result: DriftResult) -> str:
    if result.share is None:
        return result.note or "no input could be judged"
    judged = sum(c.role == "input" and c.outcome is not Outcome.UNKNOWN for c in result.columns)
    names = result.drifted
    listed = ": " + ", ".join(names[:5]) + (", …" if len(names) > 5 else "") if names else ""
    return f"{len(names)} of {judged} inputs drifted{listed}"
