"""Pins: a person keeps the champion of a model where it is, until a person lets go of it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import sqlalchemy as sa

from evergreen.store.chain import append
from evergreen.store.database import answering, open_engine, writing
from evergreen.store.tables import pins


@dataclass(frozen=True)
class Pin:
    """A model was pinned, or unpinned; `at` is an aware moment in UTC."""

    model: str
    pinned: bool
    by: str
    why: str
    at: datetime


@dataclass(frozen=True)
class Pins:
    """The pins in the database at `url`, prepared by a Ledger. Every change is a row; the newest one counts."""

    url: str

    def pin(self, model: str, by: str, why: str, at: datetime) -> None:
        """Keep the champion from now on."""
        self._append(Pin(model, True, by, why, at))

    def unpin(self, model: str, by: str, why: str, at: datetime) -> None:
        """Let runs replace the champion again."""
        self._append(Pin(model, False, by, why, at))

    def pinned(self, model: str) -> Pin | None:
        """The pin that holds the champion now; None where nothing does."""
        newest = next(iter(self.history(model)[::-1]), None)
        return newest if newest is not None and newest.pinned else None

    def history(self, model: str) -> tuple[Pin, ...]:
        """Every change, oldest first."""
        query = sa.select(pins).where(pins.c.model == model).order_by(pins.c.id)
        with answering(self.url), self._engine.connect() as connection:
            rows = connection.execute(query).mappings()
            return tuple(Pin(row["model"], row["pinned"], row["done_by"], row["why"], row["at"]) for row in rows)

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    def _append(self, pin: Pin) -> None:
        row = {"model": pin.model, "pinned": pin.pinned, "done_by": pin.by, "why": pin.why, "at": pin.at}
        with answering(self.url), writing(self._engine) as connection:
            append(connection, pins, row)
