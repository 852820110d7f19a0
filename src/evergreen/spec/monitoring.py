"""How live traffic is watched, and what follows from what is seen."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from evergreen.spec.base import Duration, Part
from evergreen.spec.canary import CanaryMetric
from evergreen.spec.rules import Number, Share
from evergreen.spec.schedule import require_cron, require_timezone


class Persistence(Part):
    """A signal counts when it is raised in the newest window and in at least `k` of the last `n`."""

    k: int = Field(2, ge=1, description="Windows in which it is raised, at least.")
    n: int = Field(3, ge=1, description="Out of so many, the newest among them.")

    @model_validator(mode="after")
    def _possible(self) -> "Persistence":
        if self.k > self.n:
            raise ValueError(f"k: {self.k} of the last {self.n} windows can never be; give k at most n")
        return self


class RealisedRules(Part):
    """What came true, once labels are in."""

    metric: CanaryMetric | None = Field(None, description="A loss; brier of classes and mae of numbers if left out.")
    margin: Number = Field(0.1, ge=0, description="Over the champion's holdout loss, as a share of it.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Over all looks since the champion took over together.")
    min_labels: int = Field(200, ge=1, description="Fewer labels say nothing.")
    then: Literal["retrain", "alert"] = "retrain"


class EstimateRules(Persistence):
    """What the model's own confidence says before labels are in."""

    then: Literal["retrain", "labels", "alert"] = Field("labels", description="`labels` asks people for labels first.")


class DriftPolicy(Persistence):
    """Inputs and answers that moved together."""

    false_alarm_rate: float = Field(0.05, gt=0, lt=1, description="Windows without drift that are flagged, at most.")
    resamples: int = Field(400, ge=100, description="Draws of the reference that thresholds are set by.")
    min_effect: Share = Field(0.02, description="A smaller distance, weighted by importance, is no drift.")
    then: Literal["retrain", "alert"] = "retrain"


class HealthRules(Part):
    """How serving does."""

    max_error_share: Share = 0.01
    latency_p95_ms: Number | None = Field(None, gt=0, description="The gate's own bound when left out.")
    max_age: Duration | None = Field(None, description="Of the champion's newest training row.")
    skew_sample: int = Field(200, ge=0, description="Captured rows that are answered again; 0 for none.")


class MonitoringRules(Part):
    """A model's watch: windows of captured traffic, one after another."""

    cron: Annotated[str, AfterValidator(require_cron)] = "10 * * * *"
    timezone: Annotated[str, AfterValidator(require_timezone)] = "UTC"
    active: bool = Field(True, description="False deploys the schedule paused.")
    min_rows: int = Field(500, ge=50, description="A window is closed with so many rows.")
    max_wait: Annotated[Duration, Field(gt=timedelta(0))] = Field(
        timedelta(days=1), description="A window with fewer rows is closed after this long, and says so."
    )
    max_rows: int = Field(1_000_000, ge=1_000, description="Rows of a window at most.")
    grace: Duration = Field(timedelta(minutes=1), description="A window ends this long before it is looked at.")
    seed: int = 0
    drift: DriftPolicy = DriftPolicy()
    estimate: EstimateRules = EstimateRules()
    realised: RealisedRules = RealisedRules()
    health: HealthRules = HealthRules()
    cooldown: Duration = Field(timedelta(days=1), description="After a retraining was asked for, none is for so long.")
    budget: int = Field(4, ge=0, description="Retrainings that monitoring asks for in 30 days at most.")
