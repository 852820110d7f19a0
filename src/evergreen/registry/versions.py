"""Registered versions and the aliases that say which of them is champion."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen.errors import IntegrityError, PinnedChampion, StaleChampion, UserError
from evergreen.registry import provenance as tag
from evergreen.registry.answers import answering, is_missing
from evergreen.registry.complete import damaged_champion, find_damage, say_passed_over
from evergreen.registry.creation import create_model, create_version, is_same
from evergreen.registry.deletion import delete_version, require_unheld, require_unprotected
from evergreen.registry.handles import Champion, LoggedModel, Registered
from evergreen.registry.tracking import Tracking
from evergreen.store.ledger import Ledger
from evergreen.store.lock import exclusive
from evergreen.store.pins import Pins
from evergreen.store.pruned import Kind, PrunedLog
from evergreen.store.turn import in_turn

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"

_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Registry:
    """The model registry. An answer of None means that MLflow said so; every failure raises.

    Aliases in MLflow have no compare-and-set: whoever changes something takes a turn. With the URL of the `store` a
    turn holds wherever the store is reached from, and pins are heeded; without it turns are taken by a lock file beside
    the artifacts, which holds on one machine.
    """

    tracking: Tracking
    store: str | None = None

    def register(
        self, model: str, run_id: str, logged: LoggedModel, tags: Mapping[str, str], description: str
    ) -> Registered:
        """Register a logged model and point `challenger` at it.

        Doing it again gives the version that is there: of the same logged model, or of a run that was killed after
        the same training gave the same answers. A version of another run that is not complete any more is passed over;
        raises IntegrityError where it is the champion.
        """
        with self._turn(model), answering(self.tracking.uri):
            create_model(self.tracking, model)
            key = tags.get(tag.TRAINING_KEY)
            equals = self._equals(model, run_id, logged, key)
            damage = self._damage([version for version in equals if version.run_id != run_id])
            self._require_sound(model, damage)
            found = next((version for version in equals if int(version.version) not in damage), None)
            if found is None:
                create_version(self.tracking, model, run_id, logged, tags, description)
                equals = self._equals(model, run_id, logged, key)
                found = self._only(model, [version for version in equals if int(version.version) not in damage])
            number = int(found.version)
            if self._aliases(model).get(CHAMPION) != number:
                self._client.set_registered_model_alias(model, CHALLENGER, str(number))
        passed_over = tuple(say_passed_over(version, what) for version, what in damage.items())
        return Registered(model, number, f"models:/{model}/{number}", found.tags[tag.MODEL_DIGEST], passed_over)

    def champion_version(self, model: str) -> int | None:
        """The number behind alias `champion`; None where the model or the alias does not exist."""
        with answering(self.tracking.uri):
            return self._aliases(model).get(CHAMPION)

    def aliases(self, model: str) -> dict[str, int]:
        """All aliases of a model; empty where it does not exist."""
        with answering(self.tracking.uri):
            return self._aliases(model)

    def champion(self, model: str) -> Champion | None:
        """The version behind alias `champion`; None where the model or the alias does not exist.

        An alias on a version that cannot be read is an error. Reference and profile are paths only after
        `evergreen.registry.reference.fetch_reference`.
        """
        number = self.champion_version(model)
        if number is None:
            return None
        try:
            return self.version(model, number)
        except UserError as error:
            raise IntegrityError(f"alias champion of {model} points at version {number}, which is gone") from error

    def version(self, model: str, number: int) -> Champion:
        """A version by its number. Raises UserError where there is none."""
        from mlflow.exceptions import MlflowException

        with answering(self.tracking.uri):
            try:
                return _to_champion(self._client.get_model_version(model, str(number)))
            except MlflowException as error:
                if is_missing(error):
                    raise UserError(self._say_missing(model, number)) from error
                raise

    def versions(self, model: str) -> tuple[int, ...]:
        """All version numbers, newest first."""
        with answering(self.tracking.uri):
            return tuple(int(version.version) for version in self._versions(model))

    def every_version(self, model: str) -> tuple[Champion, ...]:
        """All versions, newest first, asked for at once."""
        with answering(self.tracking.uri):
            return tuple(_to_champion(version) for version in self._versions(model))

    def require_deletable(self, model: str, number: int) -> None:
        """Raise ProtectedVersion for a version that production, a person or unfinished work rests on.

        That is the champion, the one before it, by the ledger and not only by alias, what is pinned or held or about
        to be promoted, and whatever an alias points at.
        """
        if self.store is None:
            raise ValueError("without the store nobody knows which versions the ledger needs")
        found = self.version(model, number)
        require_unprotected(model, number, self.aliases(model), self.store)
        require_unheld(model, number, found.tags, self.store)

    def promote(
        self,
        model: str,
        version: int,
        expected_champion: int | None,
        *,
        despite_pin: bool = False,
        fence: int | None = None,
    ) -> None:
        """Make a version champion and keep the old one behind `previous`; for a caller who has the model's `turn`.

        The caller keeps the turn until the champion is in the ledger's history, too: whoever comes in between would
        see an alias that nothing explains. Raises StaleChampion if the champion is not the expected one, or, with a
        `fence`, reigns under another number, and PinnedChampion if it is pinned, unless that is not to matter. A
        version that is champion already is left so.
        """
        with answering(self.tracking.uri):
            aliases = self._aliases(model)
            current = aliases.get(CHAMPION)
            if current != version:
                _expect(model, current, expected_champion)
                self._require_reign(model, fence)
                self._require_kept(model, version)
                if not despite_pin:
                    self._require_unpinned(model)
                # `previous` first: once `champion` is set, everything is.
                if current is not None:
                    self._client.set_registered_model_alias(model, PREVIOUS, str(current))
                self._client.set_registered_model_alias(model, CHAMPION, str(version))
            if aliases.get(CHALLENGER) == version:
                self._client.delete_registered_model_alias(model, CHALLENGER)
            _expect(model, self._aliases(model).get(CHAMPION), version)

    def release(self, model: str, digest: str) -> bool:
        """Take alias `challenger` off the version with this artifact, whose fate is settled; False where it is not on
        it.
        """
        with self._turn(model), answering(self.tracking.uri):
            number = self._aliases(model).get(CHALLENGER)
            if number is None or self.version(model, number).digest != digest:
                return False
            self._client.delete_registered_model_alias(model, CHALLENGER)
            return True

    def turn(self, model: str) -> AbstractContextManager[None]:
        """Wait until nobody changes the model's versions or aliases, and keep others from it meanwhile."""
        return self._turn(model)

    @property
    def _client(self) -> Any:
        return self.tracking.client

    def _say_missing(self, model: str, number: int) -> str:
        note = None if self.store is None else PrunedLog(self.store).version(model, number)
        if note is None:
            return f"{model} has no version {number}; see `evergreen history {model}`"
        return f"version {number} of {model} was {note.said}; only its rows of the ledger are left"

    def _require_kept(self, model: str, version: int) -> None:
        """What was pruned since it was tested cannot become champion."""
        note = None if self.store is None else PrunedLog(self.store).version(model, version)
        if note is not None:
            raise StaleChampion(f"version {version} of {model} was {note.said}; evergreen history {model}")

    def _require_reign(self, model: str, fence: int | None) -> None:
        """A champion that left and came back is the one that was expected, and not the one that was measured."""
        if self.store is not None and fence is not None and Ledger(self.store).fence(model) != fence:
            raise StaleChampion(f"{model}: another version was champion meanwhile; run again, to be measured anew")

    def _require_unpinned(self, model: str) -> None:
        if self.store is not None and (pinned := said_of_pin(self.store, model)):
            raise PinnedChampion(f"{model}: {pinned}; evergreen unpin {model} --why … lets it go")

    def _turn(self, model: str) -> AbstractContextManager[None]:
        if self.store is not None:
            return in_turn(self.store, f"registry:{model}", _PATIENCE_SECONDS)
        if "://" in self.tracking.artifacts:
            return nullcontext()
        return exclusive(Path(self.tracking.artifacts) / f".{model}.lock")

    def _aliases(self, model: str) -> dict[str, int]:
        from mlflow.exceptions import MlflowException

        try:
            registered = self._client.get_registered_model(model)
        except MlflowException as error:
            if is_missing(error):
                return {}
            raise
        return {alias: int(version) for alias, version in registered.aliases.items()}

    def _versions(self, model: str) -> list[Any]:
        # Sorted here, by number: in text version 9 comes after version 10.
        found: list[Any] = []
        token = None
        while page := self._client.search_model_versions(f"name = '{model}'", page_token=token):
            found += page
            token = page.token
            if not token:
                break
        return sorted(found, key=lambda version: int(version.version), reverse=True)

    def _equals(self, model: str, run_id: str, logged: LoggedModel, key: str | None) -> list[Any]:
        """Versions of this very model, oldest first."""
        # Somebody who was killed while pruning may have left one that nobody can go back to any more.
        pruned = PrunedLog(self.store).of(model, Kind.VERSION) if self.store is not None else {}
        same = [v for v in self._versions(model)[::-1] if is_same(v, run_id, logged, key)]
        return [version for version in same if str(version.version) not in pruned]

    def _damage(self, versions: list[Any]) -> dict[int, str]:
        """Of versions that are not complete any more: their number, and what they lack."""
        champions = map(_to_champion, versions)
        found = {c.version: find_damage(self.tracking, c.run_id, c.source, c.digest) for c in champions}
        return {number: what for number, what in found.items() if what}

    def _require_sound(self, model: str, damage: Mapping[int, str]) -> None:
        number = self._aliases(model).get(CHAMPION)
        if number is not None and number in damage:
            raise damaged_champion(model, number, damage[number])

    def _only(self, model: str, created: list[Any]) -> Any:
        """The first of the versions that were created just now; the others are deleted before anybody saw them.

        An answer that is lost on its way makes MLflow's client ask again, and MLflow register twice.
        """
        first, *doubles = created
        for double in doubles:
            require_unprotected(model, int(double.version), self._aliases(model), self.store)
            delete_version(self.tracking, model, int(double.version))
        return first


def said_of_pin(store: str, model: str) -> str:
    """Who pinned a model's champion, since when and why; empty where nobody did."""
    pin = Pins(store).pinned(model)
    return "" if pin is None else f"champion is pinned by {pin.by} since {pin.at:%Y-%m-%d %H:%M} UTC: {pin.why}"


def _expect(model: str, current: int | None, expected: int | None) -> None:
    if current != expected:
        now = "there is none" if current is None else f"version {current} is"
        wanted = "none" if expected is None else f"version {expected}"
        message = f"{model}: the champion was expected to be {wanted}, but {now} champion now"
        raise StaleChampion(f"{message}; run again, to be measured against it")


def _to_champion(version: Any) -> Champion:
    tags = dict(version.tags)
    until = tags.get(tag.TRAINED_UNTIL)
    return Champion(
        model=version.name,
        version=int(version.version),
        run_id=version.run_id,
        source=f"models:/{version.name}/{version.version}",
        digest=tags.get(tag.MODEL_DIGEST, ""),
        trained_until=datetime.fromisoformat(until) if until else None,
        snapshot=tags.get(tag.SNAPSHOT, ""),
        tags=tags,
        registered_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
    )
