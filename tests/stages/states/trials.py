"""What is tried on real requests: trials begin, are counted, judged, and die on the way like everything else."""

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from evergreen.evaluation.totals import Totals
from evergreen.gate.decision import DecisionKind
from evergreen.spec.canary import CanaryRules
from evergreen.stages import canary, promote
from evergreen.store.canary import Canaries, CanaryState
from evergreen.store.canary_end import Ended
from evergreen.store.entry import Cause
from evergreen.store.ledger import Ledger
from tests.stages.states.people import People
from tests.stages.states.registry import MODEL
from tests.stages.states.world import kills, meets, mostly, skews

WITHIN = timedelta(hours=30)
FINE = Totals(20_000, 20, {0: 20_000})
BAD = Totals(1_000, 500, {0: 1_000})
FEW = Totals(10, 0, {0: 10})


@dataclass(frozen=True)
class Tried(Ledger):
    """The ledger of a run in mode canary: what it holds is tried."""

    rules: CanaryRules

    def record(self, entry):
        waits = entry.kind is DecisionKind.HOLD and entry.version is not None
        return Ledger.record(self, entry, self.rules if waits else None)


class Trials(People):
    """One model whose challengers are tried beside the champion, among everything else that happens to it."""

    @property
    def canaries(self):
        return Canaries(self.home.store_url)

    @rule(
        kill=kills,
        sound=mostly,
        on_timeout=st.sampled_from(["reject", "hold"]),
        watch=st.sampled_from([None, timedelta(hours=20)]),
    )
    def try_challenger(self, kill=None, sound=True, on_timeout="reject", watch=None):
        """A run in mode canary, which may die before or after it wrote its decision."""
        rules = CanaryRules(within=WITHIN, on_timeout=on_timeout, watch=watch)
        if not self.judge("canary" if self.champion else "automatic"):
            return
        self.sound, (digest, before, fence, decision) = sound, self.runs.pop()
        untried, tried = self.ledger, Tried(self.ledger.url, rules)
        with self.mortally(kill):
            try:
                self.ledger = tried
                entry = self.record(digest, before, fence, decision)
            finally:
                self.ledger = untried
            promote.promote(entry, self.home, self.now)

    @rule(challenger=st.sampled_from([FINE, FINE, BAD, FEW]), process=st.sampled_from("ab"))
    def count(self, challenger=FINE, process="a"):
        for trial in self.canaries.open(MODEL):
            self.canaries.observe(trial.decision_id, "champion", process, FINE, self.now)
            self.canaries.observe(trial.decision_id, "challenger", process, challenger, self.now)

    @rule(totals=st.sampled_from([FINE, BAD]))
    def count_after(self, totals):
        for trial in self.canaries.watched(self.now, MODEL):
            self.canaries.observe(trial.decision_id, "watched", "a", totals, self.now)

    @rule(kill=kills, met=meets, sound=mostly, skew=skews)
    def advance(self, kill=None, met=None, sound=True, skew=timedelta(0)):
        self.sound = sound
        with self.mortally(kill, met):
            self.judge_trials(skew)

    @rule()
    def judge_twice(self):
        """Whatever was cut short, who comes next finishes it, and nothing is left for who comes after."""
        self.sound = True
        with self.mortally(None):
            self.judge_trials()
            assert self.judge_trials() == ()

    @rule()
    def wait(self):
        self.now += WITHIN

    def judge_trials(self, skew=timedelta(0)):
        self.patch.setattr(canary, "registry_of", lambda home: self.registry)
        return canary.advance_canaries(self.home, self.now + skew)

    @invariant()
    def what_is_tried_waits_for_an_answer_and_is_the_only_one(self):
        if hasattr(self, "ledger"):
            running = [trial.decision_id for trial in self.canaries.open(MODEL)]
            assert running in ([], [entry.id for entry in self.ledger.pending(MODEL)])

    @invariant()
    def a_trial_ends_once_and_as_the_ledger_says(self):
        if not hasattr(self, "ledger"):
            return
        crowned = {crown.decision_id for crown in self.ledger.history(MODEL)}
        over = {t.decision_id: t for t in self.canaries.history(MODEL) if t.state is CanaryState.ENDED}
        assert self.over.items() <= over.items(), "what has ended stays as it is"
        self.over = over
        for number, trial in over.items():
            answer = self.ledger.resolution(number)
            promoted = answer is not None and answer.id in crowned
            by_itself = answer is not None and answer.cause is Cause.CANARY
            assert (trial.outcome is Ended.PROMOTED) == (promoted and by_itself)
            assert trial.outcome is not Ended.ROLLED_BACK or answer.kind is DecisionKind.REJECT

    over: dict = {}  # noqa: RUF012 - replaced, never changed

    @invariant()
    def the_chains_hold(self):
        if hasattr(self, "ledger") and self.trained % 5 == 0:
            assert self.ledger.verify() == ()
