"""How a recipe is found and a model fitted."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from evergreen.address import secret_in
from evergreen.spec.base import Duration, Part

ParamValue = float | int | str | bool | None | tuple[Any, ...]


class TimeSplit(Part):
    """The newest labelled block is held out; `gap` before it is used by neither side."""

    kind: Literal["time"]
    holdout: Duration
    gap: Duration | None = Field(None, description="Before the holdout and each fold; data.label_delay when left out.")

    @field_validator("holdout")
    @classmethod
    def _holds_something_out(cls, holdout: timedelta) -> timedelta:
        if not holdout:
            raise ValueError("holds nothing out; give a length above 0, such as 30d")
        return holdout


class RandomSplit(Part):
    """A share of the rows, drawn by a hash of the row, so that a row keeps its side as the table grows."""

    kind: Literal["random"]
    holdout: float = Field(0.2, gt=0, lt=1)
    seed: int = 42


Split = Annotated[TimeSplit | RandomSplit, Field(discriminator="kind")]


class CrossValidation(Part):
    """Folds follow the data: time-ordered with a time split, grouped with a group column, else stratified."""

    folds: int = Field(5, ge=2, le=50)


class Search(Part):
    """Which recipes are tried, and where the trials run."""

    kind: Literal["grid", "random", "halving"] = "grid"
    runner: Literal["threads", "processes", "dask", "ray"] = "threads"
    address: str | None = Field(
        None, description="A Dask or Ray cluster that runs already; one on this machine is started when left out."
    )
    workers: int | None = Field(None, ge=1, description="Trials at once; the machine's cores when left out.")
    trials: int = Field(20, ge=1, description="How many draws `random` and `halving` start from.")
    factor: int = Field(3, ge=2, description="`halving` keeps one in so many recipes a round.")
    refit: Literal["best", "all"] = Field(
        "best", description="`all` fits and logs a final model for every trial, beside its cross-validation."
    )

    @field_validator("address")
    @classmethod
    def _without_secret(cls, address: str | None) -> str | None:
        if address is not None and (secret := secret_in(address)):
            raise ValueError(f"holds a secret ({secret}); Dask and Ray read theirs from the environment")
        return address


CandidateKind = Literal[
    "logistic_regression",
    "linear_regression",
    "ridge",
    "elastic_net",
    "gradient_boosting",
    "hist_gradient_boosting",
    "random_forest",
    "extra_trees",
    "decision_tree",
    "k_neighbors",
    "neural_network",
    "custom",
]


class Candidate(Part):
    """An estimator with fixed `params` and, per parameter in `grid`, the values to try."""

    kind: CandidateKind
    estimator: str | None = Field(None, description="`module:Class`, for kind custom.")
    params: dict[str, ParamValue] = Field(default_factory=dict)
    grid: dict[str, tuple[ParamValue, ...]] = Field(default_factory=dict)


class TrainingSpec(Part):
    """Split, folds, search and candidates."""

    split: Split
    cross_validation: CrossValidation = CrossValidation()
    metric: str
    seed: int = 42
    start: Literal["scratch", "champion"] = Field(
        "scratch",
        description="`champion`: candidates that can go on from the champion's own fit learn only what is new to it.",
    )
    search: Search = Search()
    candidates: tuple[Candidate, ...] = Field(min_length=1)
