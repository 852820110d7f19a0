"""Somebody moves the alias in MLflow's own pages, and runs answer that as the spec says."""

from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from evergreen.gate.decision import DecisionKind
from evergreen.store.entry import Cause
from tests.stages.states.registry import MODEL
from tests.stages.states.world import World, kills, meets, mostly


class Hands(World):
    """Past the ledger, at any time."""

    @precondition(lambda self: self.handy and self.registry.digests)
    @rule(to=st.integers(0, 5))
    def move_the_alias(self, to):
        self.move(1 + to % len(self.registry.digests))

    @precondition(lambda self: self.handy)
    @rule()
    def delete_the_alias(self):
        self.move(None)

    @precondition(lambda self: self.handy)
    @rule()
    def bring_a_version_along(self):
        """One that no run registered becomes champion."""
        self.registry.digests.append(f"brought along {len(self.registry.digests)}")
        self.move(len(self.registry.digests))

    @precondition(lambda self: self.hand)
    @rule(kill=kills, met=meets, sound=mostly)
    def answer_the_move(self, kill, met, sound):
        self.sound = sound
        with self.mortally(kill, met):
            self.settle()

    @invariant()
    def what_is_adopted_passed_its_gate_and_what_is_put_back_is_what_the_ledger_had(self):
        crowns = self.ledger.history(MODEL) if self.handy else ()
        for before, crown in pairwise(crowns[max(0, self.lawful - 1) :]):
            made, self.lawful = self.ledger.entry(crown.decision_id), len(crowns)
            if made.cause is Cause.ADOPTION:
                assert self.policy == "adopt"
                decided = [e.kind for e in self.ledger.about(MODEL, crown.version) if e.id < made.id]
                assert decided[0] in (DecisionKind.PROMOTE, DecisionKind.HOLD)
                assert all(check.passed for check in made.checks)
            if made.cause is Cause.RESTORATION:
                assert self.policy != "report"
                assert crown.version == before.version
