"""The handle of a snapshot: what stages hand each other instead of a frame."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Fault:
    """Values of one column that could not be read as its declared type; they are null in the snapshot.

    `hint` says what to declare so that they can be read, where the values suggest it.
    """

    column: str
    rule: str
    count: int
    examples: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class Snapshot:
    """An immutable Parquet file of the data as_of a moment.

    `digest` is the sha256 of the file, and the stem of its name. `labelled` counts the rows whose label is known
    as_of that moment; the label of every other row is null. Times are aware, in UTC; None without a time column.
    `rows_read` counts all rows of the source, of other times too; None where it is not known.
    """

    path: str
    digest: str
    rows: int
    labelled: int
    as_of: datetime
    first_time: datetime | None = None
    last_time: datetime | None = None
    faults: tuple[Fault, ...] = ()
    rows_read: int | None = None
