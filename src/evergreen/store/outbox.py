"""The outbox: facts that people have to be told, and what became of telling them on every channel."""

import os
import socket
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from evergreen.store.database import answering, open_engine, upsert, writing
from evergreen.store.facts import Fact, FactKind
from evergreen.store.tables import deliveries, facts

_CLAIMED, _WAITING, _DELIVERED, _GIVEN_UP = "claimed", "waiting", "delivered", "given up"
_OPEN = (_CLAIMED, _WAITING)

Kinds = Collection[FactKind] | Mapping[str, Collection[FactKind]]
"""Kinds of facts: of every model, or by model."""


def began_key(flow_run: str) -> str:
    """The key of the note that a flow run took its model's turn in this store.

    >>> began_key("4711")
    'began:4711'
    """
    return f"began:{flow_run}"


def put_fact(connection: sa.Connection, fact: Fact) -> bool:
    """Write a fact in the caller's transaction, which has begun to write; False where its key is known already."""
    if connection.execute(sa.select(facts.c.id).where(facts.c.key == fact.key)).first():
        return False
    values = {"key": fact.key, "kind": fact.kind.value, "model": fact.model, "at": fact.at, "payload": fact.payload}
    insert = upsert(connection, facts).values(values).on_conflict_do_nothing(index_elements=["key"])
    return connection.execute(insert.returning(facts.c.id)).first() is not None


@dataclass(frozen=True)
class Outbox:
    """The outbox in the database at `url`, prepared by a Ledger. Building one opens nothing.

    A relay claims a fact for a channel, sends it, and says how that went. Of any number of relays one gets the claim.
    A claim whose lease is over can be taken again: its relay died, perhaps between sending and saying so, and only
    then may a fact be sent twice.
    """

    url: str

    def put(self, fact: Fact) -> bool:
        """Keep a fact; False where one with its key is kept already, which stays as it is."""
        with answering(self.url), writing(self._engine) as connection:
            return put_fact(connection, fact)

    def known(self, key: str) -> Fact | None:
        """The fact with this key."""
        return next(iter(self._facts(sa.select(facts).where(facts.c.key == key))), None)

    def latest(self, model: str, kind: FactKind) -> Fact | None:
        """The newest fact of a kind on a model."""
        rule = (facts.c.model == model) & (facts.c.kind == kind.value)
        query = sa.select(facts).where(rule).order_by(facts.c.at.desc(), facts.c.id.desc()).limit(1)
        return next(iter(self._facts(query)), None)

    def due(self, channel: str, kinds: Kinds, now: datetime, since: datetime, limit: int = 100) -> tuple[Fact, ...]:
        """Facts to be sent now, oldest first: from `since` on, not delivered, not claimed, not to be tried later."""
        free = deliveries.c.state.is_(None) | (deliveries.c.state.in_(_OPEN) & (deliveries.c.until <= now))
        query = _with_delivery(sa.select(facts), channel).where(_among(kinds), facts.c.at >= since, free)
        return self._facts(query.order_by(facts.c.at, facts.c.id).limit(limit))

    def pending(self, channel: str, kinds: Kinds | None = None, since: datetime | None = None) -> int:
        """How many facts are neither delivered on a channel nor given up."""
        query = _with_delivery(sa.select(sa.func.count()).select_from(facts), channel)
        query = query.where(deliveries.c.state.is_(None) | deliveries.c.state.in_(_OPEN))
        query = query if kinds is None else query.where(_among(kinds))
        query = query if since is None else query.where(facts.c.at >= since)
        with answering(self.url), self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def claim(self, fact: Fact, channel: str, now: datetime, lease: timedelta) -> bool:
        """Take a fact for sending, until `now + lease`; False where somebody else has it, or it is not due."""
        mine = {"state": _CLAIMED, "until": now + lease, "claimant": _claimant(), "changed_at": now}
        due = deliveries.c.state.in_(_OPEN) & (deliveries.c.until <= now)
        return self._note(fact, channel, {**mine, "attempts": deliveries.c.attempts + 1}, due)

    def delivered(self, fact: Fact, channel: str, now: datetime) -> None:
        """Note that a fact was sent: it is not sent again on this channel."""
        sent = {"state": _DELIVERED, "until": None, "claimant": None, "problem": None, "changed_at": now}
        self._note(fact, channel, sent, deliveries.c.state != _DELIVERED)

    def failed(self, fact: Fact, channel: str, now: datetime, problem: str, retry_at: datetime | None) -> None:
        """Note that a fact could not be sent, and when to try again; None gives it up on this channel.

        A relay that comes late, with what another one has claimed meanwhile or sent, changes nothing.
        """
        state = _GIVEN_UP if retry_at is None else _WAITING
        news = {"state": state, "until": retry_at, "claimant": None, "problem": problem, "changed_at": now}
        ours = (deliveries.c.claimant == _claimant()) | (deliveries.c.until <= now)
        self._note(fact, channel, news, (deliveries.c.state == _WAITING) | ((deliveries.c.state == _CLAIMED) & ours))

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    def _note(self, fact: Fact, channel: str, values: dict[str, Any], where: sa.ColumnElement[bool]) -> bool:
        with answering(self.url), writing(self._engine) as connection:
            found = connection.execute(sa.select(facts.c.id).where(facts.c.key == fact.key)).scalar()
            if found is None:
                raise ValueError(f"{fact.key} was never put into the outbox")
            first = {**values, "attempts": 1, "fact_id": found, "channel": channel}
            insert = upsert(connection, deliveries).values(first)
            changed = insert.on_conflict_do_update(index_elements=["fact_id", "channel"], set_=values, where=where)
            return connection.execute(changed.returning(deliveries.c.fact_id)).first() is not None

    def _facts(self, query: sa.Select[Any]) -> tuple[Fact, ...]:
        with answering(self.url), self._engine.connect() as connection:
            return tuple(_to_fact(row) for row in connection.execute(query).mappings())


def _with_delivery(query: sa.Select[Any], channel: str) -> sa.Select[Any]:
    same = (deliveries.c.fact_id == facts.c.id) & (deliveries.c.channel == channel)
    return query.outerjoin(deliveries, same)


def _among(kinds: Kinds) -> sa.ColumnElement[bool]:
    if not isinstance(kinds, Mapping):
        return facts.c.kind.in_(sorted(kind.value for kind in kinds))
    # Models that ask for the same are asked about at once: a question for each would be too long for a database.
    alike: dict[frozenset[FactKind], list[str]] = {}
    for model, wanted in kinds.items():
        alike.setdefault(frozenset(wanted), []).append(model)
    return sa.or_(sa.false(), *(facts.c.model.in_(models) & _among(wanted) for wanted, models in alike.items()))


def _to_fact(row: sa.RowMapping) -> Fact:
    return Fact(row["key"], FactKind(row["kind"]), row["model"], row["at"], row["payload"])


def _claimant() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
