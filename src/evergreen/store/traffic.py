"""The traffic: what serving answered, and what came true, as monitoring and training read it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from evergreen.store.captured import Captured, Part, array_of, assemble, join
from evergreen.store.database import answering, open_engine, writing
from evergreen.store.ground_truth import Outcome, Truth, keep, labels_of, read_truths, versions_of
from evergreen.store.moments import to_micros
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.tables import ground_truth, predictions, traffic
from evergreen.store.traffic_group import ALL, SPAN, choose, unpack
from evergreen.store.traffic_writer import TrafficWriter

CHUNK_ROWS = 50_000
_GROUPS_AT_ONCE = 500


@dataclass(frozen=True)
class Count:
    """How much of a version's traffic there is in a time, and how much of it has a label."""

    version: int
    role: Role
    rows: int
    labelled: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class Written:
    """When rows came into the store: from a moment on, if one is given, and before another. Both are aware."""

    before: datetime
    since: datetime | None = None


@dataclass(frozen=True)
class Piece:
    """A time up to `until`; `rows` is how many rows it has at most."""

    until: datetime
    rows: int


@dataclass(frozen=True)
class Traffic:
    """The traffic in the database at `url`, prepared by a Ledger. Building one opens nothing.

    Every method raises UnavailableError where the database does not answer or is locked. Times are aware; a window has
    the predictions from `since` on and before `until`.
    """

    url: str

    def write(self, rows: Sequence[Prediction], now: datetime) -> None:
        """Write predictions in one transaction; see TrafficWriter, which does it again and again."""
        with TrafficWriter(self.url) as writer:
            writer.write(rows, now)

    def write_feedback(self, feedback: Sequence[Feedback]) -> tuple[Outcome, ...]:
        """Write labels in one transaction; what became of each, in their order."""
        if not feedback:
            return ()
        with answering(self.url), writing(self._engine) as connection:
            return keep(connection, feedback)

    def classes_of(self, model: str, feedback: Sequence[Feedback]) -> list[set[str]]:
        """For each label of a model the classes that its prediction was about, by the version that gave it; none where
        no prediction is there, and where it came without probabilities.
        """
        with answering(self.url), self._engine.connect() as connection:
            versions = versions_of(connection, model, feedback)
            classes = {version: _classes(connection, model, version) for version in set().union(*versions)}
        return [set().union(*(classes[version] for version in each)) for each in versions]

    def window(
        self,
        model: str,
        since: datetime,
        until: datetime,
        version: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Captured:
        """Every captured row of a time: all fields, or those in `columns`."""
        return join(self.chunks(model, since, until, version, columns))

    def chunks(
        self,
        model: str,
        since: datetime,
        until: datetime,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        written: Written | None = None,
    ) -> Iterator[Captured]:
        """The same in pieces of some 50,000 rows, oldest first, one of which may be empty; there is always one.

        With `written` only what was written then.
        """
        begin, end = to_micros(since), to_micros(until)
        rule = _near(model, since, until, version, written)
        c = traffic.c
        parts: list[Part] = []
        rows = 0
        for row in self._groups(sa.select(traffic).where(rule).order_by(c.first_at, c.id)):
            part = _part(row, columns)
            if to_micros(row["first_at"]) < begin or to_micros(row["last_at"]) >= end:
                part = replace(part, columns=choose(part.columns, lambda at: begin <= at < end))
            parts.append(part)
            rows += part.rows
            if rows >= CHUNK_ROWS:
                yield assemble(parts, columns)
                parts, rows = [], 0
        yield assemble(parts, columns)

    def cut(
        self, model: str, since: datetime, until: datetime, version: int, rows: int, written: Written | None = None
    ) -> Piece:
        """How far a time reaches that has so many rows of a champion at most. Groups are counted, and none is read.

        It ends where a group begins; where a group at its beginning alone has more rows, after that.
        """
        c = traffic.c
        rule = _near(model, since, until, version, written) & (c.role == Role.CHAMPION.value)
        found = 0
        for row in self._groups(sa.select(c.first_at, c.rows).where(rule).order_by(c.first_at, c.id)):
            if found and found + row["rows"] > rows and row["first_at"] > since:
                return Piece(row["first_at"], found)
            found += row["rows"]
        return Piece(until, found)

    def newest(self, model: str, rows: int) -> Captured:
        """The newest captured rows of a model, at least so many if there are."""
        return assemble(self._newest(model, rows))

    def newest_by_version(self, model: str, rows: int) -> dict[int, Captured]:
        """The same, apart by version, the newest version first: each with the fields that it captured itself."""
        parts = self._newest(model, rows)
        versions = sorted({part.version for part in parts}, reverse=True)
        return {version: assemble([part for part in parts if part.version == version]) for version in versions}

    def _newest(self, model: str, rows: int) -> list[Part]:
        parts: list[Part] = []
        query = sa.select(traffic).where(traffic.c.model == model)
        for row in self._groups(query.order_by(traffic.c.first_at.desc(), traffic.c.id.desc()), at_once=20):
            parts.append(_part(row))
            if sum(part.rows for part in parts) >= rows:
                break
        return parts

    def labelled(
        self,
        model: str,
        since: datetime,
        until: datetime,
        as_of: datetime,
        label_delay: timedelta = timedelta(0),
        columns: Sequence[str] | None = None,
    ) -> Captured:
        """Rows of a window with what came true, as it was known `as_of` a moment: `label`, `label_at`, `received_at`
        and `asked` beside the answers. Rows younger than `label_delay` are left out, and so are those without a label.

        No label that was received later, or was known later, is seen, not even as a correction. Inputs are all fields,
        or those in `columns`.
        """
        until = min(until, as_of - label_delay + timedelta(microseconds=1))
        known = self._labels(model, since, until, as_of)
        return join(_with_labels(chunk, known) for chunk in self.chunks(model, since, until, columns=columns))

    def has_labels(self, model: str, since: datetime) -> bool:
        """True where a label was received since then."""
        c = ground_truth.c
        query = sa.select(c.id).where((c.model == model) & (c.received_at >= since)).limit(1)
        return bool(self._look(query))

    def counts(self, model: str, since: datetime, until: datetime) -> tuple[Count, ...]:
        """Rows and labelled rows of a window, by version and role."""
        p, c, during = predictions.c, traffic.c, _during(since, until)
        who = (c.version, c.role)
        near = (c.model == model) & (_first_at >= to_micros(since) - SPAN) & (c.first_at < until)
        # A row may stand for all rows of its group.
        number = sa.func.sum(sa.case((p.id.endswith(f".{ALL}"), c.rows), else_=1))
        times = (number, sa.func.min(p.at, type_=p.at.type), sa.func.max(p.at, type_=p.at.type))
        there = sa.select(*who, *times).select_from(traffic.join(predictions, c.id == p.traffic)).where(near & during)
        about = labels_of(model, predicted=during).subquery()
        labelled = sa.select(*who, sa.func.count(about.c.prediction.distinct())).select_from(
            about.join(traffic, c.id == about.c.traffic)
        )
        known = {(version, role): count for version, role, count in self._look(labelled.group_by(*who))}
        return tuple(
            Count(version, Role(role), rows, known.get((version, role), 0), first, last)
            for version, role, rows, first, last in self._look(there.group_by(*who).order_by(*who))
        )

    def forget(self, model: str, before: datetime, chunk: int = 200) -> int:
        """Delete a model's groups whose last prediction is older, and labels received before; how many predictions.

        It happens in transactions of at most `chunk` groups, so that others can write between them.
        """
        c, old = ground_truth.c, (ground_truth.c.model == model) & (ground_truth.c.received_at < before)
        forgotten = 0
        while deleted := self._forget_groups(model, before, chunk):
            forgotten += deleted
        while labels := self._look(sa.select(c.id).where(old).limit(chunk * 10)):
            with answering(self.url), writing(self._engine) as connection:
                connection.execute(sa.delete(ground_truth).where(c.id.in_([label.id for label in labels])))
        return forgotten

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    def _groups(self, query: sa.Select[Any], at_once: int = _GROUPS_AT_ONCE) -> Iterator[sa.RowMapping]:
        with answering(self.url), self._engine.connect() as connection:
            yield from connection.execution_options(yield_per=at_once).execute(query).mappings()

    def _labels(self, model: str, since: datetime, until: datetime, as_of: datetime) -> dict[str, Truth]:
        f = ground_truth.c
        query = labels_of(model, predicted=_during(since, until), known=(f.at <= as_of) & (f.received_at <= as_of))
        with answering(self.url), self._engine.connect() as connection:
            return read_truths(connection.execute(query).mappings())

    def _forget_groups(self, model: str, before: datetime, chunk: int) -> int:
        c = traffic.c
        old = (c.model == model) & (c.first_at < before) & (c.last_at < before)
        # Looked for without a lock: most of the time there is nothing to do.
        found = {row.id: row.rows for row in self._look(sa.select(c.id, c.rows).where(old).limit(chunk))}
        if found:
            with answering(self.url), writing(self._engine) as connection:
                connection.execute(sa.delete(predictions).where(predictions.c.traffic.in_(found)))
                connection.execute(sa.delete(traffic).where(c.id.in_(found)))
        return sum(found.values())

    def _look(self, query: sa.Select[Any]) -> Sequence[Any]:
        with answering(self.url), self._engine.connect() as connection:
            return connection.execute(query).all()


_first_at = sa.type_coerce(traffic.c.first_at, sa.BigInteger)


def _classes(connection: sa.Connection, model: str, version: int) -> set[str]:
    c = traffic.c
    newest = sa.select(c.content).where((c.model == model) & (c.version == version)).order_by(c.id.desc()).limit(1)
    content = connection.execute(newest).scalar()
    return set() if content is None else set(unpack(content, ()).get("probabilities", {}))


def _near(model: str, since: datetime, until: datetime, version: int | None, written: Written | None) -> Any:
    """Groups that may have rows of a time."""
    c = traffic.c
    rule = (c.model == model) & (_first_at >= to_micros(since) - SPAN) & (c.first_at < until) & (c.last_at >= since)
    if version is not None:
        rule &= c.version == version
    if written is not None:
        rule &= c.written_at < written.before
        rule = rule if written.since is None else rule & (c.written_at >= written.since)
    return rule


def _during(since: datetime, until: datetime) -> Any:
    return (predictions.c.at >= since) & (predictions.c.at < until)


def _part(row: sa.RowMapping, fields: Sequence[str] | None = None) -> Part:
    return Part(row["version"], row["role"], row["written_at"], unpack(row["content"], fields))


def _with_labels(chunk: Captured, known: dict[str, Truth]) -> Captured:
    import pyarrow as pa

    found = [known.get(name) for name in chunk.answers.column("id").to_pylist()]
    kept = pa.array([truth is not None for truth in found], pa.bool_())
    truths, moment = [truth for truth in found if truth is not None], pa.timestamp("us", "UTC")
    answers = chunk.answers.filter(kept)
    answers = answers.append_column("label", array_of([truth.label for truth in truths]))
    answers = answers.append_column("label_at", pa.array([truth.at for truth in truths], moment))
    answers = answers.append_column("asked", pa.array([truth.asked for truth in truths], pa.bool_()))
    answers = answers.append_column("received_at", pa.array([truth.received_at for truth in truths], moment))
    return Captured(chunk.inputs.filter(kept) if chunk.inputs.num_columns else chunk.inputs, answers)
