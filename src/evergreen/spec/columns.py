"""What a column must be: the rules that stop a run, and later a request."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from evergreen.spec.base import Duration, Part

# What the champion's answers are called where they are compared; no column may have this name.
PREDICTION = "prediction"

ColumnType = Literal["integer", "number", "category", "boolean", "datetime", "text"]


def _label(value: Any) -> Any:
    """A category as the text that it is in the table; what is none is left for pydantic to refuse."""
    if isinstance(value, bool):
        raise ValueError("is a truth value, as YAML reads yes, no, on and off as true and false; put it in quotes")
    return str(value) if isinstance(value, int) else value


Label = Annotated[str, BeforeValidator(_label, json_schema_input_type=str | int)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class ColumnRules(Part):
    """Declared facts about one column. A value that cannot be read as `type` breaks the rule `type`."""

    type: ColumnType
    min: Number | None = None
    max: Number | None = None
    max_null_share: Annotated[float, Field(ge=0, le=1)] | None = None
    allowed: tuple[Label, ...] | None = None
    unseen: Literal["fail", "warn"] = Field("fail", description="What a value outside `allowed` does.")
    unique: bool = False

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> "ColumnRules":
        numeric = self.type in ("integer", "number")
        if not numeric and (self.min is not None or self.max is not None):
            raise ValueError(f"min and max are for integer and number, not for {self.type}")
        if self.type != "category" and self.allowed is not None:
            raise ValueError(f"allowed is for category, not for {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class RowRules(Part):
    """How many rows a snapshot must have."""

    at_least: int = Field(1, ge=1)
    at_most: int | None = None


class TableRules(Part):
    """T0 checks on the snapshot. Any FAIL stops the run with HOLD."""

    rows: RowRules = RowRules()
    columns: dict[str, ColumnRules] = Field(default_factory=dict)
    unique_key: tuple[str, ...] | None = Field(None, description="Columns that together name a row once.")
    max_duplicate_share: float | None = Field(
        None, ge=0, le=1, description="Share of rows that repeat another row in every column."
    )
    freshness: Duration | None = Field(None, description="The newest row is at most this much older than as_of.")
    min_class_share: float = Field(0.0, ge=0, le=1, description="Every class has at least this share of labels.")
    point_mass: float = Field(
        0.2,
        gt=0,
        le=1,
        description="A single value may not gain this much share over the champion's reference.",
    )
