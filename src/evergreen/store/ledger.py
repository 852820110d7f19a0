"""The ledger: every decision, written once; and which version was champion since when."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from evergreen.errors import IntegrityError, UserError
from evergreen.gate.decision import DecisionKind
from evergreen.spec.canary import CanaryRules
from evergreen.store.announce import fact_of_crown, fact_of_decision
from evergreen.store.canary_end import begin, close
from evergreen.store.chain import append, hold_end
from evergreen.store.database import answering, open_engine, prepare, writing
from evergreen.store.entry import RETURNS, Cause, Crown, Intention, LedgerEntry
from evergreen.store.fates import knows_newer, unfinished
from evergreen.store.outbox import put_fact
from evergreen.store.rows import to_crown, to_entry, to_row
from evergreen.store.tables import champions, decisions, intentions
from evergreen.store.verify import problems


class AlreadyDecided(UserError):  # noqa: N818 - what happened reads better than that it is an error
    """A held decision was answered before, or newer data have overtaken it."""


@dataclass(frozen=True)
class Ledger:
    """The ledger in the database at `url`. Building one opens nothing.

    Every method raises UnavailableError where the database does not answer or is locked, and IntegrityError where it
    is not a store: an empty answer always means that there is nothing.
    """

    url: str

    def prepare(self) -> None:
        """Create the database or migrate it to what this version of Evergreen needs."""
        prepare(self._engine, self.url)

    def record(self, entry: LedgerEntry, trial: CanaryRules | None = None) -> LedgerEntry:
        """Write a decision, and the fact that people are told of it, in one transaction; what comes back has its id.

        With it the `trial` of a held challenger begins, and those end that it answers or overtakes. Raises
        AlreadyDecided where another decision answered the one that this `resolves`, or knew newer data.
        """
        if entry.id is not None:
            raise ValueError(f"decision {entry.id} is in the ledger already")
        with answering(self.url), writing(self._engine) as connection:
            hold_end(connection, decisions)
            if entry.resolves is not None:
                _refuse_second_answer(connection, entry.resolves)
                _refuse_late_answer(connection, entry.model, entry.resolves)
            written = replace(entry, id=append(connection, decisions, to_row(entry)))
            if fact := fact_of_decision(written):
                put_fact(connection, fact)
            if trial is not None:
                begin(connection, written, trial)
            close(connection, entry.model, entry.decided_at)
            return written

    def entry(self, decision_id: int) -> LedgerEntry | None:
        """The decision with this id; None where there is none."""
        return next(iter(self._entries(decisions.c.id == decision_id)), None)

    def entries(self, model: str, limit: int = 50) -> tuple[LedgerEntry, ...]:
        """The newest decisions on a model, newest first."""
        return self._entries(decisions.c.model == model, limit=limit)

    def about(self, model: str, version: int) -> tuple[LedgerEntry, ...]:
        """The decisions on a version, newest first."""
        return self._entries((decisions.c.model == model) & (decisions.c.version == version))

    def twin(self, model: str, training_key: str) -> LedgerEntry | None:
        """The newest decision on exactly this training, apart from SKIP: a run that trained nothing decided nothing."""
        c = decisions.c
        rule = (c.model == model) & (c.training_key == training_key) & (c.kind != DecisionKind.SKIP.value)
        return next(iter(self._entries(rule, limit=1)), None)

    def unfinished(self, model: str) -> tuple[LedgerEntry, ...]:
        """PROMOTE decisions that nobody confirmed or withdrew, oldest first.

        One that a later promotion has overtaken is not among them: finishing it would undo the later one.
        """
        return self._entries(unfinished(model))[::-1]

    def pending(self, model: str | None = None) -> tuple[LedgerEntry, ...]:
        """HOLD decisions that a person can still answer, oldest first; of all models where none is named.

        They have a trained challenger, nothing answered them, and no later training was held or promoted.
        """
        c, after, answer = decisions.c, decisions.alias("after"), decisions.alias("answer")
        challenged = (c.kind == DecisionKind.HOLD.value) & c.mlflow_run.is_not(None) & c.model_digest.is_not(None)
        overtaken = sa.exists().where((after.c.model == c.model) & (after.c.id > c.id) & knows_newer(after))
        rule = challenged & ~sa.exists().where(answer.c.resolves == c.id) & ~overtaken
        return self._entries(rule if model is None else rule & (c.model == model))[::-1]

    def overtaker(self, held: LedgerEntry) -> LedgerEntry | None:
        """The first decision that knew newer data than a held one; None where there is none."""
        rule = (decisions.c.model == held.model) & (decisions.c.id > held.id) & knows_newer(decisions)
        return next(iter(self._entries(rule)[::-1]), None)

    def resolution(self, decision_id: int) -> LedgerEntry | None:
        """The decision that answered a held one; None while nothing did."""
        return next(iter(self._entries(decisions.c.resolves == decision_id)), None)

    def models(self) -> tuple[str, ...]:
        """Every model that was ever decided on, by name."""
        query = sa.select(decisions.c.model).distinct().order_by(decisions.c.model)
        with answering(self.url), self._engine.connect() as connection:
            return tuple(connection.execute(query).scalars())

    def fence(self, model: str) -> int:
        """The number of the present reign: it grows with every champion of the model, and is 0 before the first.

        A version that was champion, left and came back reigns under another number.
        """
        query = sa.select(sa.func.max(champions.c.id)).where(champions.c.model == model)
        with answering(self.url), self._engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    def intend(self, intention: Intention) -> Intention:
        """Write down what is about to be registered. An equal training that nobody decided on yet is the same one."""
        with answering(self.url), writing(self._engine) as connection:
            for known in _open_intentions(connection, intention.model):
                if _is_same(known, intention):
                    return known
            values = {name: value for name, value in asdict(intention).items() if name != "id"}
            written = connection.execute(sa.insert(intentions).values(values))
            assert written.inserted_primary_key is not None
            return replace(intention, id=int(written.inserted_primary_key[0]))

    def intended(self, model: str) -> tuple[Intention, ...]:
        """Intentions on a model that no decision followed, oldest first: of a run at work, or of one that died."""
        with answering(self.url), self._engine.connect() as connection:
            return _open_intentions(connection, model)

    def withdraw(self, entry: LedgerEntry, why: str, now: datetime) -> LedgerEntry | None:
        """Take back a promotion that cannot take effect; None where it has, or was withdrawn or overtaken before.

        What is written is a decision of its own: the version is held, the champion stays.
        """
        with answering(self.url), writing(self._engine) as connection:
            # Nobody crowns meanwhile; and of two who withdraw, the second sees the row of the first.
            hold_end(connection, champions)
            hold_end(connection, decisions)
            rule = unfinished(entry.model) & (decisions.c.id == entry.id)
            if connection.execute(sa.select(decisions.c.id).where(rule)).first() is None:
                return None
            withdrawal = _withdrawal(entry, why, now)
            written = replace(withdrawal, id=append(connection, decisions, to_row(withdrawal)))
            if fact := fact_of_decision(written):
                put_fact(connection, fact)
            close(connection, entry.model, now)
            return written

    def crown(self, decision_id: int, model: str, version: int, at: datetime, now: datetime | None = None) -> None:
        """Append to the champion history that this decision took effect `at` a moment, written `now` if that is later.

        Twice is once; the first moment stays. A clock that is behind puts no champion before the one that it followed:
        it is dated like that one then. People are told in the same transaction, as of now. Raises IntegrityError where
        the decision crowned, or decided on, another version.
        """
        with answering(self.url), writing(self._engine) as connection:
            hold_end(connection, champions)
            query = sa.select(champions.c.model, champions.c.version).where(champions.c.decision_id == decision_id)
            crowned = connection.execute(query).one_or_none()
            if crowned is None:
                entry = _promotion(connection, decision_id, model, version)
                since = max(filter(None, (at, _last_crowned(connection, model))))
                values = {"decision_id": decision_id, "model": model, "version": version, "at": since}
                append(connection, champions, values)
                # Nobody is told of what is long past: one that is finished days later is news all the same.
                put_fact(connection, fact_of_crown(entry, max(filter(None, (since, now)))))
                close(connection, model, max(filter(None, (since, now))))
            elif tuple(crowned) != (model, version):
                raise IntegrityError(f"decision {decision_id} crowned {crowned[0]} {crowned[1]}, not {model} {version}")

    def champion_at(self, model: str, moment: datetime) -> tuple[int, LedgerEntry] | None:
        """The version that was champion at a moment and the decision that made it so; None before the first one."""
        rule = (champions.c.model == model) & (champions.c.at <= moment)
        query = sa.select(champions).where(rule).order_by(champions.c.id.desc()).limit(1)
        crowns = self._crowns(query)
        if not crowns:
            return None
        entry = self.entry(crowns[0].decision_id)
        assert entry is not None, "a foreign key holds every crown to its decision"
        return crowns[0].version, entry

    def history(self, model: str) -> tuple[Crown, ...]:
        """Every champion a model has had, oldest first."""
        return self._crowns(sa.select(champions).where(champions.c.model == model).order_by(champions.c.id))

    def rollbacks(self, model: str) -> frozenset[int]:
        """The ids of the decisions that went back to an earlier champion."""
        returns = decisions.c.cause.in_([cause.value for cause in RETURNS])
        query = sa.select(decisions.c.id).where((decisions.c.model == model) & returns)
        with answering(self.url), self._engine.connect() as connection:
            return frozenset(connection.execute(query).scalars())

    def verify(self) -> tuple[str, ...]:
        """What is wrong with what is stored, in words: rows changed, missing or slipped in; empty where all is well."""
        with answering(self.url):
            return problems(self._engine)

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    def _entries(self, rule: Any, limit: int | None = None) -> tuple[LedgerEntry, ...]:
        query = sa.select(decisions).where(rule).order_by(decisions.c.id.desc()).limit(limit)
        with answering(self.url), self._engine.connect() as connection:
            return tuple(to_entry(row) for row in connection.execute(query).mappings())

    def _crowns(self, query: sa.Select[Any]) -> tuple[Crown, ...]:
        with answering(self.url), self._engine.connect() as connection:
            return tuple(to_crown(row) for row in connection.execute(query).mappings())


def _withdrawal(entry: LedgerEntry, why: str, now: datetime) -> LedgerEntry:
    return replace(
        entry,
        id=None,
        kind=DecisionKind.HOLD,
        reasons=(f"decision {entry.id} is withdrawn: {why}",),
        decided_at=now,
        champion_after=entry.champion_before,
        cause=Cause.RECONCILE,
        # What the promotion had answered stays answered by it.
        resolves=None,
    )


def _last_crowned(connection: sa.Connection, model: str) -> datetime | None:
    query = sa.select(champions.c.at).where(champions.c.model == model).order_by(champions.c.at.desc()).limit(1)
    found: datetime | None = connection.execute(query).scalar()
    return found


def _open_intentions(connection: sa.Connection, model: str) -> tuple[Intention, ...]:
    c = intentions.c
    decided = sa.exists().where(decisions.c.intention == c.id)
    query = sa.select(intentions).where((c.model == model) & ~decided).order_by(c.id)
    return tuple(Intention(**row) for row in connection.execute(query).mappings())


def _is_same(known: Intention, asked: Intention) -> bool:
    return (known.training_key, known.fence) == (asked.training_key, asked.fence)


def _promotion(connection: sa.Connection, decision_id: int, model: str, version: int) -> LedgerEntry:
    row = connection.execute(sa.select(decisions).where(decisions.c.id == decision_id)).mappings().one_or_none()
    entry = None if row is None else to_entry(row)
    if entry is None or (entry.kind, entry.model, entry.champion_after) != (DecisionKind.PROMOTE, model, version):
        raise IntegrityError(f"decision {decision_id} does not promote version {version} of {model}")
    return entry


def _refuse_second_answer(connection: sa.Connection, decision_id: int) -> None:
    row = connection.execute(sa.select(decisions).where(decisions.c.resolves == decision_id)).mappings().one_or_none()
    if row is not None:
        first = to_entry(row)
        said = f"{first.kind} by {first.decided_by} ({first.cause}) on {first.decided_at:%Y-%m-%d %H:%M} UTC"
        raise AlreadyDecided(f"decision {decision_id} is answered already: decision {first.id}, {said}")


def _refuse_late_answer(connection: sa.Connection, model: str, decision_id: int) -> None:
    """A smoke test takes its time: what waited when it began may be overtaken when it ends."""
    newer = (decisions.c.model == model) & (decisions.c.id > decision_id) & knows_newer(decisions)
    overtaker = connection.execute(sa.select(sa.func.min(decisions.c.id)).where(newer)).scalar()
    if overtaker is not None:
        raise AlreadyDecided(
            f"decision {decision_id} was overtaken by decision {overtaker}, which knew newer data; answer that one"
        )
