"""What the parts of serving hand each other: columns, rows, problems, answers, models and predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from evergreen.spec.canary import CanaryRules
from evergreen.spec.columns import ColumnType

# Defined where they are kept, below this room, so that monitoring and training can read them.
from evergreen.store.prediction import Feedback, Prediction, Role  # noqa: F401

if TYPE_CHECKING:
    import numpy as np

    from evergreen.serving.reader import Reader
    from evergreen.store.inputs import InputForm

# One row, a value a column in the order of the schema: float for integer, number and boolean (NaN is null), str or None
# for category and text, whole microseconds since 1970 in UTC or None for datetime.
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Column:
    """What a request may say in one field: the rules that the training rows of the model were held to.

    `nullable` is False where training allowed no null. A value outside `allowed` is refused if `strict`. `nulls` are
    the texts that mean a missing value, and `day_first` how 03/04/2025 is meant, as in the source of the training rows.
    """

    name: str
    type: ColumnType
    nullable: bool = True
    min: float | None = None
    max: float | None = None
    allowed: tuple[str, ...] | None = None
    strict: bool = True
    nulls: tuple[str, ...] = ("",)
    day_first: bool = False


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

    @property
    def name(self) -> str:
        """`compiled`, or `pipeline` where nothing faster gives the same answers."""

    @property
    def why(self) -> str:
        """Why it is not the faster one; empty where it is."""

    def answer(self, rows: Sequence[Row]) -> Answers:
        """The answers for valid rows. The answer for a row does not depend on those beside it, to 1e-9."""


@dataclass(frozen=True)
class ServedModel:
    """A version that is loaded, verified and warm.

    `digest` is its artifact's, as in the ledger; `id_column` the field by which callers name a row, None where the spec
    names none; `keeps_rows` is False where that name is never kept. `decision` is the held decision of a challenger,
    and `trial` how it is tried. `explore` is the share of its answers that are marked for their labels. `example` is a
    request that documents show, None where there is none but what the rules allow.
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
    trial: CanaryRules | None = None
    trained_until: datetime | None = None
    classes: tuple[str, ...] = ()
    keeps_rows: bool = True
    explore: float = 0.0
    example: Mapping[str, Any] | None = field(default=None, compare=False)

    @cached_property
    def reader(self) -> "Reader":
        """The compiled check of its requests, which lives as long as the version does."""
        from evergreen.serving.reader import build_reader

        return build_reader(self.columns, self.id_column)

    @cached_property
    def form(self) -> "InputForm":
        """How its rows are captured; one object for all of them, so that they are written together."""
        from evergreen.serving.rows import input_form

        return input_form(self.columns)

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"version {self.version} of {self.model}"
