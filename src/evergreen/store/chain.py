"""The hash chain: every row of an append-only table is held to the one before it.

What is digested must stay what it is for ever: rows that were chained years ago are verified with it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from evergreen.errors import IntegrityError
from evergreen.store.tables import chain_heads


def link(previous: str, row: Mapping[str, Any]) -> str:
    """The digest (64 hex digits) of a row that follows the one with the digest `previous`, "" before the first.

    A column that is NULL is left out, so that a column added later changes no chain.

    >>> link("", {"id": 1, "model": "churn"}) == link("", {"model": "churn", "id": 1, "version": None})
    True
    >>> link("", {"id": 1, "model": "churn"}) == link("00", {"id": 1, "model": "churn"})
    False
    """
    content = {name: value for name, value in row.items() if value is not None and name != "chain"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_moment)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def hold_end(connection: sa.Connection, table: sa.Table) -> sa.Row[Any]:
    """The end of the table's chain (name, last_id, chain); nobody else appends until this transaction is over.

    The connection must have begun to write (evergreen.store.database.writing). Raises IntegrityError where somebody
    removed what says where the chain ends.
    """
    query = sa.select(chain_heads).where(chain_heads.c.name == table.name).with_for_update()
    end = connection.execute(query).one_or_none()
    if end is None:
        raise IntegrityError(f"nothing says where the chain of {table.name} ends; restore chain_heads from a backup")
    return end


def append(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> int:
    """Insert a row at the end of the table's chain; its id, which follows the last one without a gap."""
    end = hold_end(connection, table)
    # Rows that were slipped in behind the chain's back keep their ids; verify() tells of them.
    newest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
    row = {**values, "id": max(end.last_id, newest) + 1}
    chain = link(end.chain, row)
    connection.execute(sa.insert(table).values(**row, chain=chain))
    moved = sa.update(chain_heads).where(chain_heads.c.name == table.name)
    connection.execute(moved.values(last_id=row["id"], chain=chain))
    return int(row["id"])


def _moment(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} cannot be chained")
    return value.astimezone(UTC).isoformat()
