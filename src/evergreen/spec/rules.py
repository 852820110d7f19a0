"""Drift and gate rules: the bounds a run is judged by."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from evergreen.spec.base import Duration, Part

Share = Annotated[float, Field(ge=0, le=1)]
# No number is below NaN or above it: such a bound would look like one and hold nothing.
Number = Annotated[float, Field(allow_inf_nan=False)]


class ColumnDrift(Part):
    """Method and threshold of one column. `ks` and `chisquare` compare a p-value, the others a distance."""

    method: Literal["ks", "chisquare", "wasserstein", "jensenshannon", "psi"]
    threshold: Number = Field(gt=0)


class DriftRules(Part):
    """When inputs count as moved. Columns not named here get a two-sample test (see docs/drift.md)."""

    max_share: Share = Field(0.5, description="More drifted columns than this hold the run.")
    retrain_share: Share = Field(0.3, description="A run for reason drift goes on only from this share.")
    min_rows: int = Field(500, ge=1, description="Fewer rows on either side: UNKNOWN.")
    false_alarm_rate: float = Field(0.05, gt=0, lt=1, description="Level of the tests, over all columns together.")
    min_effect: Share = Field(0.1, description="A smaller distance is no drift, however significant.")
    window: Duration | None = Field(
        None,
        description="Current rows: this much before as_of; all since the champion's training when left out.",
    )
    sample: int = Field(50_000, ge=100, description="Rows of the reference, and of the report, at most.")
    seed: int = 0
    cooldown: Duration = Field(
        timedelta(days=1), description="After a retraining for drift, no other alert starts one for this long."
    )
    columns: dict[str, ColumnDrift] = Field(default_factory=dict)


class Bound(Part):
    """A floor, a ceiling, or both."""

    at_least: Number | None = None
    at_most: Number | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Bound":
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        return self


class AgainstChampion(Part):
    """Non-inferiority on the holdout: the challenger is not worse by more than `margin`, at `confidence`."""

    metric: str
    margin: Number = Field(0.0, ge=0)
    relative: bool = Field(False, description="Read the margin as a share of the champion's value.")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    resamples: int = Field(2000, ge=200)
    block: Duration | None = Field(None, description="Length of a block of time-ordered rows; a day when left out.")
    seed: int = 0


class SliceRules(Part):
    """No slice with enough rows gets worse than the champion by more than `margin`."""

    by: tuple[str, ...] = Field(min_length=1)
    margin: Number = Field(0.0, ge=0)
    min_rows: int = Field(200, ge=1)


class Gates(Part):
    """Every bound a challenger must meet. Without an absolute or a relative one nothing is promoted."""

    absolute: dict[str, Bound] = Field(default_factory=dict)
    against_champion: AgainstChampion | None = None
    slices: SliceRules | None = None
    beat_dummy: bool = Field(True, description="Better than the dummy baseline on the training metric.")
    max_negative_flips: Share | None = Field(
        None, description="Share of rows that the champion has right and the challenger wrong."
    )
    max_churn: Share | None = Field(None, description="Share of rows whose prediction changes.")
    max_overfit_gap: Number | None = Field(
        None, ge=0, description="Cross-validated minus holdout value of the training metric, at most."
    )
