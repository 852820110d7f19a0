"""Is the ledger still what was written? Rows that were changed, removed or slipped in are found."""

from collections.abc import Iterator
from itertools import chain as joined
from typing import Any

import sqlalchemy as sa

from evergreen.gate.decision import DecisionKind
from evergreen.store.canary_end import Ended
from evergreen.store.chain import link
from evergreen.store.tables import canaries, chain_heads, champions, decisions, pins, pruned

_CHAINED = (decisions, champions, pins, canaries, pruned)


def problems(engine: sa.Engine) -> tuple[str, ...]:
    """What is wrong, in words; empty where all is well. Everything is read as of one moment."""
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection:
        broken = [_broken_links(connection, table) for table in _CHAINED]
        return tuple(joined(*broken, _odd_crowns(connection), _odd_answers(connection), _odd_trials(connection)))


def _broken_links(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    last_id, chain, name = 0, "", table.name
    for row_id, stored, row in _rows(connection, table):
        if not stored:
            yield f"{name}: #{row_id} was not written by Evergreen: it is not in the chain"
        else:
            if row is None:
                yield f"{name}: #{row_id} was changed to something that cannot be read"
            elif link(chain, row) != stored:
                yield f"{name}: chain broken at #{row_id}: {_why(last_id, row_id)}"
            chain = stored
        last_id = row_id
    yield from _broken_end(connection, name, last_id, chain)


def _broken_end(connection: sa.Connection, name: str, last_id: int, chain: str) -> Iterator[str]:
    end = connection.execute(sa.select(chain_heads).where(chain_heads.c.name == name)).one_or_none()
    if end is None:
        yield f"{name}: nothing says where the chain ends"
    elif end.last_id > last_id:
        yield f"{name}: chain broken at its end: {_missing(last_id + 1, end.last_id)}"
    elif end.chain != chain:
        yield f"{name}: chain broken at its end: #{last_id} is not the row that was written last"


def _why(last_id: int, row_id: int) -> str:
    if row_id > last_id + 1:
        return _missing(last_id + 1, row_id - 1)
    return "the row was changed" if last_id == 0 else f"the row was changed, or #{last_id} before it"


def _missing(first: int, last: int) -> str:
    return f"#{first} is missing" if first == last else f"#{first} to #{last} are missing"


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """Id, chain and content of every row in order; None for a content that cannot be read."""
    try:
        found = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
        yield from ((row["id"], row["chain"], dict(row)) for row in found)
    except (ValueError, TypeError):
        keys = connection.execute(sa.select(table.c.id, table.c.chain).order_by(table.c.id)).all()
        yield from ((row_id, chain, _readable(connection, table, row_id)) for row_id, chain in keys)


def _readable(connection: sa.Connection, table: sa.Table, row_id: int) -> dict[str, Any] | None:
    try:
        return dict(connection.execute(sa.select(table).where(table.c.id == row_id)).mappings().one())
    except (ValueError, TypeError):
        return None


def _odd_crowns(connection: sa.Connection) -> Iterator[str]:
    c, d = champions.c, decisions.c
    known = sa.select(c.id, c.decision_id, c.model, c.version, d.id.label("found"))
    right = (d.kind == DecisionKind.PROMOTE.value) & (d.model == c.model) & (d.champion_after == c.version)
    query = known.outerjoin(decisions, d.id == c.decision_id).where(d.id.is_(None) | ~sa.func.coalesce(right, False))
    for row in connection.execute(query.order_by(c.id)):
        what = f"champions: #{row.id} says that decision {row.decision_id} made version {row.version} of {row.model}"
        yield f"{what} champion, but {'it promoted something else' if row.found else 'there is no such decision'}"


def _odd_answers(connection: sa.Connection) -> Iterator[str]:
    answer, d = decisions.alias("answer"), decisions.c
    right = (d.kind == DecisionKind.HOLD.value) & (d.model == answer.c.model) & (d.id < answer.c.id)
    query = sa.select(answer.c.id, answer.c.resolves).outerjoin(decisions, d.id == answer.c.resolves)
    query = query.where(answer.c.resolves.is_not(None) & ~sa.func.coalesce(right, False)).order_by(answer.c.id)
    for row in connection.execute(query):
        yield f"decisions: #{row.id} answers #{row.resolves}, which was not held before it"


def _odd_trials(connection: sa.Connection) -> Iterator[str]:
    """Trials of what was not held, ends without a beginning, and promotions by a trial that were none."""
    trial, d, answer = canaries.alias("trial"), decisions.c, decisions.alias("answer")
    query = sa.select(trial.c.id, trial.c.decision_id)
    held = query.outerjoin(decisions, d.id == trial.c.decision_id).where(trial.c.event == "began")
    right = (d.kind == DecisionKind.HOLD.value) & (d.model == trial.c.model) & d.champion_before.is_not(None)
    for row in connection.execute(held.where(~sa.func.coalesce(right, False)).order_by(trial.c.id)):
        what = f"canaries: #{row.id} says that decision {row.decision_id} began a trial"
        yield f"{what}, which was not held against a champion of this model"
    began = sa.exists().where((canaries.c.decision_id == trial.c.decision_id) & (canaries.c.event == "began"))
    ended = query.where(trial.c.event == "ended")
    for row in connection.execute(ended.where(~began).order_by(trial.c.id)):
        yield f"canaries: #{row.id} ends a trial of decision {row.decision_id} that never began"
    crowned = sa.exists().where((answer.c.resolves == trial.c.decision_id) & (champions.c.decision_id == answer.c.id))
    promoted = ended.where((trial.c.outcome == Ended.PROMOTED.value) & ~crowned)
    for row in connection.execute(promoted.order_by(trial.c.id)):
        what = f"canaries: #{row.id} says that the canary of decision {row.decision_id} promoted"
        yield f"{what}, but no answer to it took effect"
