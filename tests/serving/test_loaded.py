"""Loaded models: who answers, changed by one assignment."""

import gc
import weakref
from dataclasses import replace

from evergreen.serving.handles import Role
from evergreen.serving.ids import Ids
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.service import Dependencies, build_app
from tests.serving.application import NOW, ROW, ask, served


def challenger(version):
    return replace(served(version), role=Role.CHALLENGER, decision=7)


def test_a_model_without_a_version_is_known_and_not_ready():
    loaded = LoadedModels(["parcels", "letters"])
    loaded.swap(served())
    assert loaded.names == ("parcels", "letters")
    assert (loaded.get("parcels"), loaded.get("letters"), loaded.get("stamps")) == (served(), None, None)
    assert not loaded.ready
    assert not LoadedModels().ready


def test_a_version_that_was_replaced_is_let_go():
    first, loaded = replace(served(1)), LoadedModels(["parcels"])
    loaded.swap(first)
    app = build_app(Dependencies(loaded, lambda: NOW, Ids(NOW, "test")), "test")
    assert ask(app, "POST", "/predict", json=ROW).json()["version"] == 1
    loaded.swap(replace(served(2)))
    there = weakref.ref(first)
    del first
    assert ask(app, "POST", "/predict", json=ROW).json()["version"] == 2
    gc.collect()
    assert there() is None


def test_who_took_a_reference_keeps_it():
    loaded = LoadedModels(["parcels"])
    loaded.swap(served(1))
    taken, places = loaded.get("parcels"), loaded.places
    loaded.swap(served(2))
    assert (taken.version, places["parcels"].champion.version) == (1, 1)
    assert loaded.get("parcels").version == 2
    assert loaded.places is not places
    assert loaded.swaps == {"parcels": 2}


def test_a_challenger_stands_beside_the_champion_until_it_is_one():
    loaded = LoadedModels(["parcels"])
    loaded.swap(served(1))
    loaded.swap(challenger(2))
    assert (loaded.place("parcels").champion.version, loaded.place("parcels").challenger.version) == (1, 2)
    loaded.swap(served(3))
    assert loaded.place("parcels").challenger.version == 2
    loaded.swap(served(2))
    assert (loaded.place("parcels").champion.version, loaded.place("parcels").challenger) == (2, None)


def test_only_the_version_that_is_meant_is_withdrawn():
    loaded = LoadedModels(["parcels"])
    loaded.swap(served(1))
    loaded.swap(challenger(2))
    loaded.withdraw(served(3))
    assert loaded.get("parcels").version == 1
    loaded.withdraw(challenger(2))
    assert loaded.place("parcels").challenger is None
    loaded.withdraw(challenger(1))
    assert loaded.get("parcels").version == 1, "it is champion, and no challenger any more"
    loaded.withdraw(served(1))
    assert loaded.get("parcels") is None
    assert not loaded.ready
