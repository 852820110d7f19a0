"""The relay: takes facts out of the outbox and tells each once on every channel that wants it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from evergreen.operations.channels import PREFECT, Channel, notification_channels, prefect_channel
from evergreen.operations.specs import Specs
from evergreen.orchestrator.api import PrefectApi
from evergreen.settings import Settings
from evergreen.store.facts import Fact, FactKind
from evergreen.store.outbox import Outbox

KEPT = timedelta(days=3)
"""How long a fact is tried for. Older ones are no news any more."""

ALERTS_KEPT = timedelta(days=30)
"""How long Prefect is told of what starts a retraining: it is work to be done, which no outage of days must lose."""

# Facts that are looked for, so that those which grew old unsent are named once.
_LOOKED_BACK = timedelta(days=60)
# Longer than one message takes whose receiver answers slowly; each has its own.
_LEASE = timedelta(minutes=5)
_AT_ONCE = 20
_PAGE = 1000
_SHORTEST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)


@dataclass(frozen=True)
class Pace:
    """The time while a pass goes on, that of its start where there is no clock; and whether it is to end early."""

    clock: Callable[[], datetime] | None = None
    stopped: Callable[[], bool] = lambda: False


NO_HASTE = Pace()
"""A pass that takes no time and goes to its end."""


def relay(
    specs: Specs,
    settings: Settings,
    api: PrefectApi | None,
    environ: Mapping[str, str],
    now: datetime,
    pace: Pace = NO_HASTE,
) -> list[str]:
    """Tell what is due on every channel; a line for each fact that was told, and one for each channel in trouble."""
    channels, lines = notification_channels(specs, settings, environ)
    if api is not None:
        channels.insert(0, prefect_channel(api))
    outbox = Outbox(settings.store_url)
    return lines + [line for channel in channels for line in deliver(channel, outbox, now, pace)]


def deliver(channel: Channel, outbox: Outbox, now: datetime, pace: Pace = NO_HASTE) -> list[str]:
    """Send what is due, oldest first, until something does not go through: the next pass goes on from there."""
    wanted = outbox.due(channel.name, channel.chosen, now, now - _LOOKED_BACK, _PAGE)
    lines = _drop_old([fact for fact in wanted if now - fact.at > kept(channel, fact)], channel, outbox, now)
    for fact in [fact for fact in wanted if now - fact.at <= kept(channel, fact)][:_AT_ONCE]:
        if pace.stopped():
            break
        line, went_through = _tell(fact, channel, outbox, pace.clock or (lambda: now))
        lines += [line] if line else []
        if not went_through:
            break
    return lines


def kept(channel: Channel, fact: Fact) -> timedelta:
    """How long a fact is tried for on a channel."""
    starts = fact.kind in (FactKind.DRIFT, FactKind.PERFORMANCE)
    return ALERTS_KEPT if channel.name == PREFECT and starts else KEPT


def retry_at(since: datetime, now: datetime, within: timedelta = KEPT) -> datetime | None:
    """When to try again to tell what happened at `since`: after as long again, so that pauses double, up to an hour.

    None once it would be older than it is told `within`.

    >>> from datetime import UTC
    >>> six = datetime(2026, 11, 16, 6, tzinfo=UTC)
    >>> [str(retry_at(six, six + timedelta(minutes=m)).time()) for m in (0, 4, 300)]
    ['06:00:30', '06:08:00', '12:00:00']
    """
    again = now + min(max(now - since, _SHORTEST_PAUSE), _LONGEST_PAUSE)
    return again if again - since <= within else None


def _tell(fact: Fact, channel: Channel, outbox: Outbox, clock: Callable[[], datetime]) -> tuple[str | None, bool]:
    """A line on what was done, if anything was, and whether the channel is fit for more."""
    if not outbox.claim(fact, channel.name, clock(), _LEASE):
        return None, True
    problem, now = channel.send(fact), clock()
    if problem is None:
        outbox.delivered(fact, channel.name, now)
        return f"relay: {channel.name} is told {_named(fact)}", True
    within = kept(channel, fact)
    again = retry_at(fact.at, now, within)
    outbox.failed(fact, channel.name, now, problem, again)
    how = f"tried again at {again:%H:%M} UTC" if again else f"given up after {within.days} days"
    return f"relay: {channel.name} is not told {_named(fact)} ({problem}); {how}", False


def _drop_old(old: list[Fact], channel: Channel, outbox: Outbox, now: datetime) -> list[str]:
    for fact in old:
        outbox.failed(fact, channel.name, now, f"older than {kept(channel, fact).days} days", None)
    count, newest = f"{len(old)} facts" if len(old) > 1 else "a fact", max((fact.at for fact in old), default=now)
    return [f"relay: {channel.name} is not told {count} of {newest:%Y-%m-%d %H:%M} UTC and before"] if old else []


def _named(fact: Fact) -> str:
    return f"{fact.model} {fact.kind.value} ({fact.key})"
