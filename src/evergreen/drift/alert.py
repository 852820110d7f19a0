"""What a drift alert says: from whoever watches a model's inputs, to the run that it starts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

EVENT = "evergreen.drift.detected"


class DriftAlert(BaseModel):
    """Drift as it was seen. Fields that a newer sender adds are ignored: an alert is not lost over them.

    `share` is the share of compared columns that drifted, `columns` their names, `window_start` and `window_end` the
    span of rows that were looked at. `version` is given where drift was measured against that version's reference, in
    rows as it was asked about them: the run then need not find it again.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    share: Annotated[float, Field(ge=0, le=1)]
    columns: tuple[str, ...] = ()
    window_start: datetime | None = None
    window_end: datetime | None = None
    severity: Literal["warning", "critical"] = "warning"
    version: int | None = None

    def to_text(self) -> str:
        """The alert in a line.

        >>> DriftAlert(share=0.4, columns=("price", "plan"), severity="critical").to_text()
        'critical: 40 % of columns drifted (price, plan)'
        """
        columns = f" ({', '.join(self.columns)})" if self.columns else ""
        until = f", seen up to {self.window_end:%Y-%m-%d %H:%M}" if self.window_end else ""
        return f"{self.severity}: {self.share:.0%} of columns drifted{columns}{until}".replace("%", " %", 1)
