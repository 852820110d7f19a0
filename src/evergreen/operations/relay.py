"""The relay: takes facts out of the outbox and tells each once on every channel that wants it."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from evergreen.operations.channels import Channel, notification_channels, prefect_channel
from evergreen.operations.specs import Specs
from evergreen.orchestrator.api import PrefectApi
from evergreen.settings import Settings
from evergreen.store.facts import Fact
from evergreen.store.outbox import Outbox

KEPT = timedelta(days=3)
"""How long a fact is tried for. Older ones are no news any more."""

# Facts that are looked for, so that those which grew old unsent are named once.
_LOOKED_BACK = timedelta(days=30)
# Longer than one pass takes over a channel whose receiver answers slowly.
_LEASE = timedelta(minutes=5)
_AT_ONCE = 20
_PAGE = 1000
_SHORTEST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)


def relay(
    specs: Specs, settings: Settings, api: PrefectApi | None, environ: Mapping[str, str], now: datetime
) -> list[str]:
    """Tell what is due on every channel; a line for each fact that was told, and one for each channel in trouble."""
    channels, lines = notification_channels(specs, settings, environ)
    if api is not None:
        channels.insert(0, prefect_channel(api))
    outbox = Outbox(settings.store_url)
    return lines + [line for channel in channels for line in deliver(channel, outbox, now)]


def deliver(channel: Channel, outbox: Outbox, now: datetime) -> list[str]:
    """Send what is due, oldest first, until something does not go through: the next pass goes on from there."""
    due = outbox.due(channel.name, channel.kinds, now, now - _LOOKED_BACK, _PAGE)
    wanted = [fact for fact in due if channel.wants(fact)]
    lines = _drop_old([fact for fact in wanted if now - fact.at > KEPT], channel, outbox, now)
    for fact in [fact for fact in wanted if now - fact.at <= KEPT][:_AT_ONCE]:
        if not outbox.claim(fact, channel.name, now, _LEASE):
            continue
        problem = channel.send(fact)
        if problem is None:
            outbox.delivered(fact, channel.name, now)
            lines.append(f"relay: {channel.name} is told {_named(fact)}")
        else:
            again = retry_at(fact.at, now)
            outbox.failed(fact, channel.name, now, problem, again)
            how = f"tried again at {again:%H:%M} UTC" if again else f"given up after {KEPT.days} days"
            return [*lines, f"relay: {channel.name} is not told {_named(fact)} ({problem}); {how}"]
    return lines


def retry_at(since: datetime, now: datetime) -> datetime | None:
    """When to try again to tell what happened at `since`: after as long again, so that pauses double, up to an hour.

    None once it would be older than news are.

    >>> from datetime import UTC
    >>> six = datetime(2026, 11, 16, 6, tzinfo=UTC)
    >>> [str(retry_at(six, six + timedelta(minutes=m)).time()) for m in (0, 4, 300)]
    ['06:00:30', '06:08:00', '12:00:00']
    """
    again = now + min(max(now - since, _SHORTEST_PAUSE), _LONGEST_PAUSE)
    return again if again - since <= KEPT else None


def _drop_old(old: list[Fact], channel: Channel, outbox: Outbox, now: datetime) -> list[str]:
    for fact in old:
        outbox.failed(fact, channel.name, now, f"older than {KEPT.days} days", None)
    count = f"{len(old)} facts" if len(old) > 1 else "a fact"
    return [f"relay: {channel.name} is not told {count} of before {now - KEPT:%Y-%m-%d %H:%M} UTC"] if old else []


def _named(fact: Fact) -> str:
    return f"{fact.model} {fact.kind.value} ({fact.key})"
