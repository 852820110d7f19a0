"""The spec in the cache says what is never kept of a request: one that somebody changed there is not followed."""

from datetime import UTC, datetime

import pytest
import yaml

from evergreen.errors import EvergreenError, IntegrityError, UnavailableError
from evergreen.serving.cache import SPEC, Cache
from evergreen.serving.fetch import fetch
from evergreen.serving.follow import Follower
from evergreen.serving.load import load_served
from evergreen.serving.loaded import LoadedModels

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def folder(crowned):
    lineup = fetch("tiny", crowned.settings, NOW)
    return Cache(crowned.settings.home, "tiny").version_folder(lineup.champion.digest)


def edit(folder):
    """As somebody would who wants more of a request to be kept, or a rule to go."""
    text = (folder / SPEC).read_text()
    (folder / SPEC).write_text(yaml.safe_dump({**yaml.safe_load(text), "serving": {"capture": {"share": 0.5}}}))
    return text


def follower_of(project, fetches):
    return Follower(project.model, project.settings, LoadedModels(("tiny",)), load_served, fetches, lambda: NOW)


def test_a_spec_that_was_changed_in_the_cache_is_refused_before_the_model_is_loaded(crowned, folder):
    edit(folder)
    champion = Cache(crowned.settings.home, "tiny").lineup().champion
    with pytest.raises(IntegrityError, match=r"spec\.yaml: was changed since it was fetched"):
        load_served(folder, champion)


def test_it_is_fetched_anew_at_a_start(crowned, folder):
    before = edit(folder)
    follower = follower_of(crowned, lambda model: fetch(model, crowned.settings, NOW))
    follower.start()
    assert follower.state.problem == ""
    assert (folder / SPEC).read_text() == before


def test_without_the_registry_nothing_is_served_rather_than_by_other_rules(crowned, folder):
    def down(model):
        raise UnavailableError("MLflow does not answer")

    edit(folder)
    with pytest.raises(EvergreenError, match="MLflow does not answer"):
        follower_of(crowned, down).start()


def test_a_fetch_mends_it_beside_whoever_serves(crowned, folder):
    before = edit(folder)
    fetch("tiny", crowned.settings, NOW)
    assert (folder / SPEC).read_text() == before


def test_a_cache_of_an_older_evergreen_serves_and_the_next_fetch_notes_the_digest(crowned, folder):
    (folder / "spec.sha256").unlink()
    champion = Cache(crowned.settings.home, "tiny").lineup().champion
    assert load_served(folder, champion).version == 1
    before = edit(folder)
    fetch("tiny", crowned.settings, NOW)
    assert (folder / SPEC).read_text() == before
    assert (folder / "spec.sha256").exists()
