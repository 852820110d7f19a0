"""Asking the store every second whether anything changed, over a connection that stays open between the questions."""

import os
from functools import cached_property

import sqlalchemy as sa

from evergreen.address import sqlite_file
from evergreen.errors import EvergreenError
from evergreen.store.database import answering, open_engine
from evergreen.store.tables import canaries, champions, decisions

_BEGUN, _ENDED, _ANSWER = canaries.alias("begun"), canaries.alias("ended"), decisions.alias("answer")
_MODEL: sa.BindParameter[str] = sa.bindparam("model")
_REIGN = sa.select(sa.func.max(champions.c.id)).where(champions.c.model == _MODEL).scalar_subquery()
_TRIAL = (
    sa.select(_BEGUN.c.decision_id)
    .outerjoin(_ENDED, (_ENDED.c.decision_id == _BEGUN.c.decision_id) & (_ENDED.c.event == "ended"))
    .outerjoin(_ANSWER, _ANSWER.c.resolves == _BEGUN.c.decision_id)
    .where((_BEGUN.c.event == "began") & (_BEGUN.c.model == _MODEL) & _ENDED.c.id.is_(None) & _ANSWER.c.id.is_(None))
    .order_by(_BEGUN.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_QUESTION = sa.select(_REIGN.label("reign"), _TRIAL.label("trial"))


class Poll:
    """For one thread, and no fork once it was asked. Opens its connection at the first question.

    To open one costs more than forty answers over it. It is opened anew where the database closed it, and where its
    file is another one by now, as after a restore.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: sa.Connection | None = None
        self._file: tuple[int, int] | None = None

    def ask(self, model: str) -> tuple[int, int | None]:
        """The number of the model's reign, as `Ledger.fence` gives it, and the newest decision whose trial runs.

        Raises UnavailableError where the store does not answer, and IntegrityError where it is none.
        """
        if self._connection is not None and self._file == self._found():
            try:
                return self._read(model)
            except EvergreenError:
                # A server that was restarted has closed it. Whether it answers by now a new one tells.
                pass
        self.close()
        try:
            return self._read(model)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _read(self, model: str) -> tuple[int, int | None]:
        with answering(self.url):
            if self._connection is None:
                self._connection = self._engine.connect()
                self._file = self._found()
            with self._connection.begin():
                reign, trial = self._connection.execute(_QUESTION, {"model": model}).one()
        return int(reign or 0), trial

    def _found(self) -> tuple[int, int] | None:
        """Which file stands at the address now; None where there is none, as with a server."""
        file = sqlite_file(self.url)
        try:
            found = None if file is None else os.stat(file)
        except OSError:
            return None
        return None if found is None else (found.st_dev, found.st_ino)

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)
