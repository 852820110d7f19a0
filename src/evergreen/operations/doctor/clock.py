"""How far two clocks are apart, as well as one question can tell."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from evergreen.operations.doctor.finding import Finding, fine, wrong


@dataclass(frozen=True)
class Skew:
    """How much another clock is ahead of ours, and how far off that figure may be."""

    ahead: timedelta
    uncertain: timedelta


def measure(
    theirs: Callable[[], datetime], ours: Callable[[], datetime], step: timedelta = timedelta(seconds=1)
) -> Skew:
    """Ask another clock, which tells whole steps: its answer is from a moment between our two."""
    before = ours()
    told = theirs()
    after = ours()
    return Skew(told + step / 2 - (before + (after - before) / 2), step / 2 + (after - before) / 2)


def judge_clock(name: str, skew: Skew, bound: timedelta) -> Finding:
    """Two clocks that are certainly further apart than the bound are wrong."""
    ahead = skew.ahead.total_seconds()
    if abs(skew.ahead) - skew.uncertain <= bound:
        return fine(name, "agrees with the clock of this machine")
    direction = "ahead of" if ahead > 0 else "behind"
    what = (
        f"{abs(ahead):.0f} s {direction} the clock of this machine; more than {bound.total_seconds():g} s is too much"
    )
    return wrong(name, what, "let both machines follow a time server: timedatectl set-ntp true")
