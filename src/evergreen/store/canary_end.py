"""How canaries begin and end: inside the transactions of the decisions and champions that make them."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from evergreen.gate.decision import DecisionKind
from evergreen.spec.canary import CanaryRules
from evergreen.store.announce import fact_of_trial
from evergreen.store.chain import append, hold_end
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.fates import knows_newer, unfinished
from evergreen.store.outbox import put_fact
from evergreen.store.rows import to_entry
from evergreen.store.tables import canaries, champions, decisions


class Ended(StrEnum):
    """What ended a trial."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"  # a condition broke, or the challenger failed its smoke test on the day
    TIMED_OUT = "timed out"
    OVERTAKEN = "overtaken"  # a newer training was decided on
    ANSWERED = "answered"  # by a person, also by moving the alias by hand where that is adopted
    WITHDRAWN = "withdrawn"  # another version is champion than the one it was tried against


def begin(connection: sa.Connection, entry: LedgerEntry, rules: CanaryRules) -> None:
    """Begin the trial of a held decision, in the transaction that writes it. ValueError where nothing can be tried."""
    if entry.kind is not DecisionKind.HOLD or entry.version is None or entry.champion_before is None:
        raise ValueError("a held challenger is tried that is registered, against a champion")
    row = {"decision_id": entry.id, "event": "began", "model": entry.model, "at": entry.decided_at}
    append(connection, canaries, {**row, "rules": rules.model_dump(mode="json")})


def close(connection: sa.Connection, model: str, now: datetime) -> None:
    """End every trial of a model that the ledger says is over. The connection has begun to write.

    People are told of one that was overtaken: nothing else says that what they were told is tried is tried no more.
    """
    running = _running(connection, model)
    if not running:
        return
    hold_end(connection, canaries)
    for row in running:
        if found := _end_of(connection, row):
            append_end(connection, row["id"], model, *found, now)
            if found[0] is Ended.OVERTAKEN:
                put_fact(connection, fact_of_trial(to_entry(row), *found, now))


def append_end(
    connection: sa.Connection, decision_id: int, model: str, outcome: Ended, why: str, now: datetime
) -> bool:
    """End one trial; False where it has ended before."""
    hold_end(connection, canaries)
    known = (canaries.c.decision_id == decision_id) & (canaries.c.event == "ended")
    if connection.execute(sa.select(canaries.c.id).where(known)).first() is not None:
        return False
    row = {"decision_id": decision_id, "event": "ended", "model": model, "at": now}
    append(connection, canaries, {**row, "outcome": outcome.value, "why": why})
    return True


def _running(connection: sa.Connection, model: str) -> list[sa.RowMapping]:
    ended = canaries.alias("ended")
    over = sa.exists().where((ended.c.decision_id == canaries.c.decision_id) & (ended.c.event == "ended"))
    query = sa.select(decisions).join(canaries, canaries.c.decision_id == decisions.c.id)
    query = query.where((canaries.c.model == model) & (canaries.c.event == "began") & ~over)
    return list(connection.execute(query.order_by(canaries.c.id)).mappings())


def _end_of(connection: sa.Connection, held: sa.RowMapping) -> tuple[Ended, str] | None:
    """What ended the trial of a held decision, by the ledger alone; None where nothing did."""
    answer = connection.execute(sa.select(decisions).where(decisions.c.resolves == held["id"])).mappings().one_or_none()
    if answer is not None:
        return _end_by_answer(connection, answer)
    newer = (decisions.c.model == held["model"]) & (decisions.c.id > held["id"]) & knows_newer(decisions)
    overtaker = connection.execute(sa.select(sa.func.min(decisions.c.id)).where(newer)).scalar()
    if overtaker is not None:
        return Ended.OVERTAKEN, f"decision {overtaker} knew newer data"
    reign = sa.select(champions.c.id, champions.c.version).where(champions.c.model == held["model"])
    last = connection.execute(reign.order_by(champions.c.id.desc()).limit(1)).one_or_none()
    if held["fence"] is not None and last is not None and last.id != held["fence"]:
        return Ended.WITHDRAWN, f"version {last.version} became champion"
    return None


def _end_by_answer(connection: sa.Connection, answer: sa.RowMapping) -> tuple[Ended, str] | None:
    why = f"decision {answer['id']}: {answer['reasons'][0]}"
    # Who moved the alias by hand has answered, too, whatever the counts said.
    by_person = answer["cause"] in (Cause.APPROVAL, Cause.ADOPTION)
    if answer["kind"] != DecisionKind.PROMOTE:
        automatic = Ended.TIMED_OUT if answer["cause"] == Cause.TIMEOUT else Ended.ROLLED_BACK
        return (Ended.ANSWERED if by_person else automatic), why
    crowned = sa.select(champions.c.id).where(champions.c.decision_id == answer["id"])
    if connection.execute(crowned).first() is not None:
        return (Ended.ANSWERED if by_person else Ended.PROMOTED), why
    rule = unfinished(answer["model"]) & (decisions.c.id == answer["id"])
    if connection.execute(sa.select(decisions.c.id).where(rule)).first() is not None:
        return None
    return Ended.WITHDRAWN, f"decision {answer['id']} had no effect"
