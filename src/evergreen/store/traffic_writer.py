"""Writing predictions, group by group, over a connection that stays open between them."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import sqlalchemy as sa

from evergreen.store.database import answering, open_engine, upsert
from evergreen.store.prediction import Prediction
from evergreen.store.tables import from_micros, traffic
from evergreen.store.tables import predictions as places
from evergreen.store.traffic_group import Group, pack, split


class TrafficWriter:
    """Writes into the database at `url`, for one thread. Opens its connection when it first writes.

    After a failure it opens another one, so that the same call can simply be made again.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: sa.Connection | None = None

    def write(self, predictions: Sequence[Prediction], now: datetime) -> int:
        """Write all or none of them, in one transaction; how many groups that were.

        Twice is once: the same predictions may be given again after a failure that left open whether they were
        written. Raises UnavailableError where the database does not answer or is locked.
        """
        groups = [(group, pack(group)) for group in split(predictions)]
        try:
            with answering(self.url):
                connection = self._open()
                with connection.begin():
                    for group, content in groups:
                        _insert(connection, group, content, now)
        except BaseException:
            self.close()
            raise
        return len(groups)

    def close(self) -> None:
        """Close the connection; what was written stays."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    def _open(self) -> sa.Connection:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(evergreen_writes=True)
        return self._connection


def _insert(connection: sa.Connection, group: Group, content: bytes, now: datetime) -> None:
    values = {
        "key": group.key,
        "model": group.model,
        "version": group.version,
        "role": group.role.value,
        "first_at": from_micros(min(group.at)),
        "last_at": from_micros(max(group.at)),
        "written_at": now,
        "rows": len(group.at),
        "content": content,
    }
    insert = upsert(connection, traffic).values(values).on_conflict_do_nothing(index_elements=["key"])
    number = connection.execute(insert.returning(traffic.c.id)).scalar()
    if number is not None:
        connection.execute(sa.insert(_PLACES), _rows(group, number))


def _rows(group: Group, number: int) -> list[dict[str, Any]]:
    return [
        {
            "traffic": number,
            "position": position,
            "id": p.id,
            "model": group.model,
            "at": at,
            "row_id": p.row_id,
            # Looked at only where several predictions share a row.
            "request": None if p.row_id is None else p.request,
        }
        for position, (p, at) in enumerate(zip(group.predictions, group.at, strict=True))
    ]


# Without types of our own: moments are whole numbers here already, and there are many.
_PLACES = sa.table(places.name, *(sa.column(column.name) for column in places.columns))
