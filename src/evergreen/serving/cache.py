"""What is served, on the local disk: the files of versions by their digest, and a note of who is champion.

A process that knows the registry writes it (`evergreen.serving.fetch`). The one that serves reads nothing else, so that
it goes on while the registry is down, and starts again without it.
"""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from evergreen.errors import IntegrityError, SpecError
from evergreen.files import file_digest, read_json, write_json, write_whole
from evergreen.registry.artifact import read_verified
from evergreen.spec import ModelSpec, load_spec
from evergreen.store.lock import exclusive

MODEL, SPEC = "model", "spec.yaml"
_SPEC_DIGEST = "spec.sha256"
_NOTE = "lineup.json"
_FOLDER = "serving"
# The champion before, to which a rollback goes, should be at hand.
_KEPT = 3


@dataclass(frozen=True)
class CachedVersion:
    """A version in the cache. `digest` is its artifact's.

    Of a challenger on trial `decision` is the one that holds it, and `trial` holds the rules of its canary.
    """

    version: int
    digest: str
    run_id: str
    trained_until: str | None = None
    decision: int | None = None
    trial: dict[str, Any] | None = None


@dataclass(frozen=True)
class Lineup:
    """Who serves a model. `fence` is the number of the champion's reign; `checked_at` when the registry was asked."""

    champion: CachedVersion
    fence: int
    checked_at: datetime
    challenger: CachedVersion | None = None


def cached_models(home: Path) -> tuple[str, ...]:
    """The models that something is kept of, by name."""
    return tuple(sorted(unquote(path.name) for path in (home / _FOLDER).glob("*") if path.is_dir()))


def keep_spec(folder: Path, fetched: Path) -> None:
    """Put a spec that was just fetched into the folder of its version, and note its digest."""
    write_whole(folder / SPEC, lambda file: file.write(fetched.read_bytes()))
    write_whole(folder / _SPEC_DIGEST, lambda file: file.write(file_digest(fetched).encode()))


def read_spec(folder: Path) -> ModelSpec:
    """The spec of a version in its folder: it says what a request may hold, and what is never kept of one.

    Raises IntegrityError where it is not the file that was fetched, and SpecError where it is no spec. An older
    Evergreen noted no digest; the next fetch does.
    """
    path, noted = folder / SPEC, folder / _SPEC_DIGEST
    if noted.exists() and path.exists() and file_digest(path) != noted.read_text():
        raise IntegrityError(
            f"{path}: was changed since it was fetched, and is not followed; edit configs/ and retrain"
        )
    return load_spec(path)


@dataclass(frozen=True)
class Cache:
    """The cache of one model. Building one touches nothing."""

    home: Path
    model: str

    @property
    def folder(self) -> Path:
        """Everything that is kept of the model."""
        return self.home / _FOLDER / quote(self.model, safe="")

    def version_folder(self, digest: str) -> Path:
        """Where a version is, with its artifact in MODEL and the spec it was trained with in SPEC."""
        return self.folder / "versions" / digest

    def turn(self) -> AbstractContextManager[None]:
        """Several servers on one machine share a cache; one at a time fills it."""
        return exclusive(self.folder / ".lock")

    def lineup(self) -> Lineup | None:
        """Who serves, as it was noted last; None where nothing whole was noted."""
        noted = read_json(self.folder / _NOTE)
        try:
            return None if noted is None else _to_lineup(noted)
        except (KeyError, TypeError, ValueError):
            return None

    def note(self, lineup: Lineup) -> None:
        """Say who serves; the files are there already."""
        write_json(self.folder / _NOTE, {**asdict(lineup), "checked_at": lineup.checked_at.isoformat()})

    def keep(self, digest: str, fill: Callable[[Path], None]) -> Path:
        """The folder of a version, filled if it is not there; a crash leaves it whole or not there."""
        target = self.version_folder(digest)
        if not target.exists():
            unfinished = target.with_name(f".{digest}")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            fill(unfinished)
            unfinished.rename(target)
        return target

    def is_damaged(self, digest: str) -> bool:
        """True where a version's files are not what they should be; what cannot be read just now is not known to be."""
        folder = self.version_folder(digest)
        try:
            read_verified(folder / MODEL, digest)
            read_spec(folder)
        except (IntegrityError, SpecError):
            return True
        except (OSError, MemoryError):
            return False
        return False

    def knows_spec(self, digest: str) -> bool:
        """True where the spec of a version is the one that was fetched."""
        folder = self.version_folder(digest)
        try:
            read_spec(folder)
        except (IntegrityError, SpecError):
            return False
        return (folder / _SPEC_DIGEST).exists()

    def forget(self, digest: str) -> None:
        """Remove a version, whose files are not what they should be."""
        shutil.rmtree(self.version_folder(digest), ignore_errors=True)

    def clear(self, lineup: Lineup) -> None:
        """Remove versions that nobody serves, but for the newest few."""
        serving = {version.digest for version in (lineup.champion, lineup.challenger) if version}
        others = [path for path in (self.folder / "versions").glob("[!.]*") if path.name not in serving]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)


def _to_lineup(noted: dict[str, Any]) -> Lineup:
    challenger = noted["challenger"]
    return Lineup(
        champion=CachedVersion(**noted["champion"]),
        fence=int(noted["fence"]),
        checked_at=datetime.fromisoformat(noted["checked_at"]).astimezone(UTC),
        challenger=None if challenger is None else CachedVersion(**challenger),
    )
