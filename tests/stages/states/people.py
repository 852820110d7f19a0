"""The machine: rules and laws together; and the steps that scenarios are made of."""

from datetime import timedelta

from evergreen.stages import rollback
from evergreen.store.pins import Pins
from tests.stages.states.hands import Hands
from tests.stages.states.laws import Laws
from tests.stages.states.persons import Persons
from tests.stages.states.registry import MODEL
from tests.stages.states.runs import Runs


class People(Runs, Persons, Hands, Laws):
    """One model, its runs and its people."""


def promote_next(machine, **how):
    machine.start_run(mode="automatic", checks=[])
    machine.finish_run(kill=None, which=len(machine.runs) - 1, sound=True, pinned=False, **how)


def pinned(machine):
    return Pins(machine.home.store_url).pinned(MODEL)


def crowned(machine):
    return [crown.version for crown in machine.ledger.history(MODEL)]


def go_back(machine, hours=0, **target):
    now = machine.now + timedelta(hours=hours)
    return rollback.rollback(MODEL, rollback.Target(**target), "eva", "bad", machine.home, now)
