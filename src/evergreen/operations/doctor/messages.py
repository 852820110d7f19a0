"""What people are to be told: whether it goes out, and who sees to that."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from evergreen.operations.channels import PREFECT, Channel, notification_channels
from evergreen.operations.doctor.finding import Finding, asked, fine, unknown, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.operations.doctor.project import readable_specs
from evergreen.operations.doctor.server import chosen_server
from evergreen.operations.relay import ALERTS_KEPT, kept
from evergreen.store.facts import Fact
from evergreen.store.health import read_state as read_store
from evergreen.store.outbox import Outbox
from evergreen.store.tables import HEAD
from evergreen.supervisor.processes import birth
from evergreen.supervisor.state import read_state, up_folder

MESSAGES, TEND = "messages", "tend"
_LONGEST_WAIT = timedelta(days=30)
_PAGE = 1000


def look_at_messages(patient: Patient) -> Iterator[Finding]:
    """The process that empties the outbox, and what waits there."""
    yield asked(TEND, lambda: _look_at_tend(patient))
    yield asked(MESSAGES, lambda: _look_at_outbox(patient))


def judge_messages(waiting: Mapping[str, Sequence[Fact]]) -> Finding:
    """Facts that wait for too long, by channel."""
    late = {channel: facts for channel, facts in waiting.items() if facts}
    if not late:
        return fine(MESSAGES, "none waits for long")
    parts = [f"{len(facts)} on {channel}, since {facts[0].at:%Y-%m-%d %H:%M} UTC" for channel, facts in late.items()]
    return wrong(MESSAGES, f"not delivered: {'; '.join(parts)}", "evergreen tend says what keeps them")


def _look_at_outbox(patient: Patient) -> Finding:
    url = patient.settings.store_url
    state = read_store(url)
    if state is None or state.revision is None:
        return fine(MESSAGES, "nothing yet")
    if state.revision != HEAD:
        return unknown(MESSAGES, "not read before the store is migrated")
    now, outbox = patient.clock(), Outbox(url)
    # As of much later, what was claimed or is to be tried again counts as well.
    later, since, late = now + _LONGEST_WAIT, now - ALERTS_KEPT, now - patient.bounds.undelivered
    return judge_messages(
        {
            channel.name: [
                fact
                for fact in outbox.due(channel.name, channel.chosen, later, since, _PAGE)
                if now - kept(channel, fact) <= fact.at <= late
            ]
            for channel in _channels(patient)
        }
    )


def _channels(patient: Patient) -> list[Channel]:
    models = {spec.model: spec for spec in readable_specs(patient.settings.configs)[0]}
    named, _ = notification_channels(models, patient.settings, patient.environ)
    events = [Channel(PREFECT, None, lambda _: None)] if chosen_server(patient) else []
    return [*events, *named]


def _look_at_tend(patient: Patient) -> Finding:
    home = patient.settings.home
    up = read_state(home)
    if up is None:
        return fine(TEND, "not run by evergreen up here; messages that wait would tell")
    pid = up.children.get(TEND)
    if pid is None or birth(pid) is None:
        return wrong(TEND, "evergreen up runs, and its tend does not", f"read {up_folder(home) / 'logs' / 'tend.log'}")
    return fine(TEND, "alive")
