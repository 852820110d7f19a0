"""What the parts of serving hand each other: columns, rows, problems, answers, models and predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from evergreen.spec.columns import ColumnType

if TYPE_CHECKING:
    import numpy as np

# One row, a value a column in the order of the schema: float for integer, number and boolean (NaN is null), str or None
# for category and text, whole microseconds since 1970 in UTC or None for datetime.
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Column:
    """What a request may say in one field: the rules that the training rows of the model were held to.

    `nullable` is False where training allowed no null. A value outside `allowed` is refused if `strict`.
    """

    name: str
    type: ColumnType
    nullable: bool = True
    min: float | None = None
    max: float | None = None
    allowed: tuple[str, ...] | None = None
    strict: bool = True


@dataclass(frozen=True)
class Problem:
    """What is wrong with a request: where (`row` counts from 0; None for the body as a whole), which rule, and why.

    The text never repeats more than a few characters of what was sent.
    """

    rule: str
    why: str
    field: str | None = None
    row: int | None = None


@dataclass(frozen=True)
class Answers:
    """What a model says to some rows, one prediction each: labels, or numbers (float64).

    `probabilities` has shape (rows, classes) and is None for a regression, and for a classifier that has none.
    """

    predictions: Sequence[Any]
    probabilities: "np.ndarray | None" = None
    classes: tuple[str, ...] = ()


class Engine(Protocol):
    """Whatever turns rows into answers."""

    name: str
    """`compiled`, or `pipeline` where nothing faster gives the same answers."""

    why: str
    """Why it is not the faster one; empty where it is."""

    def answer(self, rows: Sequence[Row]) -> Answers:
        """The answers for valid rows. The answer for a row does not depend on those beside it, to 1e-9."""


class Role(StrEnum):
    """Who a version is in serving."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


@dataclass(frozen=True)
class ServedModel:
    """A version that is loaded, verified and warm.

    `digest` is its artifact's, as in the ledger; `id_column` the field by which callers name a row, None where the spec
    names none. `decision` is the held decision of a challenger.
    """

    model: str
    version: int
    digest: str
    task: str
    columns: tuple[Column, ...]
    engine: Engine
    id_column: str | None = None
    role: Role = Role.CHAMPION
    decision: int | None = None
    trained_until: datetime | None = None
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"version {self.version} of {self.model}"


@dataclass(frozen=True)
class Prediction:
    """One answered row, as it is captured.

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
