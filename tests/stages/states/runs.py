"""Runs of a model, and what puts in order what they leave."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from evergreen.checks import Check, Outcome
from evergreen.errors import IntegrityError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.gate.judge import decide
from evergreen.registry.versions import said_of_pin
from evergreen.stages import promote
from evergreen.stages.open import read_champion
from evergreen.stages.settle import find_stranger
from evergreen.store.entry import LedgerEntry
from tests.stages.states.registry import MODEL
from tests.stages.states.world import POINTS, World, kills, meets, mostly, skews

GOOD = Check("accuracy", Outcome.PASS, 0.9, "≥ 0.8", "")
modes = st.sampled_from(["automatic", "automatic", "approval"])
outcomes = st.sampled_from([Outcome.PASS, Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL])


class Runs(World):
    """A run reads, decides and promotes, and may die on the way."""

    @rule(mode=modes, checks=st.lists(outcomes, max_size=1))
    def start_run(self, mode, checks):
        """A run reads the champion, trains and judges; others may act before it writes."""
        self.judge(mode, checks)

    def judge(self, mode="automatic", checks=()):
        """False where the run stops before it trains."""
        self.settle()
        try:
            champion, fence = read_champion(MODEL, self.ledger, self.registry)
        except IntegrityError:
            assert self.hand, "only somebody's hand can bring a champion that nobody knows"
            return False
        self.trained += 1
        judged = [GOOD, *(replace(GOOD, outcome=outcome) for outcome in checks)]
        decision = decide(judged, mode, pinned=said_of_pin(self.home.store_url, MODEL))
        self.runs.append((f"digest {self.trained}", champion and champion.version, fence, decision))
        return True

    @precondition(lambda self: self.runs)
    @rule(kill=kills, met=meets, which=st.integers(0, 3), sound=mostly, pinned=st.booleans(), skew=skews)
    def finish_run(self, kill, which, sound, pinned, met=None, skew=timedelta(0)):
        """Registered, smoke-tested, recorded, promoted; if it is killed, a person may pin before anybody tidies up."""
        self.sound = sound
        with self.mortally(kill, met):
            self.write(*self.runs.pop(which % len(self.runs)), skew)
        if kill and pinned and self.ledger.history(MODEL):
            self.set_pin()

    def write(self, digest, before, fence, decision, skew=timedelta(0)):
        entry = self.record(digest, before, fence, decision, skew)
        promote.promote(entry, self.home, self.now + skew)

    def record(self, digest, before, fence, decision, skew=timedelta(0)):
        version, now = None, self.now + skew
        if all(check.passed for check in decision.checks):
            version = self.registry.register(digest).version
            decision = promote._with_smoke(decision, self.smoke_test(None, "", digest))
        promoted = decision.kind is DecisionKind.PROMOTE
        entry = LedgerEntry(
            MODEL, decision.kind, decision.reasons, decision.checks, Reason.SCHEDULED, now, now, "evergreen",
            training_key=digest, mlflow_run=digest, model_digest=digest, version=version,
            champion_before=before, champion_after=version if promoted else before, fence=fence,
        )  # fmt: skip
        return self.ledger.record(entry)

    @rule(kill=st.sampled_from(POINTS))
    def die_and_be_pinned(self, kill):
        """A run is killed on its way to production, and a person pins before the next one comes."""
        if self.judge():
            self.finish_run(kill=kill, which=len(self.runs) - 1, sound=True, pinned=True)
        self.reconcile()

    @rule()
    def reconcile(self):
        self.settle()
        stray = find_stranger(self.ledger, self.registry, MODEL)
        assert (self.settle() == []) is (stray == "")
        assert self.ledger.unfinished(MODEL) == ()
        crowned = [crown.version for crown in self.ledger.history(MODEL)]
        assert stray or crowned[-1:] == [self.champion][: len(crowned)]
        if self.handy:
            assert follows(changes(crowned), changes(self.registry.moved)), "nothing is crowned that nobody served"
        else:
            assert changes(crowned) == changes(self.registry.served), "no reign is lost, none out of its order"


def changes(versions):
    """Without repetitions of the one before."""
    return [version for before, version in zip([None, *versions], versions, strict=False) if version != before]


def follows(some, everything):
    """True where one is a part of the other, in its order."""
    rest = iter(everything)
    return all(version in rest for version in some)
