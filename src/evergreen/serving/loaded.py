"""Which versions answer now. Whoever asks takes the reference once, so an answer is wholly of one version."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from evergreen.serving.handles import Role, ServedModel


@dataclass(frozen=True)
class Place:
    """Who answers for one model: its champion, and a challenger where one is on trial."""

    champion: ServedModel | None = None
    challenger: ServedModel | None = None


class LoadedModels:
    """The places of the models that this process serves.

    Readers take no lock: every change is one assignment of a new mapping. Writers may be several threads.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._places: Mapping[str, Place] = {name: Place() for name in names}
        self._writing = Lock()
        self.swaps: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The models that are served, loaded or not."""
        return tuple(self._places)

    @property
    def places(self) -> Mapping[str, Place]:
        """Every place as it is now; never changed afterwards, so that its identity tells whether anything was."""
        return self._places

    @property
    def ready(self) -> bool:
        """True where every model has a champion."""
        places = self._places
        return bool(places) and all(place.champion is not None for place in places.values())

    def get(self, name: str) -> ServedModel | None:
        """The champion of a model; None where there is none, or no such model."""
        place = self._places.get(name)
        return None if place is None else place.champion

    def place(self, name: str) -> Place | None:
        """Champion and challenger of a model, as of one moment; None where it is not served."""
        return self._places.get(name)

    def swap(self, model: ServedModel) -> None:
        """Let a version answer in its role from now on. One that becomes champion is challenger no more."""
        with self._writing:
            place = self._places.get(model.model, Place())
            if model.role is Role.CHALLENGER:
                place = replace(place, challenger=model)
            else:
                rival = place.challenger
                done = rival is not None and rival.version == model.version
                place = replace(place, champion=model, challenger=None if done else rival)
                self.swaps[model.model] = self.swaps.get(model.model, 0) + 1
            self._put(model.model, place)

    def withdraw(self, model: ServedModel) -> None:
        """Take a version off in the role it was given; another one that came meanwhile stays."""
        with self._writing:
            place = self._places.get(model.model, Place())
            if model.role is Role.CHALLENGER:
                place = replace(place, challenger=None if _same(place.challenger, model) else place.challenger)
            else:
                place = replace(place, champion=None if _same(place.champion, model) else place.champion)
            self._put(model.model, place)

    def _put(self, name: str, place: Place) -> None:
        self._places = {**self._places, name: place}


def _same(one: ServedModel | None, other: ServedModel) -> bool:
    return one is not None and (one.version, one.digest) == (other.version, other.digest)
