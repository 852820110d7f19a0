"""What holds whatever happened."""

from datetime import timedelta

from hypothesis.stateful import invariant

from evergreen.gate.decision import DecisionKind
from evergreen.stages.settle import find_stranger
from evergreen.store.entry import Cause
from evergreen.store.pins import Pins
from tests.stages.states.registry import MODEL
from tests.stages.states.world import World


class Laws(World):
    """No state that the ledger cannot explain."""

    @invariant()
    def what_was_withdrawn_is_so_once_and_never_took_effect(self):
        if not hasattr(self, "ledger"):
            return
        withdrawn = [e.reasons[0] for e in self.ledger.entries(MODEL, 1000) if e.cause is Cause.RECONCILE]
        numbers = [reason.split()[1] for reason in withdrawn if reason.startswith("decision")]
        assert len(numbers) == len(set(numbers))
        assert not set(numbers) & {str(crown.decision_id) for crown in self.ledger.history(MODEL)}

    @invariant()
    def the_champion_of_tomorrow_is_the_last_that_was_crowned_and_time_runs_forward(self):
        if hasattr(self, "ledger") and (crowns := self.ledger.history(MODEL)):
            assert self.ledger.champion_at(MODEL, self.now + timedelta(days=1))[0] == crowns[-1].version
            assert [crown.at for crown in crowns] == sorted(crown.at for crown in crowns)

    @invariant()
    def the_ledger_explains_the_champion(self):
        if hasattr(self, "ledger"):
            stray = find_stranger(self.ledger, self.registry, MODEL)
            assert self.hand or not stray
            self.hand = self.hand and bool(stray)

    @invariant()
    def every_champion_was_registered_and_tested_and_crowned_once_by_its_decision(self):
        if not hasattr(self, "ledger"):
            return
        crowns = self.ledger.history(MODEL)
        assert len({crown.decision_id for crown in crowns}) == len(crowns)
        for crown in crowns:
            decision = self.ledger.entry(crown.decision_id)
            assert (decision.kind, decision.champion_after) == (DecisionKind.PROMOTE, crown.version)
        served = {crown.version for crown in crowns} | ({self.champion} - {None} if not self.hand else set())
        assert {self.registry.digests[version - 1] for version in served} <= self.registry.tested

    @invariant()
    def a_decision_is_answered_once_and_waits_only_until_then(self):
        if not hasattr(self, "ledger"):
            return
        answers = [e.resolves for e in self.ledger.entries(MODEL, 1000) if e.resolves is not None]
        assert len(answers) == len(set(answers))
        waiting = self.ledger.pending(MODEL)
        assert len(waiting) <= 1
        assert not {entry.id for entry in waiting} & set(answers)
        assert all(entry.cause in (Cause.RUN, Cause.RECONCILE) for entry in waiting)

    @invariant()
    def nobody_answers_what_newer_data_have_overtaken(self):
        if not hasattr(self, "ledger"):
            return
        entries = self.ledger.entries(MODEL, 1000)
        for answer in (entry for entry in entries if entry.resolves is not None):
            between = [entry for entry in entries if answer.resolves < entry.id < answer.id]
            newer = [e for e in between if e.training_key and e.resolves is None and e.cause is Cause.RUN]
            assert not [e for e in newer if e.kind is not DecisionKind.REJECT]

    @invariant()
    def nobody_moves_a_pinned_champion(self):
        if hasattr(self, "ledger") and Pins(self.home.store_url).pinned(MODEL):
            assert self.hand or self.champion == self.kept
            assert not self.hand or self.ledger.history(MODEL)[-1].version == self.kept
