"""`evergreen prune`: remove what nobody needs any more, and keep what the ledger rests on."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from evergreen.errors import SpecError, UserError
from evergreen.registry.deletion import delete_version, remove_run, size_of
from evergreen.settings import Settings
from evergreen.spec import load_spec
from evergreen.stages import leftovers
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.prunable import Item, Rules, Thing, find_runs, find_versions, read_shelf
from evergreen.stages.turn import TIDYING
from evergreen.store.ledger import Ledger
from evergreen.store.pruned import Kind, Pruned, PrunedLog
from evergreen.store.turn import Busy, holder, take_turn

log = logging.getLogger("evergreen.prune")

_SHORTEST = timedelta(days=1)
_OF_THIS_MACHINE = (Thing.WORK, Thing.CACHE, Thing.UNFINISHED)


@dataclass(frozen=True)
class Plan:
    """What may go, in the order in which it goes, and in sentences what is left alone for now."""

    items: tuple[Item, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes, as far as they are known."""
        return sum(item.size or 0 for item in self.items)


@dataclass(frozen=True)
class Pruning:
    """Who prunes, by which rules, from which moment; `model` is None for all of them."""

    settings: Settings
    rules: Rules
    by: str
    now: datetime
    model: str | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are looked at."""
        return (self.model,) if self.model is not None else Ledger(self.settings.store_url).models()


def plan(pruning: Pruning) -> Plan:
    """What may go now. Changes nothing. Raises UserError for rules that would reach into runs at work."""
    if pruning.rules.older_than < _SHORTEST:
        raise UserError("--older-than must be a day at least: what is younger may be at work")
    items: list[Item] = []
    left: list[str] = []
    for model in pruning.models:
        if (other := holder(pruning.settings.store_url, model)) is not None:
            left.append(f"{model} is being worked on ({other.holder}); left alone")
            continue
        shelf = read_shelf(model, pruning.rules, pruning.settings, pruning.now)
        items += find_versions(shelf)
        items += (replace(item, size=size_of(run.places)) for item, run in find_runs(shelf))
    items += _files(pruning, items)
    return Plan(tuple(items), tuple(left))


def prune(planned: Plan, pruning: Pruning) -> Plan:
    """Remove what was planned, if it may still go; what comes back is what went, and what was left and why.

    Each thing is written down before it is removed, and removed whole before the next: killed at any line, what is
    left is found by the next plan. What is not a version, a run or a snapshot makes itself again and is not written
    down.
    """
    told: list[Item | str] = [*planned.left]
    for model in dict.fromkeys(item.model for item in planned.items if item.model):
        told += _prune_model(model, [item for item in planned.items if item.model == model], pruning)
    told += _prune_snapshots([item for item in planned.items if item.thing is Thing.SNAPSHOT], pruning)
    told += _prune_files([item for item in planned.items if item.thing in _OF_THIS_MACHINE], pruning.settings)
    done = tuple(one for one in told if isinstance(one, Item))
    return Plan(done, tuple(one for one in told if isinstance(one, str)))


def _files(pruning: Pruning, items: Sequence[Item]) -> Iterator[Item]:
    settings, moment = pruning.settings, pruning.now - pruning.rules.older_than
    going = frozenset((item.model, int(item.name)) for item in items if item.thing is Thing.VERSION)
    snapshots = leftovers.find_snapshots(settings, moment, going)
    if pruning.model is not None:
        entries = Ledger(settings.store_url).entries(pruning.model, limit=1_000_000)
        own = {entry.snapshot for entry in entries}
        yield from (item for item in snapshots if item.name in own)
        return
    yield from snapshots
    yield from leftovers.find_work(settings, moment)
    yield from leftovers.find_caches(settings, moment)
    yield from leftovers.find_unfinished(settings, pruning.now)


def _prune_model(model: str, items: Sequence[Item], pruning: Pruning) -> Iterator[Item | str]:
    """Versions first, then the runs behind them: a run without its version is nobody's, a version without its run
    would be a ruin.
    """
    settings, chosen = pruning.settings, {item.key: item for item in items}
    try:
        with take_turn(settings.store_url, model, TIDYING, pruning.now):
            shelf = read_shelf(model, pruning.rules, settings, pruning.now)
            gone = list(_prune_versions([i for i in find_versions(shelf) if i.key in chosen], pruning))
            settled = replace(read_shelf(model, pruning.rules, settings, pruning.now), settled=True)
            runs = [(chosen[item.key], run) for item, run in find_runs(settled) if item.key in chosen]
            for item, _ in runs:
                _note(item, pruning)
    except Busy as busy:
        yield f"{busy}; left alone"
        return
    yield from gone
    # Files can be many and far away, and nobody can come to need these any more: a run need not wait for it.
    for item, run in runs:
        remove_run(tracking_of(settings), run)
        log.info("prune       run %s of %s", item.name, model)
        yield item


def _prune_versions(items: Iterable[Item], pruning: Pruning) -> Iterator[Item | str]:
    registry = registry_of(pruning.settings)
    for item in items:
        number = int(item.name)
        # Nobody goes back to a version, or names it anew, between our look and its end.
        with registry.turn(item.model):
            try:
                registry.require_deletable(item.model, number)
            except UserError as error:
                yield str(error)
                continue
            _note(item, pruning)
            # What is noted can become champion no more, and is not looked at again: who goes back to it, a moment
            # after our look, is told who pruned it.
            delete_version(registry.tracking, item.model, number)
        log.info("prune       version %d of %s", number, item.model)
        yield item


def _prune_snapshots(items: Sequence[Item], pruning: Pruning) -> Iterator[Item | str]:
    if not items:
        return
    settings = pruning.settings
    with ExitStack() as turns:
        try:
            # A run reads its snapshot before MLflow knows of it: nobody may be running.
            for model in _models(settings):
                turns.enter_context(take_turn(settings.store_url, model, TIDYING, pruning.now))
        except (Busy, SpecError) as error:
            yield f"{error}; {len(items)} snapshots are left alone"
            return
        needed = leftovers.needed_snapshots(settings)
        for item in items:
            # Who takes no turn, as a dry run or a scoring, has made the file young again.
            if item.name not in needed and leftovers.is_untouched(settings, item):
                _note(item, pruning, since=item.came)
                leftovers.remove_snapshot(settings, item.name)
                log.info("prune       snapshot %s", item.name[:12])
                yield item


def _models(settings: Settings) -> list[str]:
    """Every model that may be at work: of its first run the ledger does not know yet. Raises SpecError."""
    named = {load_spec(path).model for path in sorted(settings.configs.glob("*.yaml"))}
    return sorted(named.union(Ledger(settings.store_url).models()))


def _prune_files(items: Iterable[Item], settings: Settings) -> Iterator[Item | str]:
    for item in items:
        yield item if leftovers.remove_files(settings, item) else f"{item.name} is being worked on; left alone"


def _note(item: Item, pruning: Pruning, since: datetime | None = None) -> None:
    kind = Kind(item.thing.value)
    pruned = Pruned(kind, item.model, item.name, item.why, pruning.by, pruning.now, item.size)
    PrunedLog(pruning.settings.store_url).note(pruned, since)
