"""What every source gives: batches of rows in the source's own types."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evergreen.data.traffic import Live
from evergreen.errors import DataError
from evergreen.spec.columns import ColumnType

# Rows a batch, where a source lets us choose: big enough to be fast, small enough to be forgotten.
BATCH_ROWS = 65_536

# Some databases know no earlier year.
_BEGINNING = datetime(1900, 1, 1)  # noqa: DTZ001


@dataclass(frozen=True)
class Request:
    """What is read: columns with their types, and the moments a query may use, in naive UTC; `live` is the traffic,
    for the source that reads it.
    """

    types: Mapping[str, ColumnType]
    as_of: datetime
    since: datetime | None = None
    live: Live | None = None

    @property
    def columns(self) -> list[str]:
        """Their names, in order."""
        return list(self.types)

    @property
    def moments(self) -> dict[str, datetime]:
        """The parameters of a query. Without a window `since` is a day before which no table reaches."""
        return {"as_of": self.as_of, "since": self.since or _BEGINNING}


@dataclass(frozen=True)
class Stream:
    """An open source. `where` names it in messages; every Arrow batch has at least the columns asked for."""

    where: str
    batches: Iterator[Any]


def require_columns(present: Sequence[str], request: Request, where: str) -> None:
    """Raise DataError when a column that is asked for is missing or stands twice."""
    twice = [name for name, count in Counter(present).items() if count > 1 and name in request.types]
    if twice:
        raise DataError(f"{where}: the column {twice[0]!r} stands twice; give each column its own name")
    missing = [name for name in request.types if name not in present]
    if missing:
        raise DataError("\n".join(f"{where}: {_absent(name, present)}" for name in missing))


def pick(batch: Any, columns: Sequence[str]) -> Any:
    """The batch with these columns only, in this order."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([batch.column(name) for name in columns], names=list(columns))


def _absent(name: str, present: Sequence[str]) -> str:
    folded = {p.casefold(): p for p in reversed(present)}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    near = " or ".join(repr(folded[c]) for c in close)
    return f"has no column {name!r}; " + (f"did you mean {near}?" if near else f"it has: {', '.join(present)}")
