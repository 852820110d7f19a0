"""The gate: every check that a spec configures, and the decision that follows. Nothing here reads, writes or raises."""

from collections.abc import Iterable, Iterator, Sequence

from evergreen.checks import Check, Outcome
from evergreen.evaluation.result import Evaluation
from evergreen.gate.absolute import check_bounds, check_dummy, check_overfit
from evergreen.gate.decision import Decision, DecisionKind
from evergreen.gate.relative import check_champion, check_share, check_slices
from evergreen.spec.rules import Gates

NOTHING_CONFIGURED = Check(
    "configured",
    Outcome.UNKNOWN,
    None,
    "at least one",
    "no check configured: add gates.absolute or gates.against_champion to the spec",
)
NOTHING_MEASURED = Check(
    "measured",
    Outcome.UNKNOWN,
    None,
    "at least one",
    "no champion yet to compare with, and nothing else was asked of the challenger: add gates.absolute to the spec, or "
    "leave gates.beat_dummy on",
)
_WAITING = {
    "approval": "all checks passed; waits for a person, as promotion.mode is approval",
    "canary": "all checks passed; waits for its canary, or for a person, as promotion.mode is canary",
}


def judge(evaluation: Evaluation, gates: Gates) -> tuple[Check, ...]:
    """Every configured check. Where none could tell a bad challenger from a good one, a check that does not pass.

    That is without an absolute or relative one, and, as long as there is no champion, with relative ones alone.
    """
    return tuple(_checks(evaluation, gates))


def decide(
    quality: Sequence[Check], mode: str = "automatic", before: Sequence[Check] = (), pinned: str = ""
) -> Decision:
    """The decision on a challenger from the gate's checks, and those of validation and drift that came `before`.

    A failed quality check rejects; anything else that is not a pass holds, for a person to look at. No quality
    checks at all hold too. `mode` is `promotion.mode` of the spec; `pinned` says who keeps the champion where it is,
    and why, and is empty where nobody does.

    >>> decide([Check("accuracy", Outcome.PASS, 0.93, "≥ 0.9", "")]).kind
    <DecisionKind.PROMOTE: 'PROMOTE'>
    >>> decide([]).kind
    <DecisionKind.HOLD: 'HOLD'>
    """
    judged = tuple(quality) or (NOTHING_CONFIGURED,)
    checks = (*judged, *before)
    failed = [check for check in judged if check.outcome is Outcome.FAIL]
    if failed:
        return Decision(DecisionKind.REJECT, _reasons(failed), checks)
    open_checks = [check for check in checks if not check.passed]
    if open_checks:
        return Decision(DecisionKind.HOLD, _reasons(open_checks), checks)
    if waiting := tuple(_waiting(mode, pinned)):
        return Decision(DecisionKind.HOLD, waiting, checks)
    return Decision(DecisionKind.PROMOTE, (f"all {len(checks)} checks passed",), checks)


def hold_for_data(checks: Sequence[Check]) -> Decision:
    """The snapshot broke its rules: nothing is learnt from it."""
    return _hold(checks)


def hold_for_drift(checks: Sequence[Check]) -> Decision:
    """More of the inputs moved than a model should be trained through without a person's look."""
    return _hold(checks)


def skip(why: str, checks: Sequence[Check] = ()) -> Decision:
    """There was nothing to decide."""
    return Decision(DecisionKind.SKIP, (why,), tuple(checks))


def _checks(evaluation: Evaluation, gates: Gates) -> Iterator[Check]:
    if not gates.absolute and gates.against_champion is None:
        yield NOTHING_CONFIGURED
    elif evaluation.champion is None and not gates.absolute and not gates.beat_dummy:
        yield NOTHING_MEASURED
    yield from check_bounds(evaluation, gates.absolute)
    if gates.against_champion is not None:
        yield check_champion(evaluation, gates.against_champion)
    if gates.beat_dummy:
        yield check_dummy(evaluation)
    if gates.slices is not None:
        yield check_slices(evaluation, gates.slices)
    if gates.max_negative_flips is not None:
        yield check_share("negative_flips", evaluation, "negative", gates.max_negative_flips)
    if gates.max_churn is not None:
        yield check_share("churn", evaluation, "churn", gates.max_churn)
    if gates.max_overfit_gap is not None:
        yield check_overfit(evaluation, gates.max_overfit_gap)


def _waiting(mode: str, pinned: str) -> Iterator[str]:
    if mode != "automatic":
        yield _WAITING.get(mode, f"all checks passed; waits for {mode}")
    if pinned:
        yield f"all checks passed, but the {pinned}" if mode == "automatic" else pinned


def _hold(checks: Sequence[Check]) -> Decision:
    return Decision(DecisionKind.HOLD, _reasons(check for check in checks if not check.passed), tuple(checks))


def _reasons(checks: Iterable[Check]) -> tuple[str, ...]:
    return tuple(_reason(check) for check in checks)


def _reason(check: Check) -> str:
    # Many a why names its subject already.
    named = check.why.startswith(check.name.split(":")[0])
    if check.outcome is Outcome.UNKNOWN:
        return check.why if named else f"{check.name} is unknown: {check.why}"
    return f"{check.why if named else f'{check.name}: {check.why}'} (must be {check.bound})"
