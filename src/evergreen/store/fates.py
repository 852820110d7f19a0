"""What became of decisions, as conditions of a query: one meaning for everybody who asks."""

import sqlalchemy as sa

from evergreen.gate.decision import DecisionKind
from evergreen.store.tables import champions, decisions


def knows_newer(decided: sa.FromClause) -> sa.ColumnElement[bool]:
    """Decisions that put a training of their own in the place of an older one.

    An answer to an older question knows no newer data, and a training that was rejected takes nobody's place.
    """
    c = decided.c
    settled = (DecisionKind.SKIP.value, DecisionKind.REJECT.value)
    return c.training_key.is_not(None) & c.kind.not_in(settled) & c.resolves.is_(None)


def unfinished(model: str) -> sa.ColumnElement[bool]:
    """Promotions that neither took effect nor were withdrawn nor overtaken by a later one that did."""
    later = sa.select(sa.func.max(champions.c.decision_id)).where(champions.c.model == model).scalar_subquery()
    c, after = decisions.c, decisions.alias("after")
    taken_back = sa.exists().where(
        (after.c.model == model)
        & (after.c.version == c.version)
        & (after.c.id > c.id)
        & (after.c.kind != DecisionKind.PROMOTE.value)
    )
    promoted = (c.model == model) & (c.kind == DecisionKind.PROMOTE.value)
    return promoted & (c.id > sa.func.coalesce(later, 0)) & ~taken_back
