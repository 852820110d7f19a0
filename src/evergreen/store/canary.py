"""Canaries: the trials of held challengers, from the decision that began each to what ended it, and their counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

import sqlalchemy as sa
from pydantic import ValidationError

from evergreen.errors import IntegrityError
from evergreen.evaluation.totals import Totals
from evergreen.gate.canary import Arm, Observed, Side
from evergreen.spec.canary import CanaryRules
from evergreen.store.announce import fact_of_decision
from evergreen.store.canary_end import Ended, append_end, close
from evergreen.store.chain import hold_end
from evergreen.store.database import answering, open_engine, upsert, writing
from evergreen.store.facts import Fact
from evergreen.store.outbox import put_fact
from evergreen.store.rows import to_entry
from evergreen.store.tables import canaries, canary_totals, champions, decisions

_BEGUN, _ENDED, _ANSWER = canaries.alias("begun"), canaries.alias("ended"), decisions.alias("answer")
_TRIALS = (
    sa.select(
        *(_BEGUN.c.decision_id, _BEGUN.c.model, _BEGUN.c.rules, _BEGUN.c.at.label("since")),
        *(decisions.c.champion_before, decisions.c.version, decisions.c.model_digest, _ANSWER.c.id.label("answer")),
        *(_ENDED.c.outcome, _ENDED.c.why, _ENDED.c.at.label("until")),
    )
    .join(decisions, decisions.c.id == _BEGUN.c.decision_id)
    .outerjoin(_ENDED, (_ENDED.c.decision_id == decisions.c.id) & (_ENDED.c.event == "ended"))
    .outerjoin(_ANSWER, _ANSWER.c.resolves == decisions.c.id)
    .where(_BEGUN.c.event == "began")
)


class CanaryState(StrEnum):
    """Where a trial stands: running; decided, while its promotion has no effect yet; ended."""

    RUNNING = "running"
    DECIDED = "decided"
    ENDED = "ended"


@dataclass(frozen=True)
class Canary:
    """A held decision whose challenger is, or was, tried on real requests. Moments are aware, in UTC.

    `champion` is the version that it is tried against. `rules` are those of the spec when the decision was written:
    who edits the spec changes the next trial. `outcome`, `why` and `until` are None while it has not ended.
    """

    decision_id: int
    model: str
    champion: int
    challenger: int
    digest: str
    rules: CanaryRules
    since: datetime
    state: CanaryState = CanaryState.RUNNING
    outcome: Ended | None = None
    why: str | None = None
    until: datetime | None = None

    @property
    def due(self) -> datetime:
        """When its time is over."""
        return self.since + self.rules.within

    @property
    def watched_until(self) -> datetime | None:
        """Until when the promotion that it ended in is watched; None where it is not."""
        if self.outcome is not Ended.PROMOTED or self.until is None or self.rules.watch is None:
            return None
        return self.until + self.rules.watch


@dataclass(frozen=True)
class Canaries:
    """The trials in the database at `url`, prepared by a Ledger.

    A trial begins with its decision (`Ledger.record(…, trial=rules)`) and ends with whatever answers, overtakes or
    outdates it, in one transaction with it; each once. Every method raises as those of Ledger do.
    """

    url: str

    def open(self, model: str | None = None) -> tuple[Canary, ...]:
        """Trials that run: what serving tries, and what is judged. Oldest first; of all models where none is named."""
        return self._read(_ENDED.c.id.is_(None) & _ANSWER.c.id.is_(None), model)

    def unended(self) -> tuple[Canary, ...]:
        """Trials that run, and those whose promotion has no effect yet: all that there is to do something about."""
        return self._read(_ENDED.c.id.is_(None))

    def history(self, model: str | None = None) -> tuple[Canary, ...]:
        """Every trial, oldest first."""
        return self._read(sa.true(), model)

    def watched(self, now: datetime, model: str | None = None) -> tuple[Canary, ...]:
        """Trials that ended in a promotion which is watched still: their challenger is champion since, and nobody else.

        Serving counts its requests as Side.WATCHED of the trial's decision.
        """
        newest = sa.select(sa.func.max(champions.c.id)).group_by(champions.c.model)
        reigning = sa.exists().where((champions.c.decision_id == _ANSWER.c.id) & champions.c.id.in_(newest))
        rows = self._rows((_ENDED.c.outcome == Ended.PROMOTED.value) & reigning, model)
        # Most are not watched, or no longer: serving and tend ask every few seconds, and need not read their rules.
        found = (_to_canary(row) for row in rows if row["rules"].get("watch"))
        return tuple(trial for trial in found if trial.watched_until is not None and now < trial.watched_until)

    def find(self, decision_id: int) -> Canary | None:
        """The trial of a decision; None where it has none."""
        return next(iter(self._read(_BEGUN.c.decision_id == decision_id)), None)

    def observe(self, decision_id: int, arm: str, process: str, totals: Totals, at: datetime) -> None:
        """Write what a process has counted of one side since the trial began; the newest of a process counts.

        `arm` is a Side, `process` a name that no other process has, nor the same one after a restart. What comes too
        late, after a newer one of the same process, is dropped.
        """
        row = {"totals": totals.to_dict(), "at": at}
        key = {"decision_id": decision_id, "arm": Side(arm).value, "process": process}
        with answering(self.url), writing(self._engine) as connection:
            insert = upsert(connection, canary_totals).values(key | row)
            newer = canary_totals.c.at <= at
            connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=row, where=newer))

    def counted_at(self, decision_id: int, process: str) -> datetime | None:
        """When a process wrote totals of a trial last; None where it never did."""
        c = canary_totals.c
        query = sa.select(c.at).where((c.decision_id == decision_id) & (c.process == process)).order_by(c.at.desc())
        with answering(self.url), self._engine.connect() as connection:
            return connection.execute(query.limit(1)).scalar()

    def observed(self, canary: Canary) -> Observed:
        """The sum of what all processes counted."""
        query = sa.select(canary_totals).where(canary_totals.c.decision_id == canary.decision_id)
        with answering(self.url), self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        arms = {
            side: sum((Totals.from_dict(row["totals"]) for row in rows if row["arm"] == side), Totals())
            for side in Side
        }
        return Observed(
            canary.decision_id,
            Arm(canary.champion, arms[Side.CHAMPION]),
            Arm(canary.challenger, arms[Side.CHALLENGER]),
            canary.since,
            max((row["at"] for row in rows), default=None),
            arms[Side.WATCHED],
        )

    def settle(self, model: str, now: datetime) -> None:
        """End the trials that something ended already which wrote no end of them: an older Evergreen, for example."""
        with answering(self.url), writing(self._engine) as connection:
            close(connection, model, now)

    def end(self, canary: Canary, outcome: Ended, why: str, now: datetime) -> bool:
        """End a trial that no decision ends: its own is left to a person. False where it has ended, or was answered.

        People are told in the same transaction where its time was over, as they have to decide now.
        """
        with answering(self.url), writing(self._engine) as connection:
            hold_end(connection, decisions)
            close(connection, canary.model, now)
            ended = append_end(connection, canary.decision_id, canary.model, outcome, why, now)
            if ended and outcome is Ended.TIMED_OUT:
                put_fact(connection, _left_to_a_person(connection, canary, why, now))
            return ended

    def _read(self, rule: sa.ColumnElement[bool], model: str | None = None) -> tuple[Canary, ...]:
        return tuple(map(_to_canary, self._rows(rule, model)))

    def _rows(self, rule: sa.ColumnElement[bool], model: str | None) -> Sequence[sa.RowMapping]:
        query = _TRIALS.where(rule if model is None else rule & (_BEGUN.c.model == model)).order_by(_BEGUN.c.id)
        with answering(self.url), self._engine.connect() as connection:
            return connection.execute(query).mappings().all()

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)


def _left_to_a_person(connection: sa.Connection, canary: Canary, why: str, now: datetime) -> Fact:
    row = connection.execute(sa.select(decisions).where(decisions.c.id == canary.decision_id)).mappings().one()
    fact = fact_of_decision(replace(to_entry(row), reasons=(why,), decided_at=now))
    assert fact is not None, "a decision that is held is told of"
    return replace(fact, key=f"canary:{canary.decision_id}")


def _to_canary(row: sa.RowMapping) -> Canary:
    outcome = None if row["outcome"] is None else Ended(row["outcome"])
    running = CanaryState.RUNNING if row["answer"] is None else CanaryState.DECIDED
    return Canary(
        row["decision_id"],
        row["model"],
        row["champion_before"],
        row["version"],
        row["model_digest"],
        _to_rules(row),
        row["since"],
        running if outcome is None else CanaryState.ENDED,
        outcome,
        row["why"],
        row["until"],
    )


def _to_rules(row: sa.RowMapping) -> CanaryRules:
    """Of a trial that runs, or is asked for by name: ended ones of another Evergreen keep nobody from work."""
    try:
        return CanaryRules.model_validate(row["rules"])
    except ValidationError as error:
        known = f"the rules of the canary of decision {row['decision_id']} ({row['model']})"
        wrong = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise IntegrityError(f"{known} are none to this version of Evergreen ({wrong}); use the newest one") from error
