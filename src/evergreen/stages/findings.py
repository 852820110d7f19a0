"""What is looked at in an audit of one model: everything is read once, and every check asks what was read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from evergreen.errors import EvergreenError, IntegrityError, UnavailableError, UserError
from evergreen.gate.decision import DecisionKind
from evergreen.registry import provenance as tag
from evergreen.registry.deletion import is_held
from evergreen.registry.handles import Champion
from evergreen.registry.versions import CHALLENGER, CHAMPION, PREVIOUS
from evergreen.settings import Settings
from evergreen.stages.moved import policy_of
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.settle import find_stranger
from evergreen.store.entry import Crown, Intention, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.pruned import Kind, Pruned, PrunedLog
from evergreen.store.turn import Holder, holder

_RESTORE = "restore it from the backup; roll back if it is champion"
_EVERY = 1_000_000
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Problem:
    """Something that does not agree. `model` is empty for the ledger as a whole; `do` is the next step.

    What is `harmless` explains something that one may stumble over, and is not wrong.
    """

    model: str
    what: str
    do: str
    harmless: bool = False


@dataclass(frozen=True)
class Records:
    """All that ledger and registry say of a model. `snapshots` remembers what is wrong with each, over all models."""

    settings: Settings
    model: str
    entries: tuple[LedgerEntry, ...]
    crowns: tuple[Crown, ...]
    pending: tuple[LedgerEntry, ...]
    unfinished: tuple[LedgerEntry, ...]
    intended: tuple[Intention, ...]
    fence: int
    pruned: Mapping[str, Pruned]
    aliases: Mapping[str, int]
    versions: tuple[Champion, ...]
    worked_on: Holder | None
    snapshots: dict[str, str]

    @cached_property
    def about(self) -> Mapping[int | None, tuple[LedgerEntry, ...]]:
        """The decisions by version, newest first; those on none under None."""
        found: dict[int | None, list[LedgerEntry]] = {}
        for entry in self.entries:
            found.setdefault(entry.version, []).append(entry)
        return {version: tuple(entries) for version, entries in found.items()}

    @cached_property
    def unregistered(self) -> frozenset[str | None]:
        """The digests of challengers that were decided on before they were registered."""
        return frozenset(entry.model_digest for entry in self.about.get(None, ()))

    @cached_property
    def intended_keys(self) -> frozenset[str]:
        """The trainings that somebody was about to register."""
        return frozenset(intention.training_key for intention in self.intended)


def read_records(model: str, settings: Settings, snapshots: dict[str, str]) -> Records:
    """Read everything; what is read last knows no less than what was read before it."""
    ledger, registry = Ledger(settings.store_url), registry_of(settings)
    return Records(
        settings=settings,
        model=model,
        versions=registry.every_version(model),
        aliases=registry.aliases(model),
        pruned=PrunedLog(settings.store_url).of(model, Kind.VERSION),
        entries=ledger.entries(model, limit=_EVERY),
        crowns=ledger.history(model),
        pending=ledger.pending(model),
        unfinished=ledger.unfinished(model),
        intended=ledger.intended(model),
        fence=ledger.fence(model),
        worked_on=holder(settings.store_url, model),
        snapshots=snapshots,
    )


def find_problems(records: Records) -> Iterator[Problem]:
    """Everything that is wrong with a model, or only looks so."""
    yield from _aliases(records)
    yield from _challenger(records)
    yield from _unfinished(records)
    yield from _runs(records)
    for version in reversed(records.versions):
        yield from _version(version, records)
    yield from _reference(records)
    yield from _gone(records)
    yield from _held(records)
    yield from _intentions(records)


def _aliases(records: Records) -> Iterator[Problem]:
    settings, model = records.settings, records.model
    policy = policy_of(model, settings)
    if stranger := find_stranger(Ledger(settings.store_url), registry_of(settings), model, policy):
        what, _, do = stranger.partition("; ")
        yield Problem(model, what, do)
    previous = records.aliases.get(PREVIOUS)
    if previous is not None and previous not in {crown.version for crown in records.crowns}:
        yield Problem(model, f"alias previous points at version {previous}, which never was champion", "remove it")


def _challenger(records: Records) -> Iterator[Problem]:
    """Alias `challenger` belongs to a version that a person, a trial or a run at work has still to decide on."""
    number = records.aliases.get(CHALLENGER)
    version = next((version for version in records.versions if version.version == number), None)
    if version is None or records.worked_on is not None or _waits(version, records):
        return
    about = records.about.get(number, ()) or tuple(e for e in records.entries if e.model_digest == version.digest)
    what = f"alias challenger points at version {number}, which nobody waits for"
    if about and about[0].kind in (DecisionKind.REJECT, DecisionKind.HOLD):
        fate = "rejected it" if about[0].kind is DecisionKind.REJECT else "held it, and was overtaken or answered"
        do = f"evergreen reconcile {records.model}, or the next run, takes it off"
        yield Problem(records.model, f"{what}: decision {about[0].id} {fate}", do, harmless=True)
    elif not about and version.tags.get(tag.TRAINING_KEY) in records.intended_keys:
        do = f"evergreen reconcile {records.model}, or the next run, takes it off"
        yield Problem(records.model, f"{what}: the run that registered it died", do, harmless=True)
    else:
        yield Problem(records.model, what, "somebody set it by hand; remove it in MLflow")


def _waits(version: Champion, records: Records) -> bool:
    if version.version in {entry.champion_after for entry in records.unfinished}:
        return True
    held = ((e.version, is_held(version.tags, e.model_digest, e.training_key)) for e in records.pending)
    return any(number == version.version or same for number, same in held)


def _unfinished(records: Records) -> Iterator[Problem]:
    for entry in records.unfinished:
        what = f"decision {entry.id} promotes version {entry.version} and has not taken effect"
        do = f"evergreen reconcile {records.model}, or the next run, finishes or withdraws it"
        yield Problem(records.model, what, do)


def _runs(records: Records) -> Iterator[Problem]:
    # A dry run takes no turn: nobody can tell here whether it lives.
    running = tracking_of(records.settings).running(records.model, dry_since=_EVER)
    # Asked again: a run may have begun since.
    if running and holder(records.settings.store_url, records.model) is None:
        what = f"MLflow calls {len(running)} runs running, and nobody is training ({', '.join(running[:3])})"
        yield Problem(records.model, what, f"evergreen reconcile {records.model}, or the next run, closes them")


def _version(found: Champion, records: Records) -> Iterator[Problem]:
    from evergreen.registry.model import load

    name, model = f"version {found.version}", records.model
    if note := records.pruned.get(str(found.version)):
        if not _waits(found, records) and found.version not in records.aliases.values():
            what = f"{name} was {note.said}, which was cut short"
            yield Problem(model, what, f"evergreen prune {model} finishes it", harmless=True)
            return
        yield Problem(model, f"{name} was {note.said}, and is in use again", "roll back to another version")
    known = _known_digests(found, records)
    if not known:
        yield Problem(model, f"{name} is in the registry and no decision speaks of it", "nothing loads it; delete it")
        return
    if found.digest not in known:
        yield Problem(model, f"{name} names another artifact than the ledger does", _RESTORE)
        return
    try:
        load(tracking_of(records.settings), found.source, found.digest)
    except (IntegrityError, UserError) as error:
        yield Problem(model, f"{name}: {error}", _RESTORE)
    yield from _snapshot(found, records)


def _known_digests(found: Champion, records: Records) -> set[str | None]:
    if about := records.about.get(found.version):
        return {entry.model_digest for entry in about}
    # Held without being registered, and registered since; or registered by a run that died before it decided.
    held = found.digest in records.unregistered
    return {found.digest} if held or found.tags.get(tag.TRAINING_KEY) in records.intended_keys else set()


def _snapshot(found: Champion, records: Records) -> Iterator[Problem]:
    """The data that a champion was trained on: without it, it cannot be reproduced."""
    promoted = any(entry.kind is DecisionKind.PROMOTE for entry in records.about.get(found.version, ()))
    digest = found.tags.get(tag.SNAPSHOT)
    if promoted and digest and (what := _lost(digest, records)):
        yield Problem(records.model, f"version {found.version}: {what}", "restore it, or it cannot be reproduced")


def _held(records: Records) -> Iterator[Problem]:
    """The data of what waits for an answer: who approves wants to be able to look."""
    for entry in records.pending:
        if entry.snapshot and (what := _lost(entry.snapshot, records)):
            do = f"restore it, or: evergreen run {records.model} --force"
            yield Problem(records.model, f"decision {entry.id}, which waits for a person: {what}", do)


def _lost(digest: str, records: Records) -> str:
    """What is wrong with a snapshot; each is read once."""
    from evergreen.data.load import verify_digest

    if digest not in records.snapshots:
        records.snapshots[digest] = ""
        try:
            verify_digest(f"{records.settings.snapshots.rstrip('/')}/{digest}.parquet", digest)
        except IntegrityError as error:
            records.snapshots[digest] = str(error)
    return records.snapshots[digest]


def _reference(records: Records) -> Iterator[Problem]:
    """The sample and the profile that drift is measured against, and the answers that losses are held against."""
    from evergreen.registry.baseline import fetch_baseline
    from evergreen.registry.reference import fetch_reference

    number = records.aliases.get(CHAMPION)
    champion = next((version for version in records.versions if version.version == number), None)
    if champion is None:
        return
    try:
        with TemporaryDirectory(prefix="evergreen-audit-") as folder:
            fetch_reference(tracking_of(records.settings), champion, Path(folder))
            fetch_baseline(tracking_of(records.settings), champion, Path(folder))
    except UnavailableError:
        raise
    except EvergreenError as error:
        what = str(error) if isinstance(error, IntegrityError) else f"its reference is gone ({error})"
        do = f"restore it from the backup, or evergreen rollback {records.model} --why …"
        yield Problem(records.model, f"version {number}: {what}", do)


def _gone(records: Records) -> Iterator[Problem]:
    """Every version that was champion can be gone back to, unless it was pruned."""
    there = {version.version for version in records.versions}
    since = {crown.version: crown.at for crown in records.crowns}
    for version, at in since.items():
        if version not in there and str(version) not in records.pruned:
            yield Problem(records.model, f"version {version}, champion since {at:%Y-%m-%d}, is gone", _RESTORE)


def _intentions(records: Records) -> Iterator[Problem]:
    """Nobody can decide on these any more: a decision would have to be measured against a reign that is over."""
    over = [i for i in records.intended if i.fence != records.fence]
    if not over or records.worked_on is not None:
        return
    keys = {intention.training_key for intention in over}
    left = [v.version for v in records.versions if v.version not in records.about]
    left = [v.version for v in records.versions if v.version in left and v.tags.get(tag.TRAINING_KEY) in keys]
    numbers = ", ".join(f"#{intention.id}" for intention in over[-3:])
    what = f"{len(over)} intentions of runs that died are open, and their reigns are over ({numbers})"
    do = f"nothing: no run takes them up; evergreen prune removes {_versions(left)} once old" if left else "nothing"
    yield Problem(records.model, what, do, harmless=True)


def _versions(numbers: list[int]) -> str:
    return ("version " if len(numbers) == 1 else "versions ") + ", ".join(map(str, sorted(numbers)))
