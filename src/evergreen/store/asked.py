"""What serving counted of requests, minute by minute: of those too that got no answer and are captured nowhere."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from evergreen.store.database import answering, open_engine, upsert, writing
from evergreen.store.tables import asked


@dataclass(frozen=True)
class Asked:
    """Requests to a model in a time: answered, refused because their rows break rules, and failed (5xx).

    `broken` counts refused requests by what they broke, as `price: min`; a request that breaks several counts in each.
    """

    answered: int = 0
    refused: int = 0
    failed: int = 0
    broken: Mapping[str, int] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answered + self.refused + self.failed

    def __add__(self, other: "Asked") -> "Asked":
        broken = dict(Counter(self.broken) + Counter(other.broken))
        return Asked(self.answered + other.answered, self.refused + other.refused, self.failed + other.failed, broken)


@dataclass(frozen=True)
class Minute:
    """What one process counted of a model in the minute that begins `at`, an aware moment."""

    model: str
    at: datetime
    counted: Asked


@dataclass(frozen=True)
class Requests:
    """The counts in the database at `url`, prepared by a Ledger. Building one opens nothing.

    Every method raises UnavailableError where the database does not answer or is locked.
    """

    url: str

    def write(self, process: str, minutes: Sequence[Minute]) -> None:
        """Write what a process counted; of a minute that it wrote before, this counts instead.

        `process` is a name that no other process has, nor the same one after a restart.
        """
        if not minutes:
            return
        with answering(self.url), writing(self._engine) as connection:
            for minute in minutes:
                key = {"model": minute.model, "at": minute.at, "process": process}
                values = _to_row(minute.counted)
                insert = upsert(connection, asked).values(key | values)
                connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=values))

    def between(self, model: str, since: datetime, until: datetime) -> Asked | None:
        """The sum over the minutes that begin from `since` on and before `until`; None where nobody counted any."""
        c = asked.c
        query = sa.select(asked).where((c.model == model) & (c.at >= since) & (c.at < until))
        with answering(self.url), self._engine.connect() as connection:
            found = [_from_row(row) for row in connection.execute(query).mappings()]
        return sum(found, Asked()) if found else None

    def forget(self, model: str, before: datetime) -> int:
        """Delete a model's counts of minutes that began before a moment; how many there were."""
        old = (asked.c.model == model) & (asked.c.at < before)
        with answering(self.url), self._engine.connect() as connection:
            # Looked for without a lock: most of the time there is nothing to do.
            if connection.execute(sa.select(asked.c.at).where(old).limit(1)).first() is None:
                return 0
        with answering(self.url), writing(self._engine) as connection:
            return int(connection.execute(sa.delete(asked).where(old)).rowcount)

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)


def _to_row(counted: Asked) -> dict[str, Any]:
    numbers = {"answered": counted.answered, "refused": counted.refused, "failed": counted.failed}
    return {**numbers, "broken": dict(counted.broken)}


def _from_row(row: sa.RowMapping) -> Asked:
    return Asked(row["answered"], row["refused"], row["failed"], row["broken"])
