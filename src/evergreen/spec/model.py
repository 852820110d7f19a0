"""`ModelSpec`: one file of `configs/`, parsed, frozen and consistent."""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from evergreen.spec.base import Duration, Part
from evergreen.spec.canary import WITHOUT_EFFECT as _OF_CANARIES
from evergreen.spec.canary import CanaryRules
from evergreen.spec.columns import ColumnType, TableRules
from evergreen.spec.contradictions import contradictions
from evergreen.spec.data import DataSpec
from evergreen.spec.derivation import derivation, follows_time
from evergreen.spec.features import (
    Arithmetic,
    CalendarPart,
    Custom,
    DaysSince,
    Derived,
    FeatureSpec,
    Frequency,
)
from evergreen.spec.monitoring import MonitoringRules
from evergreen.spec.rules import DriftRules, Gates
from evergreen.spec.schedule import require_cron, require_timezone
from evergreen.spec.serving import Serving
from evergreen.spec.training import TimeSplit, TrainingSpec

# Changing these changes neither a model nor a verdict.
_WITHOUT_EFFECT: dict[str, Any] = {
    **dict.fromkeys(("owner", "description", "schedule", "notify", "serving", "monitoring"), True),
    # What a canary is judged by is added where the mode is canary: other models keep the digest that they had.
    "promotion": {"approve_within", "canary", "moved_by_hand"},
    "drift": {"cooldown"},
    "training": {"search": {"runner", "workers", "address"}},
}


MovedByHand = Literal["report", "adopt", "restore"]


class Promotion(Part):
    """What happens to a challenger that passed its gate."""

    mode: Literal["automatic", "approval", "canary"] = "automatic"
    approve_within: Duration = Field(timedelta(days=7), description="A held challenger is rejected after this long.")
    canary: CanaryRules | None = Field(None, description="For mode canary; its defaults hold when left out.")
    moved_by_hand: MovedByHand = Field("report", description="What is done where somebody moved alias champion.")

    @property
    def trial(self) -> CanaryRules | None:
        """The rules that a challenger is tried by; None where it is not."""
        return (self.canary or CanaryRules()) if self.mode == "canary" else None


class Schedule(Part):
    """When the model is retrained by itself."""

    cron: Annotated[str, AfterValidator(require_cron)] = "0 6 * * 1"
    timezone: Annotated[str, AfterValidator(require_timezone)] = "UTC"
    active: bool = Field(True, description="False deploys the schedule paused.")


News = Literal[
    "promoted",
    "rejected",
    "held",
    "failed",
    "rolled_back",
    "alias_moved",
    "drift",
    "performance",
    "labels",
    "faults",
    "alert",
    "silence",
]


class Notify(Part):
    """Somebody who is told what happened; the address is a secret, so an environment variable holds it."""

    kind: Literal["webhook", "slack", "email"]
    url_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Variable with the address.")]
    on: tuple[News, ...] = Field(get_args(News), description="What is told; everything when left out.")


class ModelSpec(Part):
    """Everything a team says about one model. `table` is the file's key `schema`."""

    model: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="Registered model name.")]
    task: Literal["classification", "regression"]
    owner: str = ""
    description: str = ""
    data: DataSpec
    table: TableRules = Field(TableRules(), alias="schema")
    features: FeatureSpec
    training: TrainingSpec
    drift: DriftRules = DriftRules()
    gates: Gates = Gates()
    promotion: Promotion = Promotion()
    schedule: Schedule = Schedule()
    serving: Serving = Serving()
    monitoring: MonitoringRules = MonitoringRules()
    notify: tuple[Notify, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "ModelSpec":
        for problem in contradictions(self):
            raise ValueError(problem)
        return self

    @property
    def digest(self) -> str:
        """sha256 over everything that can change a model or its verdict."""
        values = self.model_dump(mode="json", by_alias=True, exclude=_WITHOUT_EFFECT)
        if self.training.start == "scratch":
            # As it was before there was a choice: such specs keep the digest that they had.
            del values["training"]["start"]
        if self.promotion.trial is not None:
            values["promotion"]["canary"] = self.promotion.trial.model_dump(mode="json", exclude=_OF_CANARIES)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @property
    def time_ordered(self) -> bool:
        """True when the holdout is the newest block."""
        return isinstance(self.training.split, TimeSplit)

    @property
    def raw_inputs(self) -> tuple[str, ...]:
        """Source columns that the pipeline reads, each once, in order of first use: what serving is sent."""
        return derivation(self.features, self.data.time_column).raw

    @property
    def compared_sources(self) -> tuple[str, ...]:
        """Raw inputs whose drift can be told: all but datetimes and texts."""
        types = self.column_types
        return tuple(name for name in self.raw_inputs if types[name] not in ("datetime", "text"))

    @property
    def compared_derived(self) -> dict[str, ColumnType]:
        """Features that say what the model makes of a datetime, except parts of the calendar, with their types."""
        types, derive = self.column_types, self.features.derive
        made = {d.name for d in derive if follows_time(d.name, derive, types, self.data.time_column)}
        names = [name for name in self.features.columns if name in made - {*self.compared_sources}]
        return {name: "category" if name in self.features.categorical else "number" for name in names}

    @property
    def column_types(self) -> dict[str, ColumnType]:
        """Every source column that any part of the spec uses, with its type. Other columns are not read.

        A declared type wins over what its use implies, except that the target of a classification has classes.
        """
        types = self._implied_types() | {name: rules.type for name, rules in self.table.columns.items()}
        return types | ({self.data.target: "category"} if self.task == "classification" else {})

    def _implied_types(self) -> dict[str, ColumnType]:
        types: dict[str, ColumnType] = dict.fromkeys(self.raw_inputs, "number")
        types |= dict.fromkeys(set(self.features.categorical) & set(types), "category")
        for derived in self.features.derive:
            types |= {c: t for c, t in _implied_by(derived) if c in types}
        data = self.data
        keys = (*(self.table.unique_key or ()), data.id_column, data.group_column)
        types |= {key: types.get(key, "text") for key in keys if key is not None}
        types |= dict.fromkeys(self.gates.slices.by if self.gates.slices else (), "category")
        if data.time_column is not None:
            types[data.time_column] = "datetime"
        types[data.target] = "category" if self.task == "classification" else "number"
        return types


def _implied_by(derived: Derived) -> Iterator[tuple[str, ColumnType]]:
    if isinstance(derived, DaysSince | CalendarPart):
        yield derived.of, "datetime"
        if isinstance(derived, DaysSince) and derived.until is not None:
            yield derived.until, "datetime"
    elif isinstance(derived, Frequency):
        yield derived.of, "category"
    elif not isinstance(derived, Custom):
        yield from ((c, "number") for c in (derived.of if isinstance(derived, Arithmetic) else (derived.of,)))
