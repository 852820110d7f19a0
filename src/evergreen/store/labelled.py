"""Labelled traffic, in pieces: every request once, with the label that was known of it at a moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from evergreen.store.captured import Captured, Part, array_of, assemble
from evergreen.store.database import answering, open_engine
from evergreen.store.ground_truth import ids_kept, labels_of, read_labels
from evergreen.store.moments import to_micros
from evergreen.store.prediction import Role
from evergreen.store.tables import ground_truth, traffic
from evergreen.store.traffic_group import SPAN, choose, unpack

CHUNK_ROWS = 50_000
# Of a piece at most; most are small where requests are few.
_GROUPS = 500
# Names in one statement, and groups that are read ahead.
_NAMES, _AHEAD = 500, 50


@dataclass(frozen=True)
class LabelledTraffic:
    """The champion's answers in the database at `url`, which a Ledger prepared. Building one opens nothing.

    A shadow's answers are to the champion's own requests, and so no row of their own. Every method raises
    UnavailableError where the database does not answer.
    """

    url: str

    def chunks(
        self,
        model: str,
        as_of: datetime,
        since: datetime | None = None,
        columns: Sequence[str] | None = None,
        *,
        unlabelled: bool = False,
    ) -> Iterator[Captured]:
        """Predictions after `since` and until `as_of` that have a label, oldest first, some 50,000 rows a piece.

        What was written, received or known later is not seen, not even as a correction: a moment of the past gives the
        same rows again, as long as they are kept. `label` and `label_at` stand beside the answers, null where
        `unlabelled` rows are asked for, too. Inputs are all fields, or those in `columns`; `complete` says of every
        row whether its version captured each of them.
        """
        begin = 0 if since is None else to_micros(since) + 1
        end = to_micros(as_of) + 1
        parts: list[Part] = []
        for row in self._groups(model, begin, as_of):
            part = Part(row["version"], row["role"], row["written_at"], unpack(row["content"], columns))
            parts.append(_within(part, begin, end))
            if len(parts) == _GROUPS or sum(part.rows for part in parts) >= CHUNK_ROWS:
                chunk, parts = _assemble(parts, columns), []
                yield _labelled(chunk, self._labels(model, chunk, as_of), unlabelled)
        if parts:
            chunk = _assemble(parts, columns)
            yield _labelled(chunk, self._labels(model, chunk, as_of), unlabelled)

    def known(self, model: str, ids: Sequence[str]) -> set[str]:
        """Those of these names that a prediction of the model has."""
        with answering(self.url), self._engine.connect() as connection:
            return ids_kept(connection, model, ids)

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    def _groups(self, model: str, begin: int, as_of: datetime) -> Iterator[sa.RowMapping]:
        c, first_at = traffic.c, sa.type_coerce(traffic.c.first_at, sa.BigInteger)
        mine = (c.model == model) & (c.role == Role.CHAMPION.value)
        during = (first_at >= begin - SPAN) & (c.first_at <= as_of) & (c.written_at <= as_of)
        query = sa.select(traffic).where(mine & during).order_by(c.first_at, c.id)
        with answering(self.url), self._engine.connect() as connection:
            yield from connection.execution_options(yield_per=_AHEAD).execute(query).mappings()

    def _labels(self, model: str, chunk: Captured, as_of: datetime) -> dict[str, tuple[Any, int]]:
        """What was known of the rows of a chunk. By their names, as whoever begins with the labels reads all of them
        again for every chunk.
        """
        f, ids, row_ids = ground_truth.c, *(chunk.answers.column(name) for name in ("id", "row_id"))
        # Hidden from SQLite's planner, which would go by model and time and meet every label there is.
        received, of = sa.type_coerce(f.received_at, sa.BigInteger) + 0, f.model.concat("")
        known = (f.at <= as_of) & (received <= to_micros(as_of))
        about = (f.id, f.prediction_id.label("prediction"), f.label, f.at, f.received_at, f.extra)
        by_id = sa.select(*about).where((of == model) & known)
        found: list[Any] = []
        with answering(self.url), self._engine.connect() as connection:
            for names in _batched(ids):
                found += connection.execute(by_id.where(f.prediction_id.in_(names))).mappings()
            for names in _batched(row_ids.drop_null().unique()):
                by_row = f.prediction_id.is_(None) & f.row_id.in_(names)
                found += connection.execute(labels_of(model, known=known & by_row)).mappings()
        return read_labels(iter(found))


def _batched(names: Any) -> Iterator[list[str]]:
    return (names.slice(start, _NAMES).to_pylist() for start in range(0, len(names), _NAMES))


def _assemble(parts: list[Part], columns: Sequence[str] | None) -> Captured:
    import pyarrow as pa

    chunk = assemble(parts, columns)
    complete = [part.columns["inputs"].keys() >= {*(columns or ())} for part in parts for _ in range(part.rows)]
    return Captured(chunk.inputs, chunk.answers.append_column("complete", pa.array(complete, pa.bool_())))


def _within(part: Part, begin: int, end: int) -> Part:
    times = part.columns["at"]
    if begin <= min(times) and max(times) < end:
        return part
    return Part(part.version, part.role, part.written_at, choose(part.columns, lambda at: begin <= at < end))


def _labelled(chunk: Captured, known: dict[str, tuple[Any, int]], unlabelled: bool) -> Captured:
    import pyarrow as pa

    found = [known.get(name) for name in chunk.answers.column("id").to_pylist()]
    inputs, answers = chunk.inputs, chunk.answers
    if not unlabelled:
        kept = pa.array([label is not None for label in found], pa.bool_())
        answers = answers.filter(kept)
        inputs = inputs.filter(kept) if inputs.num_columns else inputs
        found = [label for label in found if label is not None]
    labels, times = zip(*(label or (None, None) for label in found), strict=True) if found else ((), ())
    answers = answers.append_column("label", array_of(list(labels)))
    return Captured(inputs, answers.append_column("label_at", pa.array(times, pa.timestamp("us", "UTC"))))
