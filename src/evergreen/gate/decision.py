"""A decision: what happens to the challenger, and why."""

from dataclasses import dataclass
from enum import StrEnum

from evergreen.checks import Check


class DecisionKind(StrEnum):
    """PROMOTE the challenger, HOLD for a person, REJECT it, or SKIP: there was nothing to decide."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    REJECT = "REJECT"
    SKIP = "SKIP"


class Reason(StrEnum):
    """Why a run was started."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    DRIFT = "drift"
    PERFORMANCE = "performance"
    BACKFILL = "backfill"


@dataclass(frozen=True)
class Decision:
    """The decision, its reasons in plain words, and the checks it rests on."""

    kind: DecisionKind
    reasons: tuple[str, ...]
    checks: tuple[Check, ...] = ()
