"""Files that nobody refers to any more: snapshots, work of trainings, caches, what a killed writer left."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evergreen.data.paths import changed_at, filesystem_of, is_local
from evergreen.errors import UnavailableError
from evergreen.registry.deletion import open_snapshots
from evergreen.settings import Settings
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.prunable import Item, Thing
from evergreen.store.ledger import Ledger
from evergreen.store.lock import attempt

# Nobody writes at a snapshot for longer.
_WRITING = timedelta(days=1)
_SHA256 = re.compile("[0-9a-f]{64}")


def find_snapshots(settings: Settings, moment: datetime, going: frozenset[tuple[str, int]]) -> Iterator[Item]:
    """Snapshots from before a moment that no version, no waiting decision and no open run refers to.

    Versions that are `going`, (model, number), are no reason to keep one.
    """
    kept: frozenset[str] | None = None
    for digest, info in _listed(settings.snapshots):
        came = changed_at(info)
        if came is None or came > moment:
            continue
        kept = needed_snapshots(settings, going) if kept is None else kept
        if digest not in kept:
            yield Item(Thing.SNAPSHOT, "", digest, "no version, decision or run needs it", came, info.get("size", 0))


def needed_snapshots(settings: Settings, going: frozenset[tuple[str, int]] = frozenset()) -> frozenset[str]:
    """The digests of snapshots that somebody may read again."""
    ledger = Ledger(settings.store_url)
    models = ledger.models()
    waiting = [entry for model in models for entry in (*ledger.pending(model), *ledger.unfinished(model))]
    return open_snapshots(tracking_of(settings), going) | {e.snapshot for e in waiting if e.snapshot}


def is_untouched(settings: Settings, snapshot: Item) -> bool:
    """False where a snapshot was taken again since it was looked at, or is gone."""
    filesystem, name = _place_of(settings, snapshot.name)
    try:
        came = changed_at(filesystem.info(name))
        return came is not None and came <= snapshot.came
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UnavailableError(f"{name}: the snapshot cannot be looked at ({error})") from error


def remove_snapshot(settings: Settings, digest: str) -> None:
    """Remove a snapshot; one that is gone is left so."""
    filesystem, name = _place_of(settings, digest)
    try:
        filesystem.rm_file(name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnavailableError(f"{name}: the snapshot cannot be removed ({error})") from error


def find_work(settings: Settings, moment: datetime) -> Iterator[Item]:
    """Folders of trainings that nobody has asked for again since a moment."""
    for folder in _folders(settings.work):
        if (came := _newest(folder)) <= moment:
            yield Item(Thing.WORK, "", str(folder), "finished trials; a run makes them again", came, _size(folder))


def find_caches(settings: Settings, moment: datetime) -> Iterator[Item]:
    """References of versions that are champion no more."""
    old = [(folder, came) for folder in _folders(settings.home / "champions") if (came := _newest(folder)) <= moment]
    reigning = _reigning_runs(settings) if old else frozenset()
    for folder, came in old:
        if folder.name not in reigning:
            why = "a copy of a past champion's reference"
            yield Item(Thing.CACHE, "", str(folder), why, came, _size(folder))


def find_unfinished(settings: Settings, now: datetime) -> Iterator[Item]:
    """What somebody who was killed while he wrote a snapshot has left."""
    if not is_local(settings.snapshots):
        return
    for path in sorted(Path(settings.snapshots).glob(".unfinished-*.parquet")):
        came = _modified(path)
        if came <= now - _WRITING:
            yield Item(Thing.UNFINISHED, "", str(path), "its writer was killed", came, path.stat().st_size)


def remove_files(settings: Settings, item: Item) -> bool:
    """Remove work, a cache or an unfinished file; False where somebody is at it. What is gone is left so."""
    path = Path(item.name)
    try:
        if item.thing is Thing.WORK:
            return _remove_work(path, item.came)
        if item.thing is Thing.CACHE and _is_wanted(settings, path, item.came):
            return False
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be removed ({error.strerror or error})") from error
    return True


def _remove_work(folder: Path, came: datetime) -> bool:
    lock = folder.with_suffix(".lock")
    with attempt(lock) as held:
        if held is None or (folder.is_dir() and _newest(folder) > came):
            return False
        if folder.is_dir():
            shutil.rmtree(folder)
        # Whoever waits for it notices that the file at the path is another one.
        lock.unlink(missing_ok=True)
    return True


def _is_wanted(settings: Settings, folder: Path, came: datetime) -> bool:
    """True for a copy that was made anew, or whose version went back to be champion, since it was looked at."""
    return folder.is_dir() and (_newest(folder) > came or folder.name in _reigning_runs(settings))


def _place_of(settings: Settings, digest: str) -> tuple[Any, str]:
    return filesystem_of(f"{settings.snapshots.rstrip('/')}/{digest}.parquet")


def _reigning_runs(settings: Settings) -> frozenset[str]:
    ledger, registry = Ledger(settings.store_url), registry_of(settings)
    champions = [registry.champion(model) for model in ledger.models()]
    return frozenset(champion.run_id for champion in champions if champion is not None)


def _listed(root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Digest and description of every snapshot."""
    filesystem, folder = filesystem_of(root)
    try:
        found = filesystem.ls(folder, detail=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnavailableError(f"{root}: snapshots cannot be listed ({error})") from error
    for info in sorted(found, key=lambda info: str(info["name"])):
        stem, _, suffix = str(info["name"]).rpartition("/")[2].partition(".")
        if suffix == "parquet" and _SHA256.fullmatch(stem):
            yield stem, info


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*") if path.is_dir()) if root.is_dir() else []


def _newest(folder: Path) -> datetime:
    return max(map(_modified, (folder, *folder.rglob("*"))))


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
