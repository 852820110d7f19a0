"""The rules of a canary: how a challenger is tried on real requests, and what ends the trial."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from evergreen.spec.base import Duration, Part
from evergreen.spec.rules import Number, Share

CanaryMetric = Literal["accuracy", "brier", "log_loss", "mae"]

# How much traffic a trial sees, and what becomes of one that came to nothing, is not what a verdict rests on.
WITHOUT_EFFECT: dict[str, Any] = dict.fromkeys(("share", "within", "on_timeout", "watch"), True)


class CanaryQuality(Part):
    """Predictions against what came true: the challenger's mean is not worse than the champion's by more than `margin`.

    Needs labels of requests, so it is for models whose labels come back within the trial.
    """

    metric: CanaryMetric
    margin: Number = Field(
        ge=0,
        description="In units of the metric: 0.01 of accuracy is one answer in a hundred. 0 wants proof of better.",
    )
    at_least: int = Field(500, ge=50, description="Labelled requests of either side before there is a verdict.")


class CanaryRules(Part):
    """A challenger is tried beside the champion until a verdict is certain.

    All stop conditions met for certain: it is promoted. One of them broken for certain: it is rejected at once.
    """

    kind: Literal["split", "shadow"] = Field(
        "split",
        description="split: the challenger answers a share of the requests. shadow: it is asked a copy of them, and "
        "nobody sees what it says.",
    )
    share: float = Field(0.1, gt=0, le=1, description="Share of requests that the challenger answers, or is shown.")
    at_least: int = Field(1000, ge=100, description="Requests of either side before there is a promotion.")
    within: Duration = Field(
        timedelta(days=5),
        gt=timedelta(0),
        description="The trial ends after this long; below the time between runs, as the next challenger ends it, too.",
    )
    on_timeout: Literal["reject", "hold"] = Field(
        "reject", description="What becomes of a challenger without a verdict by then: rejected, or left to a person."
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Of every verdict, however often it is looked for, over all conditions together.",
    )
    max_error_increase: Share | None = Field(
        0.01, description="Share of failed requests above the champion's, at most; null for no such condition."
    )
    max_error_share: Share | None = Field(None, description="Share of failed requests, at most.")
    max_latency_ratio: Number | None = Field(
        2.0,
        gt=0,
        description="95th percentile of the latency over the champion's, at most; null for no such condition.",
    )
    quality: CanaryQuality | None = None
    watch: Duration | None = Field(
        None, gt=timedelta(0), description="After a promotion: rolled back if a condition breaks within this long."
    )

    @property
    def conditions(self) -> int:
        """How many stop conditions there are.

        >>> CanaryRules(max_error_increase=None, max_latency_ratio=None).conditions
        0
        """
        stops = (self.max_error_increase, self.max_error_share, self.max_latency_ratio, self.quality)
        return sum(stop is not None for stop in stops)
