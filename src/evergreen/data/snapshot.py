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
class TrafficRows:
    """Labelled traffic of a snapshot: its rows, and what was left out of it.

    `quarantined` rows came while monitoring held the feed for broken; `incomplete` ones were captured by a version that
    did not read every column.
    """

    rows: int
    quarantined: int = 0
    incomplete: int = 0


@dataclass(frozen=True)
class Snapshot:
    """What was known of a source at `as_of`, kept in a Parquet file that nothing writes to again.

    The file is named after `digest`, its sha256. Rows whose label was out by then are counted in `labelled`; in all
    others the label is null. Times are aware, in UTC; None without a time column.
    `rows_read` counts all rows of the source, of other times too; None where it is not known. `traffic` says what of
    them came from live requests; None where no source does.
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
    traffic: TrafficRows | None = None
