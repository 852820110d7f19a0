"""Back to an earlier champion: one ledgered compare-and-set."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from evergreen.checks import Check
from evergreen.errors import EvergreenError, IntegrityError, StaleChampion, UserError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.registry.smoke import smoke_test
from evergreen.registry.tracking import Tracking
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.stages.open import connect, registry_of
from evergreen.stages.pin import pin
from evergreen.stages.promote import promote
from evergreen.stages.reigns import Reign, read_reigns, standing
from evergreen.stages.settle import settle
from evergreen.stages.sign import sign
from evergreen.store.canary import Canary
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pin, Pins
from evergreen.store.pruned import PrunedLog

log = logging.getLogger("evergreen.rollback")

BY_ITSELF = "evergreen"


class UnfitVersion(EvergreenError):  # noqa: N818 - the name is the message
    """A version that was champion once does not answer as it did then."""


@dataclass(frozen=True)
class Target:
    """Where to go back to: a version, or the champion `at` an aware moment, or else the champion before this one."""

    version: int | None = None
    at: datetime | None = None
    pin: bool = False


def rollback(model: str, target: Target, by: str, why: str, settings: Settings, now: datetime) -> LedgerEntry:
    """Make an earlier champion champion again, if it still answers as it did; what comes back is the decision.

    With `target.pin` it is pinned there. Asked again by the same person for the same reason, after a kill for example,
    it is the same rollback and not another one; only the pin is set, where it is missing. Raises UserError for a
    version that was never champion or is champion now, UnfitVersion for one that fails its smoke test, StaleChampion
    where somebody promoted another one meanwhile, or it was pruned; then champion and pin are as they were.
    """
    sign("rolled back", by, why)
    tracking, ledger = connect(settings)
    registry = registry_of(settings)
    seen = registry.champion_version(model)
    for line in settle(ledger, registry, model, now, alone=False):
        log.warning("reconcile   %s", line)
    # Before the champion: what is crowned in between makes the fence too low, and the rollback stale.
    fence = ledger.fence(model)
    reigns, current = read_reigns(ledger, model), registry.champion_version(model)
    if not reigns:
        raise UserError(f"{model} has never had a champion; evergreen status shows the models there are")
    pinned = Pins(settings.store_url).pinned(model)
    if (done := _done(reigns[-1], target, current, (by, why))) is not None:
        if target.pin and pinned is None:
            _pin_there(done, fence, (by, why), settings, now)
        return done
    if current != seen and target.version is None:
        # "The one before" is before the champion that the person saw.
        raise UserError(_just_now(model, current))
    reign = _find(model, target, reigns, current)
    check = _require_fit(reign, tracking, registry)
    if target.pin:
        # Before the alias: a rollback that is to last must not be overtaken by a run between the two.
        pin(model, by, why, settings, now)
    entry = _entry(reign, current, check, (by, why), now, target.at)
    try:
        return _take_effect(replace(entry, fence=fence), ledger, registry, settings, now)
    except StaleChampion:
        if target.pin:
            _restore_pin(model, pinned, (by, why), settings, now)
        raise


def fall_back(trial: Canary, fence: int, why: str, settings: Settings, now: datetime) -> LedgerEntry:
    """Leave, by no person's hand, what a trial made champion for what it was tried against; it reigns under `fence`.

    Raises PinnedChampion where somebody pinned it, and StaleChampion where another is champion, in the ledger or by
    somebody's hand: also where that happens during the smoke test, or after a kill. Nothing has changed then.
    """
    tracking, ledger = connect(settings)
    registry, model = registry_of(settings), trial.model
    current = registry.champion_version(model)
    if current != trial.challenger:
        raise StaleChampion(f"{model}: somebody moved alias champion from version {trial.challenger} by hand")
    reign = _find(model, Target(trial.champion), read_reigns(ledger, model), current)
    entry = _entry(reign, current, _require_fit(reign, tracking, registry), (BY_ITSELF, why), now, None)
    return _take_effect(replace(entry, cause=Cause.WATCH, fence=fence), ledger, registry, settings, now)


def _take_effect(
    entry: LedgerEntry, ledger: Ledger, registry: Registry, settings: Settings, now: datetime
) -> LedgerEntry:
    entry = ledger.record(entry)
    log.info("ledger      decision %s: %s", entry.id, entry.reasons[0])
    try:
        promote(entry, settings, now)
    except StaleChampion as error:
        before = (entry.fence, entry.champion_before)
        moved = (ledger.fence(entry.model), registry.champion_version(entry.model)) != before
        said = f"{entry.model}: the rollback is withdrawn: {error}"
        raise StaleChampion(_overtaken(entry.model) if moved else said) from error
    return entry


def _done(last: Reign, target: Target, current: int | None, signed: tuple[str, str]) -> LedgerEntry | None:
    """The rollback that made the present champion, where it is the one asked for."""
    wanted = target.version in (None, last.version) and target.at in (None, last.decision.as_of)
    same = last.returned and last.decision.reasons[0] == _sentence(last.version, signed)
    return last.decision if wanted and same and current == last.version else None


def _pin_there(done: LedgerEntry, fence: int, signed: tuple[str, str], settings: Settings, now: datetime) -> None:
    """Pin what was gone back to before. Raises StaleChampion where it left before the pin could hold it."""
    pin(done.model, *signed, settings, now)
    if Ledger(settings.store_url).fence(done.model) != fence:
        _restore_pin(done.model, None, signed, settings, now)
        raise StaleChampion(
            f"{done.model}: another version became champion meanwhile, and nothing is pinned; look at evergreen "
            f"history {done.model}, and roll back again if it is still wanted"
        )


def _restore_pin(model: str, before: Pin | None, signed: tuple[str, str], settings: Settings, now: datetime) -> None:
    """Take off what this rollback pinned, which is another champion than was wanted; a pin from before holds again."""
    pins = Pins(settings.store_url)
    mine = pins.pinned(model)
    if mine is None or (mine.by, mine.why, mine.at) != (*signed, now):
        return
    if before is None:
        pins.unpin(model, signed[0], f"the rollback was overtaken: {signed[1]}", now)
    else:
        pins.pin(model, before.by, before.why, before.at)


def _find(model: str, target: Target, reigns: tuple[Reign, ...], current: int | None) -> Reign:
    """The newest reign of the version to go back to. Raises UserError where there is none to go back to."""
    version = _version(model, target, reigns, current)
    # Where somebody moved the alias to it by hand it is not: the ledger has to hear of it.
    if version == current == reigns[-1].version:
        raise UserError(f"version {version} is champion of {model} already; evergreen history {model}")
    found = [reign for reign in reigns if reign.version == version]
    if not found:
        had = ", ".join(str(number) for number in sorted({reign.version for reign in reigns}))
        raise UserError(f"version {version} of {model} was never champion; these were: {had}")
    return found[-1]


def _version(model: str, target: Target, reigns: tuple[Reign, ...], current: int | None) -> int:
    if target.version is not None and target.at is not None:
        raise UserError("name a version or a moment to go back to, not both")
    if target.version is not None:
        return target.version
    if target.at is not None:
        before = [reign for reign in reigns if reign.at <= target.at]
        if not before:
            raise UserError(f"{model} had no champion at {target.at:%Y-%m-%d %H:%M} UTC; evergreen history {model}")
        return before[-1].version
    stack = standing((reign.version, reign.returned) for reign in reigns)
    # Where somebody moved the alias by hand, the way back leads to the ledger's champion.
    if stack[-1] != current:
        return stack[-1]
    if len(stack) == 1:
        raise UserError(f"{model} has no champion before version {current}; name another one with --to")
    return stack[-2]


def _require_fit(reign: Reign, tracking: Tracking, registry: Registry) -> Check:
    """The smoke test that the version passes now. Raises IntegrityError where it is not the one of the ledger."""
    model, version, digest = reign.decision.model, reign.version, reign.decision.model_digest
    if registry.store is not None and (note := PrunedLog(registry.store).version(model, version)):
        raise UserError(f"version {version} of {model} was {note.said}; name another one with --to")
    registered = registry.version(model, version)
    if digest is None:
        said = f"decision {reign.decision.id} does not say which artifact version {version} of {model} had"
        raise IntegrityError(f"{said}, so that nobody can tell whether it is the same; name another one with --to")
    if registered.digest != digest:
        said = f"version {version} of {model} names another artifact in the registry than in the ledger"
        raise IntegrityError(f"{said}; evergreen audit {model} says more, and --to names another version")
    check = smoke_test(tracking, registered.source, digest)
    if check.passed:
        return check
    raise UnfitVersion(
        f"version {version} of {model} cannot be champion again, smoke_test {check.outcome}: {check.why}. The champion "
        "stays; name another version with --to"
    )


def _entry(
    reign: Reign, current: int | None, check: Check, signed: tuple[str, str], now: datetime, at: datetime | None
) -> LedgerEntry:
    """The decision. It names no training and no MLflow run: nothing was asked anew, and no challenger waits in it."""
    return replace(
        reign.decision,
        id=None,
        kind=DecisionKind.PROMOTE,
        cause=Cause.ROLLBACK,
        resolves=None,
        reason=Reason.MANUAL,
        reasons=(_sentence(reign.version, signed),),
        checks=(check,),
        as_of=at or now,
        decided_at=now,
        decided_by=signed[0],
        training_key=None,
        mlflow_run=None,
        flow_run=None,
        version=reign.version,
        champion_before=current,
        champion_after=reign.version,
        intention=None,
    )


def _just_now(model: str, current: int | None) -> str:
    return (
        f"{model}: version {current} became champion just now, by a promotion that had been cut short, and nothing "
        f"else was changed; evergreen history {model}, then name the version to go back to with --to"
    )


def _overtaken(model: str) -> str:
    return (
        f"{model}: another version became champion during the rollback, which is withdrawn; look at evergreen "
        f"history {model}, and roll back again if it is still wanted"
    )


def _sentence(version: int, signed: tuple[str, str]) -> str:
    return sign(f"rolled back to version {version}", *signed)
