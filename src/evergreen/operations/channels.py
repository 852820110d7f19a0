"""The channels that facts are told on: events of Prefect, and what the specs name under `notify`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from evergreen import notify
from evergreen.drift.alert import EVENT
from evergreen.errors import UnavailableError
from evergreen.operations.specs import Specs
from evergreen.orchestrator.api import PrefectApi, Refused
from evergreen.orchestrator.names import model_resource
from evergreen.settings import Settings
from evergreen.spec.model import ModelSpec, Notify
from evergreen.store.canary import Canaries
from evergreen.store.facts import Fact, FactKind
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Kinds

PREFECT = "prefect"
"""The channel of events."""

DEGRADED = "evergreen.performance.degraded"
"""The event of a champion that answers worse than it did."""

_EVENTS = {FactKind.DRIFT: EVENT, FactKind.PERFORMANCE: DEGRADED}

TOLD = frozenset(FactKind) - {FactKind.NOTE}


@dataclass(frozen=True)
class Channel:
    """Where facts go: `wanted` kinds by model, None for all of every model; `send` returns the problem, if any."""

    name: str
    wanted: Mapping[str, frozenset[FactKind]] | None
    send: Callable[[Fact], str | None]

    @property
    def kinds(self) -> frozenset[FactKind]:
        """Every kind that some model tells here."""
        return TOLD if self.wanted is None else frozenset[FactKind]().union(*self.wanted.values())

    @property
    def chosen(self) -> Kinds:
        """What the outbox is asked for: what nobody wants would fill its pages and hide what is wanted."""
        return TOLD if self.wanted is None else self.wanted


def prefect_channel(api: PrefectApi) -> Channel:
    """Every fact as an event, which automations can react to; drift and performance start a retraining in this way."""

    def post(fact: Fact) -> str | None:
        try:
            api.post_events([event(fact)])
        except (UnavailableError, Refused) as error:
            return str(error)
        return None

    return Channel(PREFECT, None, post)


def notification_channels(
    specs: Specs, settings: Settings, environ: Mapping[str, str]
) -> tuple[list[Channel], list[str]]:
    """The channels of all specs, those with one kind and variable as one, and a line for each without an address."""
    known: dict[str, Notify] = {}
    wanted: dict[str, dict[str, frozenset[FactKind]]] = {}
    for spec in specs.values():
        for entry in spec.notify:
            name = f"{entry.kind}:{entry.url_env}"
            known[name] = entry
            told = wanted.setdefault(name, {})
            told[spec.model] = told.get(spec.model, frozenset()) | frozenset(map(FactKind, entry.on))
    ledger, files = Ledger(settings.store_url), {spec.model: name for name, spec in specs.items()}

    def channel(name: str, entry: Notify) -> Channel:
        def send(fact: Fact) -> str | None:
            name = files[fact.model]
            return notify.send(entry, with_answer(with_spec(fact, name), specs[name], ledger), environ)

        return Channel(name, wanted[name], send)

    ready = {name: entry for name, entry in known.items() if notify.is_ready(entry, environ)}
    missing = [f"relay: {n} has no address: {e.url_env} is not set" for n, e in known.items() if n not in ready]
    return [channel(name, entry) for name, entry in ready.items()], missing


def event(fact: Fact) -> dict[str, object]:
    """A fact as Prefect's API takes events. The same fact has the same id, which the server takes in once."""
    return {
        "id": str(fact.id),
        "occurred": fact.at.isoformat(),
        "event": _EVENTS.get(fact.kind, f"evergreen.model.{fact.kind.value}"),
        "resource": {"prefect.resource.id": model_resource(fact.model), "prefect.resource.name": fact.model},
        "payload": fact.payload,
    }


def with_spec(fact: Fact, name: str) -> Fact:
    """A fact with the name of its model's spec, which commands take."""
    return replace(fact, payload={**fact.payload, "spec": name})


def with_answer(fact: Fact, spec: ModelSpec, ledger: Ledger) -> Fact:
    """A HELD fact with what has come of it: whether it is tried, or a person can answer it still, and until when."""
    decision = fact.payload.get("decision")
    if fact.kind is not FactKind.HELD or not isinstance(decision, int):
        return fact
    if ledger.resolution(decision) is not None:
        return replace(fact, payload={**fact.payload, "answer": "answered"})
    if decision not in {entry.id for entry in ledger.pending(fact.model)}:
        return replace(fact, payload={**fact.payload, "answer": "none"})
    if trial := next((t for t in Canaries(ledger.url).open(fact.model) if t.decision_id == decision), None):
        told = {"answer": "tried", "until": trial.due.isoformat(), "on_timeout": trial.rules.on_timeout}
        return replace(fact, payload={**fact.payload, **told})
    until = (fact.at + spec.promotion.approve_within).isoformat()
    return replace(fact, payload={**fact.payload, "answer": "waiting", "until": until})
