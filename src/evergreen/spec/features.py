"""Features as a spec declares them. They become transformers inside the saved pipeline."""

from typing import Annotated, Any, Literal

from pydantic import Field

from evergreen.spec.base import Part


class _Derived(Part):
    name: str


class Arithmetic(_Derived):
    """`product` and `sum` over two or more columns; `difference` and `ratio` over exactly two."""

    kind: Literal["product", "sum", "difference", "ratio"]
    of: tuple[str, ...] = Field(min_length=2)


class DaysSince(_Derived):
    """Days from a date column to the row's own time, which is `until` or the model's time column."""

    kind: Literal["days_since"]
    of: str
    until: str | None = None


class CalendarPart(_Derived):
    """A part of a timestamp, as a number: hour 0-23, weekday 0 = Monday, month 1-12, season 0 = winter."""

    kind: Literal["hour", "weekday", "month", "season"]
    of: str


class Bins(_Derived):
    """The bin of a number: by `edges`, or by quantiles of the training data."""

    kind: Literal["bins"]
    of: str
    edges: tuple[float, ...] | None = None
    quantiles: int = Field(10, ge=2, le=1000)


class Log(_Derived):
    """log(1 + x), with negative x as missing."""

    kind: Literal["log"]
    of: str


class Frequency(_Derived):
    """Share of the training rows that have the row's category; 0 for one never seen."""

    kind: Literal["frequency"]
    of: str


class Custom(_Derived):
    """A scikit-learn transformer of the team's own, `module:Class`; one output column called `name`."""

    kind: Literal["custom"]
    transformer: str
    of: tuple[str, ...]
    params: dict[str, Any] = Field(default_factory=dict)


Derived = Annotated[
    Arithmetic | DaysSince | CalendarPart | Bins | Log | Frequency | Custom, Field(discriminator="kind")
]


class NumericPreprocessing(Part):
    """How numeric columns reach estimators that need it; trees read missing values as they are."""

    impute: Literal["mean", "median", "zero"] = "median"
    scale: Literal["standard", "robust", "none"] = "standard"


class CategoricalPreprocessing(Part):
    """How categories reach estimators that need numbers. A category never seen in training encodes as none."""

    impute: Literal["most_frequent", "missing"] = "missing"
    encode: Literal["one_hot", "ordinal"] = "one_hot"
    min_frequency: float | None = Field(None, gt=0, lt=1, description="Rarer categories share one column.")


class FeatureSpec(Part):
    """Which columns the model sees, raw or derived."""

    derive: tuple[Derived, ...] = ()
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    numeric_preprocessing: NumericPreprocessing = NumericPreprocessing()
    categorical_preprocessing: CategoricalPreprocessing = CategoricalPreprocessing()

    @property
    def columns(self) -> tuple[str, ...]:
        """Numeric, then categorical: the model's inputs in order."""
        return (*self.numeric, *self.categorical)
