"""Recipes, trials and fitted models as small values; arrays and models stay on disk."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Encoding = Literal["scaled", "imputed", "native", "champion"]


@dataclass(frozen=True)
class Recipe:
    """One estimator with all its parameters: what a trial tries.

    `encoding` says which preprocessing it reads: `scaled`, `imputed` or `native` (see evergreen.features), or that of
    the `champion`, whose fit it continues. `varied` are the parameters that tell recipes of one candidate apart.
    """

    candidate: int
    kind: str
    params: dict[str, Any]
    encoding: Encoding
    estimator: str | None = None
    varied: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Short and readable, with what varies: `logistic_regression C=0.1 solver=lbfgs`."""
        values = " ".join(f"{name}={self.params[name]}" for name in self.varied)
        return f"{self.kind} {values}".strip() + (" (continued)" if self.continues else "")

    @property
    def continues(self) -> bool:
        """True where it goes on from the champion's fit."""
        return self.encoding == "champion"

    @property
    def described(self) -> str:
        """With every parameter that the spec gives."""
        return ", ".join([self.kind, *(f"{name}={value}" for name, value in self.params.items())])

    @property
    def key(self) -> str:
        """Unique among the recipes of a search."""
        return f"{self.candidate} {self.label}"


@dataclass(frozen=True)
class Start:
    """The champion that recipes go on from: its pipeline, saved at `path`, whose sha256 is `digest`.

    `artifact` is the digest of the registered one. `newer_than` is the time of its newest training row, in naive UTC as
    times in tables are: later rows are new to it.
    """

    version: int
    artifact: str
    path: str
    digest: str
    newer_than: datetime


@dataclass(frozen=True)
class RowSplit:
    """Positions of training and holdout rows, stored beside each other in the file at `path` (npz).

    Only labelled rows are on either side. Times are aware, in UTC; None with a random split. `draw` names how a random
    split drew its rows: two with one name hold out the same rows of a table, two with different names do not.
    """

    path: str
    train_rows: int
    holdout_rows: int
    train_until: datetime | None = None
    holdout_from: datetime | None = None
    holdout_until: datetime | None = None
    draw: str = ""


@dataclass(frozen=True)
class Folds:
    """Encoded folds of one encoding: a folder with float32 matrices, ready to be mapped into memory.

    `start` is the champion that recipes of this encoding go on from, None where they begin anew.
    """

    path: str
    encoding: Encoding
    folds: int
    columns: int
    start: Start | None = None


@dataclass(frozen=True)
class TrialResult:
    """Scores of a recipe over the folds, in the metric's own units: whether greater is better is the metric's to say.

    A fold that could not be scored is NaN and not part of `mean` and `std`; without any scored fold these are NaN.
    `rows` is what the largest fold learned from, `notes` are warnings.
    """

    recipe: Recipe
    metric: str
    scores: tuple[float, ...]
    mean: float
    std: float
    seconds: float
    rows: int
    reused: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FittedModel:
    """A pipeline fitted on all training rows, saved at `path`; `digest` is the sha256 of that file."""

    recipe: Recipe
    path: str
    digest: str
    train_rows: int
    seconds: float
    classes: tuple[str, ...] = ()
    reused: bool = False
    notes: tuple[str, ...] = ()
