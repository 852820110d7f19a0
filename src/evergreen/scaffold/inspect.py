"""Look at a table: what each column is, holds and lacks."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.parse import TextRules, read_values, text_rules
from evergreen.scaffold.read import RawTable, read_raw
from evergreen.scaffold.types import DIRT, Reader, dirt_in, find_day_first, find_decimal, infer_type
from evergreen.spec.columns import ColumnType
from evergreen.spec.data import NULLS, CsvSource, ParquetSource

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ColumnReport:
    """One column. `low` and `high` are the extremes of numbers, `levels` the categories, most frequent first."""

    name: str
    type: ColumnType
    rows: int
    nulls: int
    distinct: int
    unreadable: int = 0
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()

    @property
    def known(self) -> int:
        """Rows that are not null."""
        return self.rows - self.nulls

    @property
    def null_share(self) -> float:
        """Share of null rows."""
        return self.nulls / self.rows

    @property
    def numeric(self) -> bool:
        """True where a model takes it as a number."""
        return self.type in ("integer", "number", "boolean")


@dataclass(frozen=True)
class TableReport:
    """A table as found: `frame` is canonical, `raw` what it was read from."""

    source: CsvSource | ParquetSource
    columns: dict[str, ColumnReport]
    frame: "pd.DataFrame"
    raw: RawTable

    @property
    def complete(self) -> bool:
        """True where every row was looked at."""
        return self.raw.complete

    @property
    def rows(self) -> int:
        """Rows that were looked at."""
        return len(self.frame)

    def texts(self, name: str) -> "pd.Series":
        """A column as categories, whatever else it could be: what classes will be called."""
        column = self.raw.table.column(name).combine_chunks()
        return _canonical(Reader("category", read_values(column, "category", text_rules(self.source)).values, 0))


def inspect(path: Path) -> TableReport:
    """Look at a CSV or Parquet file. Raises DataError when it is none."""
    return inspect_table(read_raw(path))


def inspect_table(raw: RawTable) -> TableReport:
    """Look at a table that is read already."""
    import pandas as pd

    arrays = {name: raw.table.column(name).combine_chunks() for name in raw.table.column_names}
    decimal = find_decimal(list(arrays.values())) if isinstance(raw.source, CsvSource) else "."
    rules = TextRules(decimal=decimal, day_first=find_day_first(list(arrays.values())))
    readers = {name: infer_type(name, values, rules) for name, values in arrays.items()}
    columns = {name: _canonical(reader) for name, reader in readers.items()}
    reports = {name: _report(name, readers[name], columns[name]) for name in readers}
    dirt = {text for values in arrays.values() for text in dirt_in(values)}
    return TableReport(_with_habits(raw.source, rules, dirt), reports, pd.DataFrame(columns), raw)


def _with_habits(source: CsvSource | ParquetSource, rules: TextRules, dirt: set[str]) -> CsvSource | ParquetSource:
    if isinstance(source, ParquetSource):
        return source.model_copy(update={"day_first": rules.day_first})
    nulls = (*NULLS, *(text for text in DIRT if text in dirt)) if dirt else NULLS
    found = {"decimal": rules.decimal, "null_values": nulls, "day_first": rules.day_first}
    return source.model_copy(update=found)


def _canonical(reader: Reader) -> "pd.Series":
    from evergreen.data.frame import canonical_frame

    series = reader.values.to_pandas().rename("values")
    return canonical_frame(series.to_frame(), {"values": reader.type})["values"]


def _report(name: str, reader: Reader, values: "pd.Series") -> ColumnReport:
    known = values.dropna()
    extremes: dict[str, Any] = {}
    if reader.type in ("integer", "number", "boolean") and len(known):
        extremes = {"low": float(known.min()), "high": float(known.max())}
    if reader.type == "category":
        counts = known.value_counts()
        extremes = {"levels": tuple(str(level) for level in counts.index[counts > 0])}
    nulls = len(values) - len(known)
    return ColumnReport(name, reader.type, len(values), nulls, int(known.nunique()), reader.unreadable, **extremes)
