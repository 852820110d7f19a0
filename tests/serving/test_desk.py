"""The desk: who answers, changed by one assignment."""

import gc
import weakref
from dataclasses import replace

from evergreen.serving.desk import Desk
from evergreen.serving.handles import Role
from evergreen.serving.ids import Ids
from evergreen.serving.service import Dependencies, build_app
from tests.serving.application import NOW, ROW, ask, served


def challenger(version):
    return replace(served(version), role=Role.CHALLENGER, decision=7)


def test_a_model_without_a_version_is_known_and_not_ready():
    desk = Desk(["parcels", "letters"])
    desk.swap(served())
    assert desk.names == ("parcels", "letters")
    assert (desk.get("parcels"), desk.get("letters"), desk.get("stamps")) == (served(), None, None)
    assert not desk.ready
    assert not Desk().ready


def test_a_version_that_was_replaced_is_let_go():
    first, desk = replace(served(1)), Desk(["parcels"])
    desk.swap(first)
    app = build_app(Dependencies(desk, lambda: NOW, Ids(NOW, "test")), "test")
    assert ask(app, "POST", "/predict", json=ROW).json()["version"] == 1
    desk.swap(replace(served(2)))
    there = weakref.ref(first)
    del first
    assert ask(app, "POST", "/predict", json=ROW).json()["version"] == 2
    gc.collect()
    assert there() is None


def test_who_took_a_reference_keeps_it():
    desk = Desk(["parcels"])
    desk.swap(served(1))
    taken, places = desk.get("parcels"), desk.places
    desk.swap(served(2))
    assert (taken.version, places["parcels"].champion.version) == (1, 1)
    assert desk.get("parcels").version == 2
    assert desk.places is not places
    assert desk.swaps == {"parcels": 2}


def test_a_challenger_stands_beside_the_champion_until_it_is_one():
    desk = Desk(["parcels"])
    desk.swap(served(1))
    desk.swap(challenger(2))
    assert (desk.place("parcels").champion.version, desk.place("parcels").challenger.version) == (1, 2)
    desk.swap(served(3))
    assert desk.place("parcels").challenger.version == 2
    desk.swap(served(2))
    assert (desk.place("parcels").champion.version, desk.place("parcels").challenger) == (2, None)


def test_only_the_version_that_is_meant_is_withdrawn():
    desk = Desk(["parcels"])
    desk.swap(served(1))
    desk.swap(challenger(2))
    desk.withdraw(served(3))
    assert desk.get("parcels").version == 1
    desk.withdraw(challenger(2))
    assert desk.place("parcels").challenger is None
    desk.withdraw(challenger(1))
    assert desk.get("parcels").version == 1, "it is champion, and no challenger any more"
    desk.withdraw(served(1))
    assert desk.get("parcels") is None
    assert not desk.ready
