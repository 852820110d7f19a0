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
from evergreen.store.prediction import Role
from evergreen.store.tables import ground_truth, predictions, to_micros, traffic
from evergreen.store.traffic_group import SPAN, choose, unpack

CHUNK_ROWS = 50_000
# Groups of a piece: as many numbers as a statement takes on any database.
_GROUPS = 500


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
        groups: list[int] = []
        for row in self._groups(model, begin, as_of):
            part = Part(row["version"], row["role"], row["written_at"], unpack(row["content"], columns))
            parts.append(_within(part, begin, end))
            groups.append(row["id"])
            if len(groups) == _GROUPS or sum(part.rows for part in parts) >= CHUNK_ROWS:
                yield self._with_labels(model, parts, groups, as_of, columns, unlabelled)
                parts, groups = [], []
        if parts:
            yield self._with_labels(model, parts, groups, as_of, columns, unlabelled)

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
            yield from connection.execution_options(yield_per=_GROUPS).execute(query).mappings()

    def _with_labels(
        self,
        model: str,
        parts: list[Part],
        groups: list[int],
        as_of: datetime,
        columns: Sequence[str] | None,
        unlabelled: bool,
    ) -> Captured:
        chunk, f = _assemble(parts, columns), ground_truth.c
        query = labels_of(model, predictions.c.traffic.in_(groups), (f.at <= as_of) & (f.received_at <= as_of))
        with answering(self.url), self._engine.connect() as connection:
            known = read_labels(connection.execute(query).mappings())
        return _labelled(chunk, known, unlabelled)


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
