"""What was answered, and what came true: the rows of the traffic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who a version is in serving."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


@dataclass(slots=True)
class Prediction:
    """One answered row, as it is captured. Nobody changes it; it is not frozen, as one is made for every answer, and a
    frozen one takes three times as long to make.

    `id` is ours and unique, `row_id` the caller's own name for the row. `inputs` are the fields as served, by name, as
    JSON has them (null for a missing value, ISO 8601 for a moment). `at` is aware, in UTC; `latency_ms` is from the end
    of the request's body to the answer, of the request the row came in. `request` names that request, `explored` marks
    answers that were given for the sake of labels.
    """

    id: str
    request: str
    model: str
    version: int
    role: Role
    at: datetime
    inputs: Mapping[str, Any]
    prediction: Any
    probabilities: Mapping[str, float] | None = None
    row_id: str | None = None
    latency_ms: float | None = None
    explored: bool = False


@dataclass(frozen=True)
class Feedback:
    """What came true: the label of a prediction, by its id or by the caller's own name of the row.

    `at` is when it was known, `received_at` when it came; both aware, in UTC. A later one on the same prediction
    corrects the earlier.
    """

    model: str
    label: Any
    at: datetime
    received_at: datetime
    prediction_id: str | None = None
    row_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
