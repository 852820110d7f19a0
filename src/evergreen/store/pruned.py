"""What was pruned: versions, tracking runs and snapshots that nobody needs any more, and who removed them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from evergreen.store.chain import append, hold_end
from evergreen.store.database import answering, open_engine, writing
from evergreen.store.tables import pruned


class Kind(StrEnum):
    """What of it is written down; what makes itself again, as a cache does, is not."""

    VERSION = "version"
    RUN = "run"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Pruned:
    """Something that was removed on purpose, `at` an aware moment.

    `name` is a version's number, a tracking run's id or a snapshot's digest; `model` is empty for a snapshot, which
    several models may have been trained on. `size` is in bytes, None where nobody measured it.
    """

    kind: Kind
    model: str
    name: str
    why: str
    by: str
    at: datetime
    size: int | None = None

    @property
    def said(self) -> str:
        """What is said of it instead of "is gone"."""
        return f"pruned on {self.at:%Y-%m-%d} by {self.by}: {self.why}"


@dataclass(frozen=True)
class PrunedLog:
    """What was pruned, in the database at `url`, prepared by a Ledger. It is written before anything is removed."""

    url: str

    def note(self, item: Pruned, since: datetime | None = None) -> bool:
        """Write down that something is about to be removed; False where that was noted before.

        What can come back, as a snapshot does, is noted anew where the last note is from before `since`, when it came.
        """
        with answering(self.url), writing(self._engine) as connection:
            hold_end(connection, pruned)
            last = connection.execute(_query(item.model, item.kind, item.name)).mappings().first()
            if last is not None and (since is None or last["at"] >= since):
                return False
            append(connection, pruned, _row(item))
            return True

    def of(self, model: str, kind: Kind) -> dict[str, Pruned]:
        """Everything of a kind that was pruned of a model, by name; the newest where it came back and went again."""
        return {item.name: item for item in self._read(_query(model, kind).order_by(None).order_by(pruned.c.id))}

    def find(self, model: str, kind: Kind, name: str) -> Pruned | None:
        """The newest note on one thing; None where it was never pruned."""
        return next(iter(self._read(_query(model, kind, name))), None)

    def version(self, model: str, number: int) -> Pruned | None:
        """The note on a version; None where it was never pruned."""
        return self.find(model, Kind.VERSION, str(number))

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    def _read(self, query: sa.Select[Any]) -> Iterable[Pruned]:
        with answering(self.url), self._engine.connect() as connection:
            return [_item(row) for row in connection.execute(query).mappings()]


def _query(model: str, kind: Kind, name: str | None = None) -> sa.Select[Any]:
    c = pruned.c
    rule = (c.model == model) & (c.kind == kind.value)
    return sa.select(pruned).where(rule if name is None else rule & (c.name == name)).order_by(c.id.desc())


def _row(item: Pruned) -> dict[str, Any]:
    columns = {"kind": item.kind.value, "model": item.model, "name": item.name, "why": item.why}
    return columns | {"size": item.size, "done_by": item.by, "at": item.at}


def _item(row: sa.RowMapping) -> Pruned:
    kind, by = Kind(row["kind"]), row["done_by"]
    return Pruned(kind, row["model"], row["name"], row["why"], by, row["at"], row["size"])
