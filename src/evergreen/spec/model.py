"""`ModelSpec`: one file of `configs/`, parsed, frozen and consistent."""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from evergreen.spec.base import Part
from evergreen.spec.columns import ColumnType, TableRules
from evergreen.spec.data import DataSpec
from evergreen.spec.features import (
    Arithmetic,
    CalendarPart,
    Custom,
    DaysSince,
    Derived,
    FeatureSpec,
    Frequency,
)
from evergreen.spec.rules import DriftRules, Gates
from evergreen.spec.schedule import require_cron, require_timezone
from evergreen.spec.training import TimeSplit, TrainingSpec

# Changing these changes neither a model nor a verdict.
_WITHOUT_EFFECT = {"owner", "description", "schedule", "notify"}


class Promotion(Part):
    """What happens to a challenger that passed its gate."""

    mode: Literal["automatic", "approval", "canary"] = "automatic"


class Schedule(Part):
    """When the model is retrained by itself."""

    cron: Annotated[str, AfterValidator(require_cron)] = "0 6 * * 1"
    timezone: Annotated[str, AfterValidator(require_timezone)] = "UTC"


class Webhook(Part):
    """A URL, held by an environment variable, that is told what happened."""

    kind: Literal["webhook", "slack", "email"]
    url_env: str


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
    notify: tuple[Webhook, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "ModelSpec":
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self

    @property
    def digest(self) -> str:
        """sha256 over everything that can change a model or its verdict."""
        values = self.model_dump(mode="json", by_alias=True, exclude=_WITHOUT_EFFECT)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @property
    def time_ordered(self) -> bool:
        """True when the holdout is the newest block."""
        return isinstance(self.training.split, TimeSplit)

    @property
    def raw_inputs(self) -> tuple[str, ...]:
        """Source columns that the pipeline reads, each once, in order of first use: what serving is sent."""
        derived = {d.name: d for d in self.features.derive}
        raw = (c for name in self.features.columns for c in _sources(name, derived, self.data.time_column))
        return tuple(dict.fromkeys(raw))

    @property
    def column_types(self) -> dict[str, ColumnType]:
        """Every source column that any part of the spec uses, with its type. Other columns are not read."""
        declared = {name: rules.type for name, rules in self.table.columns.items()}
        return {name: declared.get(name, implied) for name, implied in self._implied_types().items()} | declared

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


def _sources(name: str, derived: dict[str, Derived], time_column: str | None) -> Iterator[str]:
    if name not in derived:
        yield name
        return
    item = derived[name]
    for source in (item.of,) if isinstance(item.of, str) else item.of:
        # A derived column may build on earlier ones, never on itself.
        yield from _sources(source, {k: v for k, v in derived.items() if k != name}, time_column)
    if isinstance(item, DaysSince):
        until = item.until or time_column
        if until is not None:
            yield until


def _implied_by(derived: Derived) -> Iterator[tuple[str, ColumnType]]:
    if isinstance(derived, DaysSince | CalendarPart):
        yield derived.of, "datetime"
        if isinstance(derived, DaysSince) and derived.until is not None:
            yield derived.until, "datetime"
    elif isinstance(derived, Frequency):
        yield derived.of, "category"
    elif not isinstance(derived, Custom):
        yield from ((c, "number") for c in (derived.of if isinstance(derived, Arithmetic) else (derived.of,)))


def _contradictions(spec: ModelSpec) -> Iterator[str]:
    features, data = spec.features, spec.data
    if not features.columns:
        yield "features: name at least one column under numeric or categorical"
    if spec.time_ordered and data.time_column is None:
        yield "training.split: kind time needs data.time_column; without one use kind random"
    if data.target in (*features.columns, *spec.raw_inputs):
        yield f"features: the target {data.target!r} is among the features"
    names = [d.name for d in features.derive]
    if len(set(names)) < len(names):
        yield "features.derive: two derived columns share a name"
    both = set(features.numeric) & set(features.categorical)
    if both:
        yield f"features: {sorted(both)[0]!r} is both numeric and categorical"
    for item in features.derive:
        if isinstance(item, DaysSince) and item.until is None and data.time_column is None:
            yield f"features.derive: {item.name!r} counts days until a time; give `until` or data.time_column"
        if isinstance(item, Arithmetic) and item.kind in ("difference", "ratio") and len(item.of) != 2:
            yield f"features.derive: {item.kind} of {item.name!r} takes exactly two columns"
    unknown = set(spec.drift.columns) - set(features.columns) - set(spec.raw_inputs)
    if unknown:
        yield f"drift.columns: {sorted(unknown)[0]!r} is no feature; choose one of {', '.join(features.columns)}"
