"""A finding is a value: what was looked at, how it is, and what to do about it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from evergreen.errors import EvergreenError


class Health(StrEnum):
    """How something is. UNKNOWN is what could not be found out; it is neither well nor wrong."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `do` is the next step, a command where there is one; empty where none is due."""

    name: str
    outcome: Health
    what: str
    do: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "outcome": self.outcome.value}


def fine(name: str, what: str, do: str = "") -> Finding:
    """Nothing is wrong; `do` may still say what waits for a person."""
    return Finding(name, Health.OK, what, do)


def wrong(name: str, what: str, do: str) -> Finding:
    """Something has to be done."""
    return Finding(name, Health.WRONG, what, do)


def unknown(name: str, why: str, do: str = "") -> Finding:
    """It could not be found out, and why."""
    return Finding(name, Health.UNKNOWN, why, do)


def asked(name: str, question: Callable[[], Finding]) -> Finding:
    """The answer to a question; UNKNOWN with the reason where asking fails, whatever fails.

    >>> asked("disk", lambda: fine("disk", str(1 / 0)))
    Finding(name='disk', outcome=<Health.UNKNOWN: 'unknown'>, what='division by zero', do='')
    """
    try:
        return question()
    except Exception as error:
        # What is examined may be broken in any way, and the rest is still worth saying.
        return unknown(name, first_line(error))


def first_line(error: Exception) -> str:
    """An error in one line: its text, or its type where it has none. What to do is said by the finding instead.

    >>> from evergreen.errors import UnavailableError
    >>> first_line(UnavailableError("the store does not answer (refused); start it"))
    'the store does not answer (refused)'
    """
    text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    problem, _, advice = text.rpartition("; ")
    return problem if isinstance(error, EvergreenError) and problem and ")" not in advice else text


def anything_wrong(findings: tuple[Finding, ...]) -> bool:
    """True where at least one finding asks for something to be done."""
    return any(finding.outcome is Health.WRONG for finding in findings)
