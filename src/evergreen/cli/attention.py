"""What of the state of things needs a person: held decisions, pins, a champion that nobody can explain."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape

from evergreen.errors import EvergreenError
from evergreen.settings import Settings
from evergreen.spec import ModelSpec
from evergreen.store.canary import Canaries, CanaryState
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pin, Pins
from evergreen.store.pruned import PrunedLog
from evergreen.store.standing import standing


def show_attention(console: Console, specs: Sequence[ModelSpec], ledger: Ledger, settings: Settings) -> None:
    """Print what waits for a person and what a person should know; nothing where there is nothing."""
    pins = {spec.model: Pins(settings.store_url).pinned(spec.model) for spec in specs}
    lines = [line for s in specs for line in (*_waiting(s, ledger, pins[s.model]), *_pinned(pins[s.model]))]
    lines += [line for spec in specs for line in _no_way_back(spec.model, ledger)]
    for line in (*lines, *_strangers(specs, ledger, settings)):
        console.print(line, highlight=False, soft_wrap=True)


def _waiting(spec: ModelSpec, ledger: Ledger, pin: Pin | None) -> Iterator[str]:
    trials = {trial.decision_id: trial for trial in Canaries(ledger.url).history(spec.model)}
    for entry in ledger.pending(spec.model):
        trial = trials.get(entry.id or 0)
        if trial is not None and trial.state is not CanaryState.ENDED:
            times = f"since {trial.since:%Y-%m-%d %H:%M}, until {trial.due:%Y-%m-%d %H:%M} UTC at the latest"
            yield f"\n[yellow]decision {entry.id}[/] on {spec.model} is tried on real requests {times}"
            yield f"  evergreen canary {spec.model} shows how it does; evergreen reject {entry.id} --why … ends it"
            continue
        since = trial.until if trial is not None and trial.until else entry.decided_at
        until = since + spec.promotion.approve_within
        times = f"since {since:%Y-%m-%d %H:%M}, until {until:%Y-%m-%d %H:%M} UTC"
        yield f"\n[yellow]decision {entry.id}[/] on {spec.model} waits for a person {times}"
        yield f"  {escape('; '.join(entry.reasons))}"
        once = "; approving takes evergreen unpin first" if pin else ""
        yield f"  {_how(entry, ledger)}{once}"


def _no_way_back(model: str, ledger: Ledger) -> Iterator[str]:
    """A rollback without a target goes back to the champion before; after several, that one may have been pruned."""
    crowns, rollbacks = ledger.history(model), ledger.rollbacks(model)
    before = standing((crown.version, crown.decision_id in rollbacks) for crown in crowns)[-2:-1]
    for version in before:
        if note := PrunedLog(ledger.url).version(model, version):
            yield f"\n[yellow]{model} has no champion to go back to[/]: version {version} was {escape(note.said)}"
            yield f"  evergreen history {model} names others, for evergreen rollback {model} --to … --why …"


def _how(entry: LedgerEntry, ledger: Ledger) -> str:
    from evergreen.stages.held import has_left

    crowns = ledger.history(entry.model)
    champion = crowns[-1].version if crowns else None
    if champion != entry.champion_before or has_left(entry, ledger):
        return f"the champion has changed since: evergreen run {entry.model} --force, or evergreen reject {entry.id}"
    return f"evergreen approve {entry.id} --why …   or   evergreen reject {entry.id} --why …"


def _pinned(pin: Pin | None) -> Iterator[str]:
    if pin is not None:
        since = f"by {escape(pin.by)} since {pin.at:%Y-%m-%d %H:%M} UTC"
        yield f"\n[yellow]{pin.model} is pinned[/] {since}: {escape(pin.why)}"
        yield f"  evergreen unpin {pin.model} --why …"


def _strangers(specs: Sequence[ModelSpec], ledger: Ledger, settings: Settings) -> Iterator[str]:
    crowned = {spec.model: spec.promotion.moved_by_hand for spec in specs if ledger.history(spec.model)}
    file = settings.tracking_file
    # Looking must not create a database.
    if not crowned or (file is not None and not file.exists()):
        return
    from evergreen.stages.open import registry_of
    from evergreen.stages.settle import find_stranger

    registry = registry_of(settings)
    try:
        odd = [odd for model in crowned if (odd := find_stranger(ledger, registry, model, crowned[model]))]
    except EvergreenError as error:
        yield f"\n[red]whether the registry agrees with the ledger is not known[/]: {escape(str(error))}"
        return
    yield from (f"\n[red]{escape(stranger)}[/]" for stranger in odd)
