"""Serving follows the ledger: when another version becomes champion it is fetched, verified, warmed, and swapped in.

The store is asked often, as that costs little; the registry only when the store says that something changed, and now
and then, for an alias that somebody moved by hand.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Protocol

from evergreen.errors import EvergreenError
from evergreen.serving.cache import Cache, CachedVersion, Lineup
from evergreen.serving.handles import ServedModel
from evergreen.settings import Settings
from evergreen.store.ledger import Ledger
from evergreen.store.poll import Poll

log = logging.getLogger("evergreen.follow")

POLL_SECONDS = 1.0
_LOOK_AGAIN = timedelta(minutes=10)
# After something went wrong: the registry is down, or a version does not load.
_TRY_AGAIN = timedelta(seconds=30)


class LoadedModels(Protocol):
    """Where requests find who answers them."""

    def swap(self, model: ServedModel) -> None:
        """Let another version answer from the next request on, in its role."""

    def withdraw(self, model: ServedModel) -> None:
        """Take a version off."""


@dataclass(frozen=True)
class Followed:
    """How following goes: when the registry was asked last, and what is wrong now, if anything is.

    `refused` is the version that stays out because it failed, None where the newest one serves.
    """

    checked_at: datetime | None = None
    problem: str = ""
    refused: int | None = None
    swaps: int = 0
    store_answers: bool = True


@dataclass
class Follower:
    """Follows one model. `load` makes a served model of a cached version, or raises; `fetch` fills the cache."""

    model: str
    settings: Settings
    loaded: LoadedModels
    load: Callable[[Path, CachedVersion], ServedModel]
    fetch: Callable[[str], None]
    clock: Callable[[], datetime]
    state: Followed = field(default_factory=Followed)
    _serving: str = ""
    _challenger: ServedModel | None = None
    _asked: tuple[int, int | None] | None = None  # reign and trial at the last look into the registry
    _next: datetime | None = None
    _failures: int = 0

    def start(self) -> None:
        """Serve who reigns: from the cache, or else fetched. Where fetching fails, what the cache holds serves, and
        `state` says so. Raises EvergreenError where nothing can be served.
        """
        if self.resume():
            return
        why = self._fetch()
        lineup = self._cache.lineup()
        if lineup is None or not self._take(lineup):
            raise EvergreenError(why or self.state.problem or f"{self.model}: there is nothing to serve")
        self._asked, self._next = _token(lineup), self.clock() + (_TRY_AGAIN if why else _LOOK_AGAIN)
        if why:
            self.state = replace(self.state, problem=why)

    def resume(self) -> bool:
        """Serve what the cache holds, without asking the registry; False where it holds nothing that can be served, and
        where the store says that somebody else reigns by now.
        """
        lineup = self._cache.lineup()
        if lineup is None or self._is_over(lineup) or not self._take(lineup):
            return False
        self._asked, self._next = _token(lineup), self.clock() + _LOOK_AGAIN
        return True

    def follow(self, stop: threading.Event, poll_seconds: float = POLL_SECONDS) -> None:
        """Look again and again until `stop` is set. Nothing that goes wrong ends it: the old version serves on."""
        while not stop.wait(poll_seconds):
            try:
                self.look()
            except Exception as error:
                log.exception("follow      %s: this should not have happened", self.model)
                self.state = replace(self.state, problem=f"{type(error).__name__}, see the log")
        self._poll.close()

    def look(self) -> bool:
        """Look once; True where another version was swapped in. From one thread, and never before a fork."""
        now = self.clock()
        try:
            asked = self._poll.ask(self.model)
        except EvergreenError as error:
            if self.state.store_answers:
                log.warning("follow      %s: %s", self.model, error)
            self.state = replace(self.state, store_answers=False)
            return False
        self.state = replace(self.state, store_answers=True)
        if self._challenger is not None and asked[1] != self._challenger.decision:
            # A trial that is over ends with the next request, whatever the registry does.
            self._dismiss()
        if asked == self._asked and self._next is not None and now < self._next:
            return False
        if asked != self._asked:
            self._failures = 0
        self._asked = asked
        return self._refresh(now)

    def _is_over(self, lineup: Lineup) -> bool:
        """True where another reign has begun; False also where the store does not say."""
        try:
            return Ledger(self.settings.store_url).fence(self.model) != lineup.fence
        except EvergreenError as error:
            log.warning("follow      %s: %s; the cache is served", self.model, error)
            return False

    @cached_property
    def _poll(self) -> Poll:
        return Poll(self.settings.store_url)

    @property
    def _cache(self) -> Cache:
        return Cache(self.settings.home, self.model)

    def _refresh(self, now: datetime) -> bool:
        before, self._next = self._serving, now + _TRY_AGAIN
        if self._fetch():
            return False
        lineup = self._cache.lineup()
        if lineup is None or not self._take(lineup):
            # What failed is rarely better in a moment: asked at ever longer intervals, until something changes.
            self._next = now + min(_LOOK_AGAIN, _TRY_AGAIN * 2**self._failures)
            self._failures += 1
            return False
        self._next, self._failures = now + _LOOK_AGAIN, 0
        return self._serving != before

    def _fetch(self) -> str:
        """Fill the cache; why that failed, empty where it did not."""
        try:
            self.fetch(self.model)
        except EvergreenError as error:
            log.warning("follow      %s: %s", self.model, error)
            self.state = replace(self.state, problem=str(error))
            return str(error) or type(error).__name__
        return ""

    def _take(self, lineup: Lineup) -> bool:
        """Let the line-up serve; False where its champion fails, and whoever served goes on."""
        cached, swaps = lineup.champion, self.state.swaps
        if cached.digest != self._serving:
            served = self._load(cached)
            if served is None:
                return False
            self.loaded.swap(served)
            log.info("swap        %s serves", served.title)
            swaps += bool(self._serving)
            self._serving = cached.digest
        self.state = Followed(lineup.checked_at, swaps=swaps)
        self._try(lineup.challenger)
        return True

    def _try(self, cached: CachedVersion | None) -> None:
        """Put a challenger beside the champion, or none; one that fails is told of and keeps nobody from anything."""
        if cached is None or (self._challenger is not None and self._challenger.decision != cached.decision):
            self._dismiss()
        if cached is None or self._challenger is not None:
            return
        served = self._load(cached)
        if served is not None:
            self.loaded.swap(served)
            self._challenger = served
            log.info("canary      %s is tried", served.title)

    def _dismiss(self) -> None:
        if self._challenger is not None:
            self.loaded.withdraw(self._challenger)
            log.info("canary      %s is tried no more", self._challenger.title)
            self._challenger = None

    def _load(self, cached: CachedVersion) -> ServedModel | None:
        """A version, ready; None where it fails. Files that are damaged are fetched anew before it is tried again."""
        try:
            return self.load(self._cache.version_folder(cached.digest), cached)
        except EvergreenError as error:
            why = str(error)
        except Exception as error:
            log.exception("swap        version %d of %s", cached.version, self.model)
            why = f"{type(error).__name__}: {error}"
        if self._cache.is_damaged(cached.digest):
            self._cache.forget(cached.digest)
        problem = f"version {cached.version} stays out: {why}"
        log.error("swap        %s: %s", self.model, problem)
        self.state = replace(self.state, problem=problem, refused=cached.version)
        return None


def _token(lineup: Lineup) -> tuple[int, int | None]:
    return lineup.fence, None if lineup.challenger is None else lineup.challenger.decision
