"""Rows that are not to be learnt from nor judged by: those of windows in which the feed was broken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evergreen.store.traffic import Written
from evergreen.store.window import LATE, Window


@dataclass(frozen=True)
class Held:
    """Predictions from `since` on and before `until`; with `written`, those of them that were written then."""

    since: datetime
    until: datetime
    written: Written | None = None


def held(windows: Sequence[Window], since: datetime, until: datetime) -> tuple[Held, ...]:
    """What windows in quarantine, in order of time, hold of a time at least; no row of it is held twice.

    That is the time of each (those that follow each other without a gap are one), whenever its rows were written, and
    the late rows that it was judged by, as far as they are of no such time.
    """
    times: list[Held] = []
    for window in windows:
        follows = bool(times) and times[-1].until == window.since
        times.append(Held(times.pop().since if follows else window.since, window.until))
    late = [each for window in windows for each in _late(window, times)]
    return tuple(each for each in (*times, *late) if each.until > since and each.since < until)


def in_quarantine(answers: Any, held: Sequence[Held]) -> Any:
    """Which of captured answers (an Arrow table with `at` and `written_at`) are held: a mask."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array([False] * answers.num_rows, pa.bool_())
    for each in held:
        rows = _from(answers["at"], each.since, each.until)
        if each.written is not None:
            rows = pc.and_(rows, _from(answers["written_at"], each.written.since, each.written.before))
        found = pc.or_(found, rows)
    return found


def _late(window: Window, times: Sequence[Held]) -> list[Held]:
    if not window.late or window.late_since is None or window.settled is None:
        return []
    written, begin, found = Written(window.settled, window.late_since), window.since - LATE, []
    for time in times:
        if time.since >= window.since:
            break
        if begin < time.since:
            found.append(Held(begin, time.since, written))
        begin = max(begin, min(time.until, window.since))
    return [*found, Held(begin, window.since, written)] if begin < window.since else found


def _from(moments: Any, since: datetime | None, until: datetime) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    before = pc.less(moments, pa.scalar(until, pa.timestamp("us", "UTC")))
    if since is None:
        return before
    return pc.and_(before, pc.greater_equal(moments, pa.scalar(since, pa.timestamp("us", "UTC"))))
