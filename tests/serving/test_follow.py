"""Serving follows the champion: fetched once, swapped when another reigns, served on when something is down."""

import shutil
from contextlib import chdir
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import yaml

from evergreen.errors import EvergreenError, IntegrityError, UnavailableError, UserError
from evergreen.registry.artifact import read_verified
from evergreen.serving import fetch as fetching
from evergreen.serving.cache import MODEL, SPEC, Cache, CachedVersion, Lineup, keep_spec
from evergreen.serving.fetch import fetch
from evergreen.serving.follow import Follower
from evergreen.serving.handles import ServedModel
from evergreen.serving.load import load_served
from evergreen.stages.answer import approve, reject
from evergreen.stages.rollback import Target, rollback
from tests.faults.child import smoke_here
from tests.project import SECOND, copy_project

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def reigned_project(crowned_project, tmp_path_factory):
    """Version 2 follows version 1."""
    project = copy_project(crowned_project, tmp_path_factory.mktemp("reigned") / "project")
    with chdir(project.folder):
        assert project.run(SECOND).champion == 2
    return project


@pytest.fixture
def reigned(reigned_project, tmp_path, addresses):
    project = copy_project(reigned_project, tmp_path / "project")
    addresses(project)
    return project


class LoadedModels:
    """Remembers who was put on it."""

    def __init__(self):
        self.served = []
        self.tried = None

    def swap(self, model):
        if model.decision is None:
            self.served.append(model.version)
        else:
            self.tried = model.version

    def withdraw(self, model):
        assert model.version == self.tried
        self.tried = None


class Watch:
    """A clock that goes only when it is told to."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def load_verified(folder, cached: CachedVersion):
    read_verified(folder / MODEL, cached.digest)
    return ServedModel(
        "tiny", cached.version, cached.digest, "classification", (), engine=None, decision=cached.decision
    )


@pytest.fixture
def follow():
    """A follower of a project; `asked` counts how often the registry was asked."""

    def make(project, load=load_verified, fetches=None):
        asked = []

        def ask(model):
            asked.append(model)
            (fetches or (lambda: fetch(model, project.settings, NOW)))()

        follower = Follower(project.model, project.settings, LoadedModels(), load, ask, Watch())
        follower.asked = asked
        return follower

    return make


@pytest.fixture(autouse=True)
def _asked_in_this_process(monkeypatch):
    """A rollback's smoke test has tests of its own; here a fresh process each time would only take time."""
    for module in ("rollback", "answer", "promote"):
        monkeypatch.setattr(f"evergreen.stages.{module}.smoke_test", smoke_here)


def go_back(project, why="it is worse"):
    return rollback(project.model, Target(), "eva", why, project.settings, datetime.now(UTC))


@pytest.fixture(scope="module")
def held_project(crowned_project, tmp_path_factory):
    """Version 2 is on trial beside version 1."""
    project = copy_project(crowned_project, tmp_path_factory.mktemp("held") / "project")
    project.change(promotion={"mode": "canary"})
    with chdir(project.folder):
        assert project.run(SECOND).tried
    return project


@pytest.fixture
def held(held_project, tmp_path, addresses):
    project = copy_project(held_project, tmp_path / "project")
    addresses(project)
    return project


def answer_it(project, answer):
    (waiting,) = project.ledger.pending("tiny")
    return answer(waiting.id, "eva", "I looked at it", project.settings, datetime.now(UTC))


def test_who_is_on_trial_stands_beside_the_champion_until_somebody_answers(held, follow):
    follower = follow(held)
    follower.start()
    assert (follower.loaded.served, follower.loaded.tried) == ([1], 2)
    assert not follower.look()
    assert follower.asked == ["tiny"]
    answer_it(held, reject)
    assert not follower.look()
    assert (follower.loaded.served, follower.loaded.tried) == ([1], None)


def test_who_passed_its_trial_is_champion_and_on_trial_no_more(held, follow):
    follower = follow(held)
    follower.start()
    answer_it(held, approve)
    assert follower.look()
    assert (follower.loaded.served, follower.loaded.tried) == ([1, 2], None)


def test_a_challenger_that_fails_keeps_the_champion_from_nothing(held, follow):
    def only_the_champion(folder, cached):
        if cached.decision is not None:
            raise IntegrityError("it answers differently than when it was trained")
        return load_verified(folder, cached)

    follower = follow(held, load=only_the_champion)
    follower.start()
    assert (follower.loaded.served, follower.loaded.tried) == ([1], None)
    assert "version 2 stays out" in follower.state.problem


def test_the_champion_is_fetched_once_with_its_spec(crowned, follow):
    follower = follow(crowned)
    follower.start()
    assert follower.loaded.served == [1]
    (folder,) = (Cache(crowned.settings.home, "tiny").folder / "versions").iterdir()
    assert {path.name for path in folder.iterdir()} == {MODEL, SPEC, "spec.sha256"}
    assert not follower.look()
    assert follower.asked == ["tiny"]


def test_another_champion_is_swapped_in_at_the_next_look(reigned, follow):
    follower = follow(reigned)
    follower.start()
    assert follower.loaded.served == [2]
    go_back(reigned)
    assert follower.look()
    assert follower.loaded.served == [2, 1]
    assert follower.state.swaps == 1


def test_an_alias_moved_by_hand_is_followed_within_ten_minutes_and_the_registry_is_not_asked_before(reigned, follow):
    follower = follow(reigned)
    follower.start()
    reigned.registry.tracking.client.set_registered_model_alias("tiny", "champion", "1")
    follower.clock.now += timedelta(minutes=9, seconds=59)
    assert not follower.look()
    assert follower.asked == ["tiny"]
    follower.clock.now += timedelta(seconds=1)
    assert follower.look()
    assert follower.loaded.served == [2, 1]


def test_it_starts_without_the_registry_from_what_it_kept(crowned, follow):
    fetch("tiny", crowned.settings, NOW)
    (crowned.settings.home / "mlflow.db").unlink()
    follower = follow(crowned)
    follower.start()
    assert follower.loaded.served == [1]
    assert follower.asked == []


def test_without_registry_and_cache_nothing_starts_and_it_says_why(crowned, follow):
    def down():
        raise UnavailableError("MLflow at http://registry does not answer")

    with pytest.raises(EvergreenError, match="does not answer"):
        follow(crowned, fetches=down).start()


def test_who_was_rolled_back_while_nobody_served_never_serves_again(reigned, follow):
    fetch("tiny", reigned.settings, NOW)
    go_back(reigned)
    follower = follow(reigned)
    assert not follower.resume()
    follower.start()
    assert follower.loaded.served == [1]
    assert not follower.look()
    assert follower.asked == ["tiny"]


def test_where_who_reigns_cannot_be_fetched_the_cache_serves_and_it_is_said(reigned, follow):
    fetch("tiny", reigned.settings, NOW)
    go_back(reigned)
    down = [True]

    def sometimes():
        if down:
            raise UnavailableError("MLflow does not answer")
        fetch("tiny", reigned.settings, NOW)

    follower = follow(reigned, fetches=sometimes)
    follower.start()
    assert follower.loaded.served == [2]
    assert "does not answer" in follower.state.problem
    down.clear()
    assert follower.look()
    assert follower.loaded.served == [2, 1]
    assert follower.state.problem == ""


def test_the_cache_serves_while_the_store_is_down(crowned, follow):
    fetch("tiny", crowned.settings, NOW)
    crowned.settings.store_file.unlink()
    crowned.settings.store_file.mkdir()
    follower = follow(crowned)
    follower.start()
    assert (follower.loaded.served, follower.asked) == ([1], [])


def test_a_registry_that_is_down_is_asked_again_in_a_while_and_the_old_one_serves_on(reigned, follow):
    fetch("tiny", reigned.settings, NOW)
    down = [True]

    def sometimes():
        if down:
            raise UnavailableError("MLflow does not answer")
        fetch("tiny", reigned.settings, NOW)

    follower = follow(reigned, fetches=sometimes)
    follower.start()
    go_back(reigned)
    assert not follower.look()
    assert "does not answer" in follower.state.problem
    assert not follower.look()
    assert len(follower.asked) == 1, "it is not asked at every look"
    down.clear()
    follower.clock.now += timedelta(minutes=1)
    assert follower.look()
    assert follower.loaded.served == [2, 1]
    assert follower.state.problem == ""


def test_a_store_that_is_down_changes_nothing_and_is_told(crowned, follow):
    follower = follow(crowned)
    follower.start()
    store = crowned.settings.store_file
    store.rename(store.with_suffix(".away"))
    store.mkdir()
    assert not follower.look()
    assert not follower.state.store_answers
    store.rmdir()
    store.with_suffix(".away").rename(store)
    assert not follower.look()
    assert follower.state.store_answers
    assert follower.loaded.served == [1]


def test_a_version_that_fails_stays_out_and_a_rollback_is_followed_at_once(reigned, follow):
    go_back(reigned)

    def only_the_first(folder, cached):
        if cached.version != 1:
            raise IntegrityError("it answers differently than when it was trained")
        return load_verified(folder, cached)

    follower = follow(reigned, load=only_the_first)
    follower.start()
    rollback("tiny", Target(version=2), "eva", "try again", reigned.settings, datetime.now(UTC))
    assert not follower.look()
    assert follower.loaded.served == [1]
    assert follower.state.refused == 2
    assert "answers differently" in follower.state.problem
    go_back(reigned, "it does not load")
    assert not follower.look(), "who serves is champion again"
    assert follower.loaded.served == [1]
    assert follower.state.refused is None
    assert follower.state.problem == ""


def test_whatever_a_version_raises_keeps_it_out(crowned, follow):
    def broken(folder, cached):
        raise ZeroDivisionError

    follower = follow(crowned, load=broken)
    with pytest.raises(EvergreenError, match="version 1 stays out: ZeroDivisionError"):
        follower.start()
    (kept,) = (Cache(crowned.settings.home, "tiny").folder / "versions").iterdir()
    assert kept.name == crowned.registry.champion("tiny").digest, "its files are what they should be"


def test_a_machine_that_is_out_of_something_costs_no_copy(crowned, follow, monkeypatch):
    lineup = fetch("tiny", crowned.settings, NOW)
    cache = Cache(crowned.settings.home, "tiny")

    def exhausted(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("evergreen.serving.cache.read_verified", exhausted)
    assert not follow(crowned, load=exhausted).resume()
    assert (cache.version_folder(lineup.champion.digest) / MODEL).exists()


def test_what_does_not_load_is_tried_at_ever_longer_intervals_until_something_changes(reigned, follow):
    go_back(reigned)
    tries = []

    def only_the_first(folder, cached):
        tries.append(cached.version)
        if cached.version != 1:
            raise IntegrityError("it answers differently than when it was trained")
        return load_verified(folder, cached)

    follower = follow(reigned, load=only_the_first)
    follower.start()
    rollback("tiny", Target(version=2), "eva", "try again", reigned.settings, datetime.now(UTC))
    begin = follower.clock()
    tried = []
    for seconds in range(0, 3600, 10):
        follower.clock.now = begin + timedelta(seconds=seconds)
        before = len(tries)
        follower.look()
        tried += [seconds] * (len(tries) - before)
    assert tried == [0, 30, 90, 210, 450, 930, 1530, 2130, 2730, 3330]
    go_back(reigned, "it does not load")
    follower.look()
    assert follower.state.problem == ""


def test_a_follower_opens_the_store_once(crowned, follow, monkeypatch):
    from evergreen.store import poll

    opened = []
    open_engine = poll.open_engine

    def count(url):
        engine = open_engine(url)
        sa.event.listen(engine, "connect", lambda *_: opened.append(url))
        return engine

    monkeypatch.setattr(poll, "open_engine", count)
    follower = follow(crowned)
    follower.start()
    assert opened == [], "a copy of this process may be made until then"
    for _ in range(5):
        follower.look()
    assert len(opened) == 1


def test_a_version_knows_whether_the_names_of_rows_are_kept_and_how_many_are_explored(crowned):
    lineup = fetch("tiny", crowned.settings, NOW)
    folder = Cache(crowned.settings.home, "tiny").version_folder(lineup.champion.digest)
    plain = load_served(folder, lineup.champion)
    assert (plain.keeps_rows, plain.explore) == (True, 0)
    values = yaml.safe_load((folder / SPEC).read_text())
    values["data"]["id_column"] = "card"
    values["serving"] = {"capture": {"leave_out": ["card"]}, "explore": {"share": 0.02}}
    edited = folder.parent / "edited.yaml"
    edited.write_text(yaml.safe_dump(values))
    keep_spec(folder, edited)
    edited_version = load_served(folder, lineup.champion)
    assert (edited_version.keeps_rows, edited_version.explore) == (False, 0.02)


def test_what_another_worker_just_fetched_is_taken_as_it_is(reigned):
    soon, later, enough = NOW + timedelta(seconds=5), NOW + timedelta(minutes=5), timedelta(seconds=20)
    noted = fetch("tiny", reigned.settings, NOW)
    assert fetch("tiny", reigned.settings, soon, enough) == noted
    assert fetch("tiny", reigned.settings, later, enough).checked_at == later
    go_back(reigned)
    assert fetch("tiny", reigned.settings, later, enough).champion.version == 1
    cache = Cache(reigned.settings.home, "tiny")
    digest = cache.lineup().champion.digest
    cache.forget(digest)
    fetch("tiny", reigned.settings, later, enough)
    assert cache.version_folder(digest).exists()


def test_what_a_fetch_says_of_a_challenger_is_logged(caplog):
    fetching._pass_on("tiny", "INFO mlflow: something\ntiny: the challenger stays out: it is gone\n")
    (record,) = caplog.records
    assert record.getMessage().endswith("tiny: the challenger stays out: it is gone")


def test_files_that_were_changed_in_the_cache_are_fetched_anew(crowned, follow):
    lineup = fetch("tiny", crowned.settings, NOW)
    folder = Cache(crowned.settings.home, "tiny").version_folder(lineup.champion.digest)
    (folder / MODEL / "requirements.txt").write_text("something-else")
    follower = follow(crowned)
    follower.start()
    assert follower.loaded.served == [1]
    assert follower.asked == ["tiny"]


def test_an_artifact_that_is_not_the_promoted_one_is_not_kept(crowned):
    champion = crowned.registry.champion("tiny")
    (pipeline,) = (crowned.settings.home / "artifacts").rglob("model.skops")
    pipeline.write_bytes(pipeline.read_bytes() + b" ")
    with pytest.raises(IntegrityError, match="digest"):
        fetch("tiny", crowned.settings, NOW)
    cache = Cache(crowned.settings.home, "tiny")
    assert cache.lineup() is None
    assert not cache.version_folder(champion.digest).exists()


def test_a_model_without_champion_is_a_clear_error(prepared_project, tmp_path, addresses):
    project = copy_project(prepared_project, tmp_path / "project")
    addresses(project)
    with pytest.raises(UserError, match="has no champion"):
        fetch("tiny", project.settings, NOW)


def test_a_fetch_that_is_cut_short_leaves_nothing_half(tmp_path):
    cache = Cache(tmp_path, "tiny")

    def cut_short(folder):
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.keep("digest", cut_short)
    assert not cache.version_folder("digest").exists()
    assert cache.keep("digest", lambda folder: (folder / "whole").write_text("")).joinpath("whole").exists()


@pytest.mark.parametrize("noted", ["", "{", "[]", '{"champion": null}', '{"champion": {"version": 1}, "fence": 1}'])
def test_a_note_that_is_not_whole_is_none(tmp_path, noted):
    cache = Cache(tmp_path, "tiny")
    cache.folder.mkdir(parents=True)
    (cache.folder / "lineup.json").write_text(noted)
    assert cache.lineup() is None


def test_only_the_newest_of_those_that_serve_no_more_are_kept(tmp_path):
    cache = Cache(tmp_path, "tiny")
    for number in range(6):
        folder = cache.keep(f"digest-{number}", lambda folder: None)
        shutil.os.utime(folder, (number, number))
    cache.clear(Lineup(CachedVersion(1, "digest-0", "run"), 1, NOW))
    kept = sorted(path.name for path in (cache.folder / "versions").iterdir())
    assert kept == ["digest-0", "digest-3", "digest-4", "digest-5"]
