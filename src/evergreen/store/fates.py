"""What became of decisions, as conditions of a query: one meaning for everybody who asks."""

import sqlalchemy as sa

from evergreen.gate.decision import DecisionKind
from evergreen.store.tables import champions, decisions


def knows_newer(decided: sa.FromClause) -> sa.ColumnElement[bool]:
    """Decisions on a training of their own; an answer to an older question knows no newer data."""
    c = decided.c
    return c.training_key.is_not(None) & (c.kind != DecisionKind.SKIP.value) & c.resolves.is_(None)


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
