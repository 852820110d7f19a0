"""Where rows come from, which column is what, and what of them a run may see."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from evergreen.address import secret_in
from evergreen.spec.base import Duration, Part

NULLS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def _without_secret(instead: str) -> AfterValidator:
    """Refuse an address that holds a secret: specs are read by many, and kept with every run. `instead` is the way."""

    def refuse(address: str) -> str:
        if secret := secret_in(address):
            raise ValueError(f"holds a secret ({secret}); {instead}")
        return address

    return AfterValidator(refuse)


_Path = Annotated[str, _without_secret("leave it out: credentials for s3 and the like come from the environment")]
_HttpUrl = Annotated[
    str, _without_secret("send it as a header, and name the environment variable that holds it in header_env")
]
_SqlUrl = Annotated[str, _without_secret("put the URL into an environment variable and name that in url_env")]


class _Source(Part):
    day_first: bool = Field(False, description="Dates such as 03/04/2025 have their day first, not their month.")


class _TextSource(_Source):
    separator: str | None = Field(None, description="Column separator; found from the first lines when left out.")
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    null_values: tuple[str, ...] = Field(NULLS, description="Texts that mean missing, beside blanks.")


class CsvSource(_TextSource):
    """A CSV file, plain or compressed (.gz, .zip); `package://name/file` reads from an installed package."""

    kind: Literal["csv"]
    path: _Path


class HttpSource(_TextSource):
    """A CSV or Parquet file behind http(s)."""

    kind: Literal["http"]
    url: _HttpUrl
    format: Literal["csv", "parquet"] = "csv"
    header_env: dict[str, str] = Field(
        default_factory=dict, description="Header name to the environment variable that holds its value."
    )
    timeout: Duration = timedelta(seconds=60)


class ParquetSource(_Source):
    """A Parquet file or a folder of them, at any fsspec path."""

    kind: Literal["parquet"]
    path: _Path


class SqlSource(_Source):
    """A query over any SQLAlchemy URL. `:as_of` and `:since` are bound to the moment and the window's start."""

    kind: Literal["sql"]
    query: str
    url: _SqlUrl | None = Field(None, description="Only for URLs without a password.")
    url_env: str | None = Field(None, description="Environment variable that holds the URL.")

    @model_validator(mode="after")
    def _one_url(self) -> "SqlSource":
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give either url or url_env")
        return self


class DuckdbSource(_Source):
    """A query that DuckDB answers, over files named in `tables` or a database file."""

    kind: Literal["duckdb"]
    query: str | None = None
    query_file: str | None = None
    tables: dict[str, _Path] = Field(default_factory=dict, description="View name to a CSV or Parquet path.")
    database: _Path | None = None

    @model_validator(mode="after")
    def _one_query(self) -> "DuckdbSource":
        if (self.query is None) == (self.query_file is None):
            raise ValueError("give either query or query_file")
        return self


class SyntheticSource(_Source):
    """A seeded generator: one of ours by name, or `module:function`."""

    kind: Literal["synthetic"]
    generator: str
    rows: int = Field(1000, ge=1)
    seed: int = 0
    options: dict[str, Any] = Field(default_factory=dict)


TableSource = Annotated[
    CsvSource | ParquetSource | SqlSource | DuckdbSource | HttpSource | SyntheticSource,
    Field(discriminator="kind"),
]


class TrafficSource(Part):
    """Predictions that serving captured and whose label came in, as they were served, after the rows of `base`."""

    kind: Literal["traffic"]
    base: TableSource | None = Field(None, description="A table that comes first; of traffic, what is newer than it.")
    model: str | None = Field(None, description="Whose traffic it is; this spec's own model when left out.")

    @property
    def day_first(self) -> bool:
        """As the table writes its dates; captured moments are ISO 8601."""
        return self.base is not None and self.base.day_first


Source = Annotated[
    CsvSource | ParquetSource | SqlSource | DuckdbSource | HttpSource | SyntheticSource | TrafficSource,
    Field(discriminator="kind"),
]


class DataSpec(Part):
    """The table of a model. Times without a zone are UTC."""

    source: Source
    target: str
    time_column: str | None = None
    id_column: str | None = None
    group_column: str | None = Field(None, description="Rows of one group never stand on both sides of a split.")
    window: Duration | None = Field(None, description="Rows older than as_of - window are not used.")
    label_delay: Duration = Field(timedelta(0), description="A label is known only this long after its row.")

    @model_validator(mode="after")
    def _time_is_named(self) -> "DataSpec":
        if self.time_column is None and (self.window is not None or self.label_delay):
            raise ValueError("window and label_delay need a time_column")
        return self
