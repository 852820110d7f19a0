"""What a drift alert says: from whoever watches a model's inputs, to the run that it starts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

EVENT = "evergreen.drift.detected"


class DriftAlert(BaseModel):
    """Drift as it was seen. Fields that a newer sender adds are ignored: an alert is not lost over them.

    `share` is the share of compared columns that drifted, `columns` their names, `window_start` and `window_end` the
    span of rows that were looked at.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    share: Annotated[float, Field(ge=0, le=1)]
    columns: tuple[str, ...] = ()
    window_start: datetime | None = None
    window_end: datetime | None = None
    severity: Literal["warning", "critical"] = "warning"
