"""What of a model nobody needs any more: versions and the tracking runs behind them. Looks, and changes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from evergreen.gate.decision import DecisionKind
from evergreen.registry import provenance as tag
from evergreen.registry.deletion import KeptRun, is_held, kept_runs
from evergreen.registry.handles import Champion
from evergreen.settings import Settings
from evergreen.stages.open import registry_of, tracking_of
from evergreen.store.entry import Crown, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.protected import protected
from evergreen.store.pruned import Kind, Pruned, PrunedLog

_EVERY = 1_000_000


class Thing(StrEnum):
    """What can be pruned, in the order in which it goes."""

    VERSION = "version"
    RUN = "run"
    SNAPSHOT = "snapshot"
    WORK = "work"
    CACHE = "cache"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Rules:
    """What stays whatever it is: what was touched within `older_than`, and the newest `keep` past champions."""

    older_than: timedelta = timedelta(days=180)
    keep: int = 5


@dataclass(frozen=True)
class Item:
    """Something that may go, and why; `size` in bytes, None where it is not on this machine.

    `name` is a version, a run's id, a digest or a path; `model` is empty where it belongs to none. `came` is when it
    was last touched.
    """

    thing: Thing
    model: str
    name: str
    why: str
    came: datetime
    size: int | None = None

    @property
    def key(self) -> tuple[Thing, str, str]:
        """What tells it from the others."""
        return self.thing, self.model, self.name


@dataclass(frozen=True)
class Shelf:
    """Everything that there is of a model, read once; `moment` is until when things count as old.

    Once the versions that may go have gone it is `settled`: a version that is still there stays.
    """

    model: str
    rules: Rules
    moment: datetime
    entries: tuple[LedgerEntry, ...]
    crowns: tuple[Crown, ...]
    waiting: tuple[LedgerEntry, ...]
    needed: Mapping[int, str]
    pruned: Mapping[str, Pruned]
    versions: tuple[Champion, ...]
    runs: tuple[KeptRun, ...]
    settled: bool = False

    @cached_property
    def prunable(self) -> Mapping[int, str]:
        """The versions that may go, and why."""
        found = {} if self.settled else {version.version: self._why(version) for version in self.versions}
        return {number: why for number, why in found.items() if why}

    @cached_property
    def kept_runs(self) -> frozenset[str]:
        """The runs that a version which stays, a decision that made it champion, or a waiting one rests on."""
        kept = {v.version: v for v in self.versions if v.version not in self.prunable}
        decisions = [e for e in self.entries if e.kind is DecisionKind.PROMOTE and e.version in kept]
        found = {version.run_id for version in kept.values()}
        return frozenset(found | {e.mlflow_run for e in (*decisions, *self.waiting) if e.mlflow_run})

    @cached_property
    def kept_models(self) -> frozenset[str]:
        """The logged models of versions that stay, wherever they were logged."""
        uris = (v.tags.get(tag.MODEL_URI, "") for v in self.versions if v.version not in self.prunable)
        return frozenset(uri.removeprefix("models:/") for uri in uris)

    def _why(self, version: Champion) -> str:
        """Why a version may go; empty where it stays."""
        number = version.version
        held = any(is_held(version.tags, e.model_digest, e.training_key) for e in self.waiting)
        if number in self.needed or held:
            return ""
        if note := self.pruned.get(str(number)):
            return note.why
        if number in self._ended:
            return self._why_past(number)
        return self._why_never(version)

    def _why_past(self, number: int) -> str:
        ended = self._ended[number]
        if number in self._newest_past or ended > self.moment:
            return ""
        return f"champion until {ended:%Y-%m-%d}, and {self.rules.keep} that followed it are kept"

    def _why_never(self, version: Champion) -> str:
        last = self._last.get(version.version)
        touched = max(filter(None, (version.registered_at, last.decided_at if last else None)))
        # What somebody registered by hand is theirs; the audit names it.
        if touched > self.moment or (last is None and tag.TRAINING_KEY not in version.tags):
            return ""
        fate = f"decision {last.id} of {last.decided_at:%Y-%m-%d} ({last.kind})" if last else "nobody decided on it"
        return f"never champion: {fate}"

    @cached_property
    def _ended(self) -> Mapping[int, datetime]:
        """When each past champion's last reign ended; without the present champion."""
        ends = zip(self.crowns, self.crowns[1:], strict=False)
        present = self.crowns[-1].version if self.crowns else None
        return {crown.version: following.at for crown, following in ends if crown.version != present}

    @cached_property
    def _newest_past(self) -> frozenset[int]:
        """The past champions that stay however old they are."""
        newest_first = sorted(self._ended, key=lambda number: (self._ended[number], number), reverse=True)
        return frozenset(newest_first[: self.rules.keep])

    @cached_property
    def _last(self) -> Mapping[int, LedgerEntry]:
        """The last decision on each version; entries are newest first."""
        return {entry.version: entry for entry in reversed(self.entries) if entry.version is not None}


def read_shelf(model: str, rules: Rules, settings: Settings, now: datetime) -> Shelf:
    """Read the ledger, the registry and the tracking runs of a model."""
    ledger, registry = Ledger(settings.store_url), registry_of(settings)
    aliases = {number: f"alias {alias} points at it" for alias, number in registry.aliases(model).items()}
    return Shelf(
        model=model,
        rules=rules,
        moment=now - rules.older_than,
        entries=ledger.entries(model, limit=_EVERY),
        crowns=ledger.history(model),
        waiting=(*ledger.pending(model), *ledger.unfinished(model)),
        needed=aliases | protected(ledger, model),
        pruned=PrunedLog(settings.store_url).of(model, Kind.VERSION),
        versions=registry.every_version(model),
        runs=kept_runs(tracking_of(settings), model),
    )


def find_versions(shelf: Shelf) -> Iterator[Item]:
    """The versions that may go, oldest first. Their files go with their runs."""
    for version in reversed(shelf.versions):
        if why := shelf.prunable.get(version.version):
            came = version.registered_at or shelf.moment
            yield Item(Thing.VERSION, shelf.model, str(version.version), why, came)


def find_runs(shelf: Shelf) -> Iterator[tuple[Item, KeptRun]]:
    """The tracking runs that may go once the versions have, oldest first; nobody has measured them yet."""
    behind = {v.run_id: v.version for v in shelf.versions}
    for run in sorted(shelf.runs, key=lambda run: (run.ended or shelf.moment, run.run_id)):
        needed = run.run_id in shelf.kept_runs or not shelf.kept_models.isdisjoint(run.models)
        if run.ended is None or run.ended > shelf.moment or needed:
            continue
        version = behind.get(run.run_id)
        why = f"of version {version}, which goes" if version else "no version and no open decision rests on it"
        yield Item(Thing.RUN, shelf.model, run.run_id, why, run.ended), run
