"""What people do to a model: answer, go back, pin."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from evergreen.stages import answer, pin, rollback
from evergreen.store.entry import Cause
from evergreen.store.pins import Pins
from tests.stages.states.registry import MODEL
from tests.stages.states.world import WITHIN, World, kills, meets, mostly, skews


class Persons(World):
    """Eva and Tom, whose commands may die on the way, too."""

    @rule(kill=kills, met=meets, which=st.integers(1, 12), by=st.sampled_from(["eva", "tom"]), sound=mostly, skew=skews)
    def approve(self, kill, met, which, by, sound, skew):
        self.sound = sound
        with self.mortally(kill, met):
            answer.approve(self.some_decision(which), by, "fine", self.home, self.now + skew)

    @rule(kill=kills, which=st.integers(1, 12), by=st.sampled_from(["eva", "tom"]))
    def reject(self, kill, which, by):
        with self.mortally(kill):
            answer.reject(self.some_decision(which), by, "no", self.home, self.now)

    def some_decision(self, which):
        """One that waits, where there is one: else most answers would be refused."""
        waiting = self.ledger.pending(MODEL)
        return waiting[-1].id if waiting and which % 4 else which

    @rule(kill=kills)
    def expire(self, kill):
        with self.mortally(kill):
            answer.expire(self.home, self.now, {MODEL: WITHIN})

    @rule(
        kill=kills,
        met=meets,
        to=st.none() | st.integers(1, 4),
        pinned=st.booleans(),
        sound=mostly,
        why=st.sampled_from("ab"),
        skew=skews,
    )
    def roll_back(self, kill, met, to, pinned, sound, why, skew):
        self.sound = sound
        was = Pins(self.home.store_url).pinned(MODEL)
        done = None
        with self.mortally(kill, met):
            done = rollback.rollback(MODEL, rollback.Target(to, pin=pinned), "eva", why, self.home, self.now + skew)
        if pinned and done and met is None:
            assert Pins(self.home.store_url).pinned(MODEL)
        if was or Pins(self.home.store_url).pinned(MODEL):
            # A rollback that was cut short is finished later, pinned or not.
            self.settle()
            self.keep()

    @precondition(lambda self: self.ledger.history(MODEL))
    @rule()
    def set_pin(self):
        pin.pin(MODEL, "eva", "audit", self.home, self.now)
        if any(entry.cause is Cause.ROLLBACK for entry in self.ledger.unfinished(MODEL)):
            # Decided on by a person before: a pin does not keep it from being finished.
            self.settle()
        self.keep()

    @precondition(lambda self: Pins(self.home.store_url).pinned(MODEL))
    @rule()
    def take_off_pin(self):
        pin.unpin(MODEL, "eva", "done", self.home, self.now)
