"""Does everything that production rests on still say the same: ledger, aliases, artifacts, snapshots, tracking?"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from evergreen.errors import IntegrityError, UserError
from evergreen.gate.decision import DecisionKind
from evergreen.registry import provenance as tag
from evergreen.registry.handles import Champion
from evergreen.registry.versions import PREVIOUS, Registry
from evergreen.settings import Settings
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.settle import find_stranger
from evergreen.store.entry import Intention, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.turn import holder

_RESTORE = "restore it from the backup; roll back if it is champion"
_EVERY = 1_000_000
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Problem:
    """Something that does not agree. `model` is empty for the ledger as a whole; `do` is the next step."""

    model: str
    what: str
    do: str


@dataclass(frozen=True)
class Audit:
    """What was looked at, and what of it is wrong."""

    problems: tuple[Problem, ...]
    models: int
    decisions: int
    artifacts: int

    @property
    def clean(self) -> bool:
        """True where nothing is wrong."""
        return not self.problems


def audit(settings: Settings, model: str | None = None) -> Audit:
    """Verify the chain of the ledger, and of one model or all: aliases, versions, artifacts, snapshots, runs.

    Changes nothing. Raises UnavailableError where store or registry do not answer, which says nothing about them.
    """
    ledger, registry = Ledger(settings.store_url), registry_of(settings)
    models = ledger.models() if model is None else (model,)
    problems = [Problem("", what, "restore the store from its backup") for what in ledger.verify()]
    decisions = artifacts = 0
    for name in models:
        entries = ledger.entries(name, limit=_EVERY)
        decisions += len(entries)
        problems += _aliases(ledger, registry, name)
        problems += _unfinished(ledger, name)
        problems += _runs(settings, name)
        for number in registry.versions(name):
            artifacts += 1
            problems += _version(registry.version(name, number), entries, ledger.intended(name), settings)
        problems += _gone(ledger, registry, name)
    return Audit(tuple(problems), len(models), decisions, artifacts)


def _aliases(ledger: Ledger, registry: Registry, model: str) -> Iterator[Problem]:
    if stranger := find_stranger(ledger, registry, model):
        what, _, do = stranger.partition("; ")
        yield Problem(model, what, do)
    previous = registry.aliases(model).get(PREVIOUS)
    if previous is not None and previous not in {crown.version for crown in ledger.history(model)}:
        yield Problem(model, f"alias previous points at version {previous}, which never was champion", "remove it")


def _unfinished(ledger: Ledger, model: str) -> Iterator[Problem]:
    for entry in ledger.unfinished(model):
        what = f"decision {entry.id} promotes version {entry.version} and has not taken effect"
        yield Problem(model, what, f"evergreen reconcile {model}, or the next run, finishes or withdraws it")


def _runs(settings: Settings, model: str) -> Iterator[Problem]:
    # A dry run takes no turn: nobody can tell here whether it lives.
    running = tracking_of(settings).running(model, dry_since=_EVER)
    if running and holder(settings.store_url, model) is None:
        what = f"MLflow calls {len(running)} runs running, and nobody is training ({', '.join(running[:3])})"
        yield Problem(model, what, f"evergreen reconcile {model}, or the next run, closes them")


def _version(
    found: Champion, entries: tuple[LedgerEntry, ...], intended: tuple[Intention, ...], settings: Settings
) -> Iterator[Problem]:
    from evergreen.registry.model import load

    name = f"version {found.version}"
    known = {entry.model_digest for entry in entries if entry.version == found.version}
    if not known:
        # Held without being registered, and registered since; or registered by a run that died before it decided.
        known = {entry.model_digest for entry in entries if entry.version is None} & {found.digest}
        known |= {found.digest for i in intended if i.training_key == found.tags.get(tag.TRAINING_KEY)}
    if not known:
        what = f"{name} is in the registry and no decision speaks of it"
        yield Problem(found.model, what, "nothing loads it; delete it")
        return
    if found.digest not in known:
        yield Problem(found.model, f"{name} names another artifact than the ledger does", _RESTORE)
        return
    try:
        load(tracking_of(settings), found.source, found.digest)
    except (IntegrityError, UserError) as error:
        yield Problem(found.model, f"{name}: {error}", _RESTORE)
    yield from _snapshot(found, entries, settings)


def _snapshot(found: Champion, entries: tuple[LedgerEntry, ...], settings: Settings) -> Iterator[Problem]:
    """The data that a champion was trained on: without it, it cannot be reproduced."""
    from evergreen.data.load import verify_digest

    promoted = any(e.kind is DecisionKind.PROMOTE and e.version == found.version for e in entries)
    digest = found.tags.get(tag.SNAPSHOT)
    if not promoted or not digest:
        return
    try:
        verify_digest(f"{settings.snapshots.rstrip('/')}/{digest}.parquet", digest)
    except IntegrityError as error:
        yield Problem(found.model, f"version {found.version}: {error}", "restore it, or it cannot be reproduced")


def _gone(ledger: Ledger, registry: Registry, model: str) -> Iterator[Problem]:
    crowns = ledger.history(model)
    there = set(registry.versions(model))
    for crown in crowns[-2:]:
        if crown.version not in there:
            yield Problem(model, f"version {crown.version}, champion since {_day(crown.at)}, is gone", _RESTORE)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
