"""What the holdout says about challenger and champion."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ModelScore:
    """One model on the holdout. A metric that cannot be computed there (one class only) is None.

    `latency_p95_ms` is one row through the whole pipeline; `size_mb` the saved model.
    """

    metrics: dict[str, float | None]
    latency_p95_ms: float | None = None
    size_mb: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Challenger against champion, paired row by row.

    `difference` and its interval are oriented: positive is better, whatever the metric. `margin` is absolute, in
    units of the metric. `rows_to_decide` estimates how many holdout rows would decide, where the interval does not.
    """

    metric: str
    challenger: float
    champion: float
    difference: float
    lower: float
    upper: float
    margin: float
    confidence: float
    rows: int
    blocks: int | None = None
    rows_to_decide: int | None = None


@dataclass(frozen=True)
class SliceScore:
    """One slice of the holdout, both models. Values are None where the metric cannot be computed.

    `difference` is oriented, positive is better; `lower` and `upper` are its interval, None where the slice has too few
    rows or blocks for one.
    """

    column: str
    value: str
    rows: int
    challenger: float | None
    champion: float | None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Flips:
    """Shares of rows: `negative` right to wrong, `positive` wrong to right, `churn` prediction changed."""

    negative: float
    positive: float
    churn: float


@dataclass(frozen=True)
class Importance:
    """What the metric loses when one raw column is shuffled: mean and standard deviation over the shuffles."""

    column: str
    mean: float
    std: float


@dataclass(frozen=True)
class Evaluation:
    """Everything the gate needs to know about the holdout.

    `champion_saw_holdout` is True where the champion was trained on rows of this holdout: a comparison would
    flatter it and is not made. `importance` is the challenger's on the metric, the largest first; it is measured
    where pictures are drawn.
    """

    metric: str
    greater_is_better: bool
    rows: int
    challenger: ModelScore
    dummy: float | None
    champion: ModelScore | None = None
    champion_version: int | None = None
    champion_saw_holdout: bool = False
    comparison: Comparison | None = None
    comparison_note: str = ""
    slices: tuple[SliceScore, ...] = ()
    flips: Flips | None = None
    cross_validated: float | None = None
    holdout_from: datetime | None = None
    holdout_until: datetime | None = None
    plots: tuple[str, ...] = ()
    importance: tuple[Importance, ...] = ()
