"""What a snapshot of live traffic is made from. The store stands above this room: who takes one hands in a reader."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from evergreen.data.snapshot import TrafficRows


@dataclass(frozen=True)
class Piece:
    """Labelled predictions side by side, each once: what was captured, and what came true.

    `inputs` is an Arrow table of the fields as they were served, the others are arrays: the caller's name of the row,
    the moment of the prediction (aware), the label, and two masks: `complete` where every field was captured that is
    asked for, `quarantined` where monitoring held the feed for broken then.
    """

    inputs: Any
    row_ids: Any
    at: Any
    labels: Any
    complete: Any
    quarantined: Any


class PieceReader(Protocol):
    """Reads labelled traffic as it was known at a moment."""

    def __call__(self, columns: Sequence[str], as_of: datetime, since: datetime | None) -> Iterator[Piece]:
        """Predictions after `since` and until `as_of`, both aware, with these fields, always in the same order."""


@dataclass(frozen=True)
class TrafficReader:
    """Traffic, how messages call it, and the columns that requests carry; with `unique_ids` an id names a row once."""

    where: str
    pieces: PieceReader
    inputs: tuple[str, ...]
    unique_ids: bool = False


@dataclass
class Tally:
    """Rows of traffic that went into a snapshot, and rows that were left out."""

    rows: int = 0
    quarantined: int = 0
    incomplete: int = 0

    @property
    def counted(self) -> TrafficRows:
        """So far."""
        return TrafficRows(self.rows, self.quarantined, self.incomplete)


@dataclass(frozen=True)
class Live:
    """Traffic as the rows of a table: what its target, time and id are called, and until when labels are mature.

    `labelled_until` is in naive UTC, as times in tables are.
    """

    reader: TrafficReader
    target: str
    time_column: str | None
    id_column: str | None
    labelled_until: datetime
    tally: Tally = field(default_factory=Tally)

    def carries(self, column: str | None) -> bool:
        """True where requests carry a column, so that it is captured as they had it."""
        return column in self.reader.inputs
