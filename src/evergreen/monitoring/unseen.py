"""Nulls that became more frequent, and categories that training never saw, column by column."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from evergreen.checks import Outcome
from evergreen.monitoring.chance import LEVEL
from evergreen.store.window import Signal, SignalKind

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.drift.compare import Current
    from evergreen.drift.profile import ColumnProfile, Profile

MIN_SHARE = 0.02
"""A share that grew by less is no news, however certain."""


@dataclass(frozen=True)
class Grown:
    """A share of a column's rows in the reference and now: of nulls, or of categories that are new.

    `p_value` is of the two-sample test, adjusted over all columns; `effect` what grew beyond what is expected.
    """

    column: str
    what: str
    before: float
    now: float
    p_value: float
    effect: float
    why: str

    @property
    def raised(self) -> bool:
        """True where it is certain, and large enough to matter."""
        return self.p_value < LEVEL and self.effect >= MIN_SHARE


def find_unseen(frame: "pd.DataFrame", names: Sequence[str], profile: "Profile | None") -> Signal:
    """Null shares and unseen categories of these columns, each against the champion's reference.

    `value` is the largest share that grew. A column with fewer nulls than before is no fault.
    """
    from dataclasses import replace

    from evergreen.drift.statistics import adjust

    if profile is None:
        return Signal(SignalKind.UNSEEN, Outcome.UNKNOWN, "the champion has no profile to compare with")
    if frame.empty:
        return Signal(SignalKind.UNSEEN, Outcome.UNKNOWN, "no row came that could be looked at")
    measured = [
        each for name in names if name in profile.columns for each in _of_column(frame[name], profile.columns[name])
    ]
    adjusted = adjust([each.p_value for each in measured])
    found = [replace(each, p_value=p) for each, p in zip(measured, adjusted, strict=True)]
    raised = sorted((each for each in found if each.raised), key=lambda each: -each.effect)
    largest = max((each.effect for each in found), default=0.0)
    details = {"columns": [asdict(each) | {"raised": each.raised} for each in found if each.effect or each.raised]}
    if raised:
        why = "; ".join(each.why for each in raised[:3]) + (f"; and {len(raised) - 3} more" if len(raised) > 3 else "")
        return Signal(SignalKind.UNSEEN, Outcome.FAIL, why, largest, MIN_SHARE, details=details)
    why = "no column has more nulls, or more categories that are new, than chance explains"
    return Signal(SignalKind.UNSEEN, Outcome.PASS, why, largest, MIN_SHARE, details=details)


def _of_column(column: "pd.Series", reference: "ColumnProfile") -> Iterator[Grown]:
    name = str(column.name)
    try:
        now = _read(column, reference)
    except ValueError as error:
        why = f"{name}: cannot be read as {reference.type} ({error})"
        yield Grown(name, "unreadable", 0.0, 1.0, 0.0, 1.0, why)
        return
    yield _nulls(name, now, reference)
    if not reference.numeric and now.known and reference.known:
        yield _categories(name, now, reference)


def _read(column: "pd.Series", reference: "ColumnProfile") -> "Current":
    """The column as drift reads it, but for numbers, which it sorts: here they are only counted."""
    import numpy as np

    from evergreen.drift.compare import Current, read_current
    from evergreen.drift.values import read_numbers

    if not reference.numeric:
        return read_current(column, reference)
    return Current(len(column), int(np.isnan(read_numbers(column)).sum()))


def _nulls(name: str, now: "Current", reference: "ColumnProfile") -> Grown:
    from evergreen.drift.statistics import proportions

    p, effect = proportions((reference.nulls, reference.rows), (now.nulls, now.rows))
    share = now.nulls / now.rows
    grown = share > reference.null_share
    why = f"{name}: {share:.1%} are null, {reference.null_share:.1%} in training"
    return Grown(name, "null", reference.null_share, share, p if grown else 1.0, effect if grown else 0.0, why)


def _categories(name: str, now: "Current", reference: "ColumnProfile") -> Grown:
    from evergreen.drift.compare import compare_labels

    part = compare_labels(now, reference, LEVEL)
    known = set(reference.values)
    share = sum(count for label, count in (now.labels or {}).items() if label not in known) / now.known
    return Grown(name, "unseen", 0.0, share, part.score, part.effect, f"{name}: {part.detail}")
