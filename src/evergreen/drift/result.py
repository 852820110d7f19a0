"""What a drift assessment says, column by column."""

from dataclasses import dataclass
from datetime import datetime

from evergreen.checks import Outcome


@dataclass(frozen=True)
class ColumnDrift:
    """The verdict on one column.

    `score` is what `method` yields: a p-value (adjusted for the number of columns) for tests, a distance for the
    others. `effect` is always a distance in 0..1: Kolmogorov's D, or half the summed difference of shares.
    """

    column: str
    role: str  # input | target | prediction
    method: str
    score: float | None
    threshold: float
    effect: float | None
    outcome: Outcome  # PASS: not drifted, FAIL: drifted, UNKNOWN: could not be told
    why: str

    @property
    def drifted(self) -> bool:
        """True where the column moved."""
        return self.outcome is Outcome.FAIL


@dataclass(frozen=True)
class DriftResult:
    """Drift of the current rows against the champion's reference.

    `share` is drifted inputs over inputs that could be judged; None where nothing could be.
    `report` and `data` are paths of the HTML and JSON reports, None where none was rendered.
    """

    columns: tuple[ColumnDrift, ...]
    share: float | None
    current_rows: int
    reference_rows: int
    since: datetime | None = None
    until: datetime | None = None
    report: str | None = None
    data: str | None = None
    note: str = ""

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the inputs that moved."""
        return tuple(c.column for c in self.columns if c.drifted and c.role == "input")
