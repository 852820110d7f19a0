import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from evergreen.checks import Outcome
from evergreen.errors import IntegrityError, PinnedChampion, UserError
from evergreen.registry.handles import LoggedModel
from evergreen.registry.model import log_model
from evergreen.registry.provenance import Provenance
from evergreen.registry.reference import fetch_reference, log_reference
from evergreen.registry.smoke import smoke_test
from evergreen.registry.tracking import Tracking
from evergreen.registry.versions import Registry, StaleChampion
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pins

UNTIL = datetime(2026, 2, 1, tzinfo=UTC)
TAGS = Provenance(
    snapshot="5e1f",
    spec_digest="0a",
    code="c0de",
    commit="c0ffee",
    reason="scheduled",
    flow_run="f1",
    training_key="k1",
    trained_until=UNTIL,
    metrics={"f1": 0.9, "auc": None},
).to_tags()


@pytest.fixture
def ten_versions(tracking, tmp_path) -> None:
    """Ten versions of `churn`; MLflow does not mind that there is no model behind them."""
    run = tracking.start_run("churn", "first", {})
    tracking.client.create_registered_model("churn")
    for _ in range(10):
        tracking.client.create_model_version("churn", str(tmp_path), run_id=run.run_id)


def test_registering_thrice_gives_one_version(registry, logged):
    registered = [registry.register("churn", *logged, TAGS, "card") for _ in range(3)]
    assert {item.version for item in registered} == {1}
    assert registry.versions("churn") == (1,)
    assert registered[0].uri == "models:/churn/1"


@pytest.fixture
def train_again(tracking, customers, labels, encoding, requirements):
    """Another run that trains from the beginning and logs its model, as `logged` did."""

    def train(rows: int = 300, sent: int = 300) -> tuple[str, LoggedModel]:
        pipeline = make_pipeline(clone(encoding), LogisticRegression()).fit(customers[:rows], labels[:rows])
        run = tracking.start_run("churn", "again", {})
        return run.run_id, log_model(tracking, run.run_id, pipeline, customers.head(sent), requirements)

    return train


def test_the_same_training_in_another_run_finds_the_version_that_is_there(registry, tracking, logged, train_again):
    registered = registry.register("churn", *logged, TAGS, "card")
    again = train_again()
    assert again[1].digest != logged[1].digest, "MLflow writes ids into what it saves"
    found = registry.register("churn", *again, TAGS, "card")
    assert registry.versions("churn") == (1,)
    assert found == registered
    assert smoke_test(tracking, found.uri, found.digest).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("training", "tags"),
    [
        ({"rows": 200}, {}),  # another model
        ({"sent": 50}, {}),  # asked for other rows
        ({}, {"evergreen.training_key": "k2"}),
    ],
)
def test_another_training_is_another_version(registry, logged, train_again, training, tags):
    registry.register("churn", *logged, TAGS, "card")
    assert registry.register("churn", *train_again(**training), TAGS | tags, "card").version == 2


def test_trainings_that_nobody_named_are_not_the_same(registry, logged, train_again):
    registry.register("churn", *logged, {}, "card")
    assert registry.register("churn", *train_again(), {}, "card").version == 2


def test_a_retrained_twin_with_other_bytes_is_another_version(registry, tracking, logged, pipeline, customers):
    registry.register("churn", *logged, TAGS, "card")
    run = tracking.start_run("churn", "second", {})
    again = log_model(tracking, run.run_id, pipeline, customers.head(50), ("pandas==3.0.6",))
    assert registry.register("churn", run.run_id, again, TAGS, "card").version == 2


def test_what_is_registered_is_the_challenger_with_all_its_tags(registry, logged):
    run_id, model = logged
    registered = registry.register("churn", run_id, model, TAGS, "A card.")
    assert registry.aliases("churn") == {"challenger": 1}
    version = registry.version("churn", registered.version)
    assert (version.run_id, version.digest, version.snapshot) == (run_id, model.digest, "5e1f")
    assert version.trained_until == UNTIL
    assert version.tags.items() >= TAGS.items()
    assert json.loads(version.tags["evergreen.metrics"]) == {"f1": 0.9, "auc": None}


def test_there_is_no_champion_before_the_first_promotion(registry, logged):
    assert registry.champion("churn") is None
    registry.register("churn", *logged, TAGS, "card")
    assert registry.champion("churn") is None
    assert registry.champion_version("churn") is None


def test_a_promotion_moves_the_aliases(registry, logged):
    registry.register("churn", *logged, TAGS, "card")
    registry.promote("churn", 1, None)
    assert registry.aliases("churn") == {"champion": 1}
    assert registry.champion("churn") == registry.version("churn", 1)


def test_the_old_champion_stays_within_reach(registry, ten_versions):
    registry.promote("churn", 9, None)
    registry.promote("churn", 10, 9)
    assert registry.aliases("churn") == {"champion": 10, "previous": 9}


def test_promoting_the_champion_again_changes_nothing(registry, ten_versions):
    registry.promote("churn", 9, None)
    registry.promote("churn", 10, 9)
    registry.promote("churn", 10, 9)
    assert registry.aliases("churn") == {"champion": 10, "previous": 9}


def test_version_ten_is_newer_than_version_nine(registry, ten_versions):
    assert registry.versions("churn") == (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
    registry.promote("churn", 10, None)
    assert registry.champion_version("churn") == 10
    assert registry.champion("churn").version == 10


@pytest.mark.parametrize(("champion", "expected"), [(9, 8), (9, None), (None, 8)])
def test_a_stale_champion_is_refused_and_nothing_moves(registry, ten_versions, champion, expected):
    if champion:
        registry.promote("churn", champion, None)
    before = registry.aliases("churn")
    with pytest.raises(StaleChampion, match="run again"):
        registry.promote("churn", 10, expected)
    assert registry.aliases("churn") == before


@pytest.fixture(params=["a lock file", "sqlite", "postgresql"])
def turns(request, tmp_path):
    """Where turns are taken: beside the artifacts, or through the store."""
    if request.param == "a lock file":
        return None
    server = request.param == "postgresql"
    store = request.getfixturevalue("cluster").create_database() if server else f"sqlite:///{tmp_path / 'store.db'}"
    Ledger(store).prepare()
    return store


def promote_in_turn(registry, version, expected):
    with registry.turn("churn"):
        registry.promote("churn", version, expected)


def test_of_two_promotions_at_once_one_is_stale(registry, tracking, ten_versions, turns):
    registry.promote("churn", 8, None)
    others = [Registry(Tracking(tracking.uri, tracking.artifacts), turns) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        started = [pool.submit(promote_in_turn, other, n, 8) for other, n in zip(others, (9, 10), strict=True)]
        failures = [future.exception() for future in started]
    (lost,) = [failure for failure in failures if failure is not None]
    assert isinstance(lost, StaleChampion)
    assert registry.aliases("churn") == {"champion": 9 if failures[0] is None else 10, "previous": 8}


def test_of_two_registrations_at_once_one_finds_the_other(registry, tracking, logged):
    others = [Registry(Tracking(tracking.uri, tracking.artifacts)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        started = [pool.submit(other.register, "churn", *logged, TAGS, "card") for other in others]
        assert {future.result().version for future in started} == {1}
    assert registry.versions("churn") == (1,)


def test_a_pin_holds_within_the_turn_and_lets_a_person_pass(registry, tracking, ten_versions, tmp_path):
    store = f"sqlite:///{tmp_path / 'store.db'}"
    Ledger(store).prepare()
    heedful = Registry(tracking, store)
    heedful.promote("churn", 8, None)
    Pins(store).pin("churn", "tom", "audit", UNTIL)
    with pytest.raises(PinnedChampion, match=r"pinned by tom since .* audit; evergreen unpin churn"):
        heedful.promote("churn", 9, 8)
    heedful.promote("churn", 8, 8)
    assert heedful.champion_version("churn") == 8
    heedful.promote("churn", 9, 8, despite_pin=True)
    assert heedful.champion_version("churn") == 9


def test_the_challenger_is_released_by_its_artifact_only(registry, logged):
    registered = registry.register("churn", *logged, TAGS, "card")
    assert not registry.release("churn", "another digest")
    assert registry.aliases("churn") == {"challenger": 1}
    assert registry.release("churn", registered.digest)
    assert not registry.release("churn", registered.digest)
    assert registry.aliases("churn") == {}


def test_a_version_that_does_not_exist_is_a_mistake_of_the_user(registry, ten_versions):
    with pytest.raises(UserError, match="no version 11"):
        registry.version("churn", 11)


def test_an_alias_on_a_version_that_is_gone_is_no_absence(registry, tracking, ten_versions, monkeypatch):
    registry.promote("churn", 10, None)
    monkeypatch.setattr(type(registry), "version", no_such_version)
    with pytest.raises(IntegrityError, match="version 10, which is gone"):
        registry.champion("churn")


def no_such_version(self, model, number):
    raise UserError(f"{model} has no version {number}")


def test_the_reference_is_fetched_once_and_checked(registry, tracking, logged, tmp_path):
    run_id, _ = logged
    files = [tmp_path / "reference.parquet", tmp_path / "profile.json"]
    for file in files:
        file.write_bytes(file.name.encode())
    log_reference(tracking, run_id, *files)
    registry.register("churn", *logged, TAGS, "card")
    registry.promote("churn", 1, None)
    bare = registry.champion("churn")
    assert (bare.reference, bare.profile) == ("", "")
    found = fetch_reference(tracking, bare, tmp_path / "cache")
    assert Path(found.profile).read_bytes() == b"profile.json"

    kept = tmp_path / "artifacts" / "churn" / run_id / "artifacts" / "reference"
    for file in kept.iterdir():
        file.write_bytes(b"tampered")
    assert fetch_reference(tracking, bare, tmp_path / "cache") == found
    with pytest.raises(IntegrityError, match=r"reference\.parquet of churn version 1 has digest"):
        fetch_reference(tracking, bare, tmp_path / "new")


@pytest.mark.parametrize("from_a_run", [True, False])
def test_a_champion_that_was_registered_by_other_means_is_named_with_the_way_out(
    registry, tracking, tmp_path, from_a_run
):
    run = tracking.start_run("churn", "by hand", {})
    tracking.client.create_registered_model("churn")
    tracking.client.create_model_version("churn", str(tmp_path), run_id=run.run_id if from_a_run else None)
    registry.promote("churn", 1, None)
    with pytest.raises(IntegrityError, match=r"churn version 1 is champion, but has no reference .* alias champion"):
        fetch_reference(tracking, registry.champion("churn"), tmp_path / "cache")
