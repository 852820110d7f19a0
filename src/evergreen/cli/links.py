"""The links of the loop, one after the other: each is waited for, and said."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from evergreen.gate.decision import DecisionKind, Reason
from evergreen.settings import Settings
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.window import SignalKind, Verdict, Window
from evergreen.store.windows import Windows

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.simulation.caller import Caller

T = TypeVar("T")

_LOOK_SECONDS = 0.5
_MOST_WINDOWS = 200


class _Open(Exception):  # noqa: N818 - a link that did not close is no error of the program
    """A link did not close in time."""


@dataclass
class Links:
    """Watches the store of the loop's home until everything that shall happen has, or the time is up.

    `begun` and `deadline` are moments of the monotonic clock. `broken` is why the traffic ended, where it did.
    """

    settings: Settings
    model: str
    caller: "Caller"
    console: "Console"
    begun: float
    deadline: float
    broken: str = ""

    def close(self, quiet_windows: int) -> bool:
        """True where every link closed; what happened is printed link by link."""
        try:
            self._close(quiet_windows)
        except _Open as open_link:
            self._say("✗", f"{open_link}", "bold red")
            return False
        self._say("✓", "the loop is closed", "bold green")
        return True

    def _close(self, quiet_windows: int) -> None:
        first = self._await("the first answer", self._answering)
        self._done(f"version {first} is trained, promoted and answers")
        self._await(f"{quiet_windows} quiet windows", lambda: len(self._calm()) >= quiet_windows)
        self._require_calm()
        self._done(f"{len(self._calm())} windows of traffic without a drift: nothing is asked for")
        self.caller.drifting, since = True, datetime.now(UTC)
        self._done(f"from now on live rows drift: {self.caller.plan.drift.replace('_', ' ')}")
        alarm = self._await("a window that asks for a retraining", lambda: self._alarm(since))
        self._done(f"monitoring sees it: {'; '.join(alarm.reasons)}")
        run = self._await("the retraining that the alert starts", lambda: self._decided(since, None))
        self._done(f"Prefect ran retrain for reason {run.reason}: {run.kind}, {'; '.join(run.reasons)}")
        promoted = self._await("a challenger that is promoted", lambda: self._decided(since, DecisionKind.PROMOTE))
        self._done(f"version {promoted.version} is promoted")
        second = promoted.version or 0
        self._await("serving that swaps", lambda: self.caller.sent.versions[second] or None)
        self._require_unbroken()
        self._done(f"serving answers with version {second}; {self.caller.sent.rows:,} rows answered, none failed")
        healed = self._await("a window in which the loss is back", lambda: self._healed(second, alarm))
        realised = healed.signal(SignalKind.REALISED)
        self._done(f"performance recovers: {realised.why if realised else ''}")

    def _answering(self) -> int | None:
        return next(iter(self.caller.sent.versions), None)

    def _windows(self) -> tuple[Window, ...]:
        return Windows(self.settings.store_url).last(self.model, _MOST_WINDOWS)

    def _calm(self) -> list[Window]:
        return [window for window in self._windows() if window.verdict is Verdict.QUIET]

    def _alarm(self, since: datetime) -> Window | None:
        found = [w for w in self._windows() if w.until > since and w.verdict is Verdict.RETRAIN]
        return min(found, key=lambda window: window.until, default=None)

    def _decided(self, since: datetime, kind: DecisionKind | None) -> LedgerEntry | None:
        entries = Ledger(self.settings.store_url).entries(self.model, _MOST_WINDOWS)
        asked = (Reason.DRIFT, Reason.PERFORMANCE)
        found = [e for e in entries if e.decided_at > since and e.reason in asked and kind in (None, e.kind)]
        return found[-1] if found else None

    def _healed(self, version: int, alarm: Window) -> Window | None:
        """A window of the new version in whose loss nothing is wrong, and that is below what raised the alarm."""
        alarming = alarm.signal(SignalKind.REALISED)
        limit = alarming.lower if alarming is not None and alarming.raised else None
        for window in self._windows():
            loss = window.signal(SignalKind.REALISED)
            if window.version != version or loss is None or loss.raised or loss.value is None:
                continue
            if limit is None or loss.value < limit:
                return window
        return None

    def _require_calm(self) -> None:
        wrong = [w for w in self._windows() if w.verdict in (Verdict.RETRAIN, Verdict.QUARANTINE)]
        if wrong:
            raise _Open(f"a window alarmed before anything drifted: {'; '.join(wrong[0].reasons)}")

    def _require_unbroken(self) -> None:
        if self.caller.sent.failed:
            raise _Open(f"{self.caller.sent.failed} rows got no answer: {self.caller.sent.problem}")

    def _await(self, what: str, look: Callable[[], T | None]) -> T:
        with self.console.status(f"waiting for {what}"):
            while time.monotonic() < self.deadline:
                if self.broken:
                    raise _Open(f"the traffic ended: {self.broken}")
                if found := look():
                    return found
                time.sleep(_LOOK_SECONDS)
        raise _Open(f"in time there was not: {what}")

    def _done(self, text: str) -> None:
        self._say("✓", text, "green")

    def _say(self, mark: str, text: str, style: str) -> None:
        seconds = time.monotonic() - self.begun
        self.console.print(f"{seconds:6.0f} s  {mark} {text}", style=style, markup=False, highlight=False)
