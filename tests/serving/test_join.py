"""Models join those that are served when they get their first champion, without anybody starting anything."""

import logging
import shutil
import threading
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.errors import UnavailableError
from evergreen.registry.artifact import read_verified
from evergreen.serving.cache import MODEL, cached_models
from evergreen.serving.fetch import fetch
from evergreen.serving.follow import Follower
from evergreen.serving.handles import ServedModel
from evergreen.serving.join import Joiner, models_to_serve
from evergreen.serving.loaded import LoadedModels
from tests.servers import wait_for

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Watch:
    """A clock that goes only when it is told to."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def load_verified(folder, kept):
    read_verified(folder / MODEL, kept.digest)
    return ServedModel("tiny", kept.version, kept.digest, "classification", (), engine=None)


@pytest.fixture
def join():
    """A joiner for a project, with no model loaded; `fetches` counts how often the registry was asked."""

    def make(project, wanted=(), fetching=None):
        settings, loaded, watch = project.settings, LoadedModels(), Watch()
        asked = []

        def ask(model):
            asked.append(model)
            (fetching or (lambda: fetch(model, settings, NOW)))()

        joiner = Joiner(
            lambda known: models_to_serve(wanted, known, settings),
            lambda name: Follower(name, settings, loaded, load_verified, ask, watch),
            watch,
        )
        joiner.loaded, joiner.asked = loaded, asked
        return joiner

    return make


def test_who_gets_its_first_champion_while_others_are_served_joins_them(crowned, prepared_project, join):
    store = crowned.settings.store_file
    later = store.rename(store.with_suffix(".later"))
    shutil.copy(prepared_project.settings.store_file, store)
    joiner = join(crowned)
    assert joiner.look() == []
    assert joiner.asked == [], "nobody asks the registry for what the ledger does not know"
    assert not joiner.loaded.ready
    later.replace(store)
    (follower,) = joiner.look()
    assert joiner.followers == {"tiny": follower}
    assert joiner.loaded.get("tiny").version == 1
    assert joiner.loaded.ready
    assert joiner.look() == []


def test_who_was_named_is_waited_for_and_nobody_else(crowned, join):
    assert join(crowned, wanted=("another",)).look() == []
    assert len(join(crowned, wanted=("tiny",)).look()) == 1


def test_who_cannot_be_fetched_is_told_once_and_tried_again_in_a_while(crowned, join, caplog):
    down = [True]

    def sometimes():
        if down:
            raise UnavailableError("MLflow does not answer")
        fetch("tiny", crowned.settings, NOW)

    joiner = join(crowned, fetching=sometimes)
    with caplog.at_level(logging.WARNING, "evergreen.join"):
        for _ in range(3):
            assert joiner.look() == []
            joiner.clock.now += timedelta(seconds=20)
    assert len(joiner.asked) == 2
    (told,) = [record.getMessage() for record in caplog.records if record.name == "evergreen.join"]
    assert "tiny cannot be served yet: MLflow does not answer" in told
    down.clear()
    joiner.clock.now += timedelta(minutes=1)
    assert len(joiner.look()) == 1


def test_who_breaks_in_an_unexpected_way_keeps_nobody_else_waiting(crowned, join):
    joiner = join(crowned)
    make = joiner.make

    def broken():
        raise RuntimeError("nobody thought of this")

    class Broken:
        start = staticmethod(broken)

    joiner.find = lambda known: [name for name in ("another", "tiny") if name not in known]
    joiner.make = lambda name: make(name) if name == "tiny" else Broken()
    assert [follower.model for follower in joiner.look()] == ["tiny"]
    assert set(joiner.followers) == {"tiny"}


def test_while_the_store_is_down_who_was_served_before_is_known_from_the_cache(crowned, join):
    fetch("tiny", crowned.settings, NOW)
    store = crowned.settings.store_file
    store.unlink()
    store.mkdir()
    assert cached_models(crowned.settings.home) == ("tiny",)
    assert models_to_serve((), (), crowned.settings) == ("tiny",)
    assert models_to_serve(("another",), (), crowned.settings) == ()
    joiner = join(crowned)
    assert len(joiner.look()) == 1
    assert joiner.asked == []


def test_who_is_in_the_cache_answers_at_once_and_who_is_not_asks_nobody(crowned, join):
    joiner = join(crowned)
    assert not joiner.make("tiny").resume()
    assert joiner.loaded.get("tiny") is None
    fetch("tiny", crowned.settings, NOW)
    assert joiner.make("tiny").resume()
    assert joiner.loaded.get("tiny").version == 1
    assert joiner.asked == []


def test_what_goes_wrong_in_looking_ends_nothing_and_who_joins_is_followed(crowned, join):
    joiner = join(crowned)
    find, broken, stop = joiner.find, [True], threading.Event()

    def sometimes(known):
        if broken:
            raise RuntimeError("this should not have happened")
        return find(known)

    joiner.find = sometimes
    looking = threading.Thread(target=joiner.join, args=(stop, 0.01), daemon=True)
    looking.start()
    broken.clear()
    wait_for(lambda: joiner.loaded.ready, seconds=60, pause_seconds=0.02)
    assert wait_for(lambda: [t for t in threading.enumerate() if t.name == "follow"], seconds=10)
    stop.set()
    looking.join(10)
    assert not looking.is_alive()
