"""A check is a value: one rule, what was measured, the bound, and PASS, FAIL or UNKNOWN."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What a check came to. UNKNOWN is not a pass: it never promotes."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Check:
    """One rule applied once.

    `bound` is the rule in words (`"≥ 0.90"`), `why` one sentence that a person who did not
    write the spec can act on. `value` is None where nothing could be measured. `stage` names the stage of the run that
    applied it, empty for the gate's own.
    """

    name: str
    outcome: Outcome
    value: float | None
    bound: str
    why: str
    stage: str = ""

    @property
    def passed(self) -> bool:
        """True for PASS alone."""
        return self.outcome is Outcome.PASS

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the ledger stores them."""
        return {**asdict(self), "outcome": self.outcome.value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Check":
        """The inverse of `to_dict`.

        >>> check = Check("rows", Outcome.PASS, 812.0, "≥ 500", "812 rows")
        >>> Check.from_dict(check.to_dict()) == check
        True
        """
        return cls(**{**values, "outcome": Outcome(values["outcome"])})


def worst(checks: Iterable[Check]) -> Outcome:
    """The outcome of all checks together: any FAIL fails, else any UNKNOWN is UNKNOWN; none at all passes.

    >>> worst([])
    <Outcome.PASS: 'PASS'>
    """
    outcomes = {check.outcome for check in checks}
    return next((o for o in (Outcome.FAIL, Outcome.UNKNOWN) if o in outcomes), Outcome.PASS)


def at_least(name: str, value: float | None, bound: float, why: str = "") -> Check:
    """A check that a value reaches a bound. A value of None, or NaN, is UNKNOWN.

    >>> at_least("accuracy", 0.93, 0.9).outcome
    <Outcome.PASS: 'PASS'>
    >>> at_least("accuracy", None, 0.9).outcome
    <Outcome.UNKNOWN: 'UNKNOWN'>
    """
    return _bounded(name, value, bound, "≥", why)


def at_most(name: str, value: float | None, bound: float, why: str = "") -> Check:
    """A check that a value does not exceed a bound. A value of None, or NaN, is UNKNOWN.

    >>> at_most("size_mb", 501.0, 500).outcome
    <Outcome.FAIL: 'FAIL'>
    """
    return _bounded(name, value, bound, "≤", why)


def _bounded(name: str, value: float | None, bound: float, sign: str, why: str) -> Check:
    rule = f"{sign} {bound:g}"
    if value is None or math.isnan(value):
        return Check(name, Outcome.UNKNOWN, None, rule, why or f"{name} could not be measured")
    passed = value >= bound if sign == "≥" else value <= bound
    return Check(name, Outcome.PASS if passed else Outcome.FAIL, float(value), rule, why or f"{name} is {value:.4g}")


def to_markdown(checks: Sequence[Check]) -> str:
    """The checks as a Markdown table (check, value, bound, outcome, why)."""
    rows = [
        f"| {c.name} | {'–' if c.value is None else f'{c.value:.4g}'} | {c.bound} | {c.outcome} | {_cell(c.why)} |"
        for c in checks
    ]
    return "\n".join(["| check | value | bound | outcome | why |", "| --- | ---: | --- | --- | --- |", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
