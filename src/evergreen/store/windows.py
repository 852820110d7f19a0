"""The windows of live traffic that monitoring looked at, and what each of them asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from math import isfinite
from typing import Any

import sqlalchemy as sa

from evergreen.checks import Outcome
from evergreen.store.database import answering, open_engine, upsert, writing
from evergreen.store.facts import Fact
from evergreen.store.outbox import put_fact
from evergreen.store.quarantine import Held, held
from evergreen.store.tables import windows
from evergreen.store.window import LATE, Signal, SignalKind, Verdict, Window

_MOMENTS = ("since", "until", "looked_at", "settled", "late_since")


@dataclass(frozen=True)
class Windows:
    """The windows in the database at `url`, prepared by a Ledger. Building one opens nothing.

    A window is written once and never changed, and is kept for good: it is a few kilobytes, also of a million rows.
    Every method raises UnavailableError where the database does not answer or is locked. What comes back is in order
    of time.
    """

    url: str

    def write(self, window: Window, fact: Fact | None = None) -> bool:
        """Keep a window, and the fact that it is to people, both or none of them.

        False where one of the same model and beginning is kept already, which stays as it is: of two who look at once
        one is heard.
        """
        with answering(self.url), writing(self._engine) as connection:
            insert = upsert(connection, windows).values(_row(window))
            once = insert.on_conflict_do_nothing(index_elements=["model", "since"])
            written = connection.execute(once.returning(windows.c.id)).first() is not None
            if written and fact is not None:
                put_fact(connection, fact)
        return written

    def last(self, model: str, n: int = 1) -> tuple[Window, ...]:
        """The newest windows of a model, so many if there are."""
        query = sa.select(windows).where(windows.c.model == model).order_by(windows.c.since.desc()).limit(n)
        return self._read(query)[::-1]

    def between(self, model: str, since: datetime, until: datetime) -> tuple[Window, ...]:
        """The windows that share any moment with the time from `since` on and before `until`."""
        return self._read(sa.select(windows).where(_shares(model, since, until)).order_by(windows.c.since))

    def asked(self, model: str, since: datetime) -> tuple[datetime, ...]:
        """When monitoring asked for a retraining of a model, from `since` on."""
        c = windows.c
        rule = (c.model == model) & (c.verdict == Verdict.RETRAIN.value) & (c.looked_at >= since)
        with answering(self.url), self._engine.connect() as connection:
            return tuple(connection.execute(sa.select(c.looked_at).where(rule).order_by(c.looked_at)).scalars())

    def quarantined(
        self, model: str, since: datetime, until: datetime, known: datetime | None = None
    ) -> tuple[Held, ...]:
        """What is not to be learnt from of a time, as the feed was broken; with `known` as far as it was known then."""
        c = windows.c
        rule = _shares(model, since, until + LATE) & (c.verdict == Verdict.QUARANTINE.value)
        if known is not None:
            rule &= c.looked_at <= known
        return held(self._read(sa.select(windows).where(rule).order_by(c.since)), since, until)

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    def _read(self, query: sa.Select[Any]) -> tuple[Window, ...]:
        with answering(self.url), self._engine.connect() as connection:
            return tuple(_window(row) for row in connection.execute(query).mappings())


def _shares(model: str, since: datetime, until: datetime) -> sa.ColumnElement[bool]:
    return (windows.c.model == model) & (windows.c.until > since) & (windows.c.since < until)


def _row(window: Window) -> dict[str, Any]:
    values = {name: getattr(window, name) for name in ("model", "version", *_MOMENTS)}
    values |= {"rows": window.rows, "late": window.late, "verdict": window.verdict.value, "event": window.event}
    signals = [_plain({**asdict(signal), "kind": signal.kind.value}) for signal in window.signals]
    return {**values, "reasons": list(window.reasons), "signals": signals}


def _plain(value: Any) -> Any:
    """A value that JSON has: no number is NaN or infinite there, none is numpy's."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, str) or value is None:
        return None if value is None else str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence | frozenset | set):
        return [_plain(each) for each in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not isfinite(value) else value


def _window(row: sa.RowMapping) -> Window:
    values = {name: row[name] for name in ("model", "version", *_MOMENTS, "rows", "late", "event")}
    signals = tuple(_signal(each) for each in row["signals"])
    return Window(**values, signals=signals, verdict=Verdict(row["verdict"]), reasons=tuple(row["reasons"]))


def _signal(values: Mapping[str, Any]) -> Signal:
    return Signal(**{**values, "kind": SignalKind(values["kind"]), "outcome": Outcome(values["outcome"])})
