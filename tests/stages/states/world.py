"""One model with a real store, and what can happen in the middle of anybody's work on it.

The registry is a double in memory. Somebody else may act at any point, but for what the registry's turn keeps from it:
whoever wants the turn while it is taken is refused. Clocks are uneven.
"""

import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from evergreen.checks import Check, Outcome
from evergreen.errors import UnavailableError, UserError
from evergreen.registry.versions import StaleChampion
from evergreen.settings import Settings
from evergreen.stages import answer, moved_answer, pin, promote, rollback
from evergreen.stages.moved import find_move, look_once
from evergreen.stages.settle import settle
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pins
from tests.stages.states.registry import MODEL, Killed, Versions

START = datetime(2026, 3, 2, tzinfo=UTC)
WITHIN = timedelta(hours=12)
HAND = "move the alias by hand"
POINTS = ("before record", "after record", "before alias", "after alias", "before crown", "after crown")
OTHERS = ("settle", "roll back", "promote", "hold", "pin for a moment")
REFUSALS = (UserError, StaleChampion, rollback.UnfitVersion, UnavailableError)
kills = st.sampled_from([None, None, *POINTS])
meets = st.none() | st.tuples(st.sampled_from(POINTS), st.sampled_from((*OTHERS, HAND)))
skews = st.sampled_from([0, 0, -90, 90]).map(lambda minutes: timedelta(minutes=minutes))
mostly = st.sampled_from([True, True, True, False])
policies = st.sampled_from(["report", "adopt", "restore"])


class World(RuleBasedStateMachine):
    """The model, its ledger, its registry and its clock."""

    template: Path
    handy = False

    @initialize(crowned=mostly, policy=policies, handy=st.booleans())
    def begin(self, crowned, policy="report", handy=False):
        """`handy` lets somebody move the alias by hand, to which the spec's answer is the policy."""
        self.folder = Path(tempfile.mkdtemp(prefix="evergreen-machine-"))
        shutil.copy(self.template, self.folder / "evergreen.db")
        home = Settings.from_environment({"EVERGREEN_HOME": str(self.folder)})
        # Nothing here asks MLflow: what would, finds nobody.
        self.home = replace(home, tracking_uri="http://127.0.0.1:9")
        self.ledger, self.now = Ledger(home.store_url), START
        self.registry = Versions(home.store_url, self.strike)
        self.deadly, self.met, self.sound, self.runs, self.trained, self.kept = None, None, True, [], 0, None
        self.policy, self.handy, self.hand = policy, handy, False
        self.meanwhile, self.unsound, self.lawful = None, set(), 0
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(moved_answer, "smoke_test", self.smoke_test)
        for stage in (answer, rollback):
            self.patch.setattr(stage, "connect", lambda home: (None, self.ledger))
            self.patch.setattr(stage, "smoke_test", self.smoke_test)
        for stage in (answer, rollback, promote, pin):
            self.patch.setattr(stage, "registry_of", lambda home: self.registry)
        self.patch.setattr(answer, "register_held", lambda held, *_: self.registry.register(held.model_digest))
        for name in ("record", "crown"):
            self.patch.setattr(Ledger, name, self.mortal(name, getattr(Ledger, name)))
        if crowned:
            self.start_run(mode="automatic", checks=[])
            self.finish_run(kill=None, which=0, sound=True, pinned=False)

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()
            shutil.rmtree(self.folder)

    def strike(self, point):
        if point == self.deadly:
            self.deadly = None
            raise Killed
        if self.met and self.met[0] == point:
            (_, other), self.met = self.met, None
            self.act(other)

    def act(self, other):
        """What somebody else does in the middle of it; refused where the registry's turn is taken."""
        with suppress(*REFUSALS):
            match other:
                case "settle":
                    self.settle()
                case "roll back":
                    rollback.rollback(MODEL, rollback.Target(), "tom", "odd", self.home, self.now)
                    self.keep()
                case "promote":
                    if self.judge():
                        digest, before, fence, decision = self.runs.pop()
                        self.write(digest, before, fence, decision)
                case "hold":
                    if self.judge("approval"):
                        self.record(*self.runs.pop())
                case "pin for a moment" if not Pins(self.home.store_url).pinned(MODEL):
                    Pins(self.home.store_url).pin(MODEL, "tom", "moment", self.now)
                    try:
                        self.settle()
                    finally:
                        Pins(self.home.store_url).unpin(MODEL, "tom", "over", self.now)
                case "move the alias by hand" if self.handy:
                    self.move(len(self.registry.digests) or None)

    def mortal(self, name, method):
        def wrapped(ledger, *arguments):
            self.strike(f"before {name}")
            result = method(ledger, *arguments)
            self.strike(f"after {name}")
            return result

        return wrapped

    def smoke_test(self, tracking, uri, digest):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        sound = self.sound and digest not in self.unsound
        if sound:
            self.registry.tested.add(digest)
        return Check("smoke_test", Outcome.PASS if sound else Outcome.FAIL, 0.0, "≤ 0", "")

    @contextmanager
    def mortally(self, kill, met=None):
        """A step that may be killed at a point, or meet somebody at one, or be refused, and takes an hour."""
        self.now += timedelta(hours=1)
        self.deadly, self.met = kill, met
        try:
            yield
        except (Killed, *REFUSALS):
            pass
        finally:
            self.deadly = self.met = None

    def settle(self):
        return settle(self.ledger, self.registry, MODEL, self.now, policy=self.policy)

    def move(self, number):
        """Somebody moves the alias, or deletes it, in MLflow's own pages."""
        self.registry.move_by_hand(number)
        self.hand = True
        if look_once(self.ledger, self.registry, MODEL) is None:
            # Where a promotion to it was cut short nobody can tell the hand from the promotion.
            self.kept = number

    def keep(self):
        """What a pin holds: the champion of the ledger, wherever somebody moved the alias to."""
        stray = find_move(self.ledger, self.registry, MODEL)
        self.kept = stray.known if stray else self.champion

    @property
    def champion(self):
        return self.registry.champion_version(MODEL)
