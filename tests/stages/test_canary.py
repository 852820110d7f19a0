"""A run in mode canary, its trial, and what the counts make of it, with a registry and a smoke test that are real."""

from contextlib import chdir
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.evaluation.totals import Totals
from evergreen.gate.decision import DecisionKind
from evergreen.stages.canary import advance_canaries
from evergreen.stages.conclude import to_text
from evergreen.store.canary import Canaries
from evergreen.store.canary_end import Ended
from evergreen.store.entry import Cause

NOW = datetime(2026, 5, 2, 9, tzinfo=UTC)
FINE, BAD = Totals(20_000, 20, {0: 20_000}), Totals(1_000, 500, {0: 1_000})


@pytest.fixture(scope="session")
def tried_project(crowned_project, copied, second_moment, tmp_path_factory):
    project = copied(crowned_project, tmp_path_factory.mktemp("tried") / "project")
    project.change(promotion={"mode": "canary", "canary": {"within": "3d"}})
    with chdir(project.folder):
        conclusion = project.run(second_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    assert "**It is tried on real requests**" in to_text(conclusion)
    return project


@pytest.fixture
def tried(tried_project, copied, addresses, tmp_path):
    """A project whose second challenger is tried beside version 1."""
    project = copied(tried_project, tmp_path / "project")
    addresses(project)
    return project


def count(project, challenger):
    canaries = Canaries(project.settings.store_url)
    (trial,) = canaries.open(project.model)
    canaries.observe(trial.decision_id, "champion", "a", FINE, NOW)
    canaries.observe(trial.decision_id, "challenger", "a", challenger, NOW)
    return trial


def test_a_challenger_that_stands_its_trial_is_promoted_by_the_rules_it_was_written_with(tried):
    # Who edits the spec changes the next trial.
    tried.change(promotion={"mode": "canary", "canary": {"at_least": 1_000_000}})
    trial = count(tried, FINE)
    assert (trial.rules.within, trial.champion, trial.challenger) == (timedelta(days=3), 1, 2)
    (entry,) = advance_canaries(tried.settings, NOW)
    assert (entry.kind, entry.cause, entry.resolves) == (DecisionKind.PROMOTE, Cause.CANARY, trial.decision_id)
    assert tried.registry.aliases(tried.model) == {"champion": 2, "previous": 1}
    assert [crown.version for crown in tried.ledger.history(tried.model)] == [1, 2]
    assert advance_canaries(tried.settings, NOW) == ()
    assert tried.ledger.verify() == ()


def test_a_challenger_that_fails_it_is_rejected_and_not_asked_about_again(tried, second_moment):
    count(tried, BAD)
    (entry,) = advance_canaries(tried.settings, NOW)
    assert (entry.kind, entry.champion_after) == (DecisionKind.REJECT, 1)
    assert tried.registry.aliases(tried.model) == {"champion": 1}
    again = tried.run(second_moment).evidence.decision
    assert again.kind is DecisionKind.SKIP
    assert "broke a condition" in again.reasons[0]
    assert Canaries(tried.settings.store_url).history()[0].outcome is Ended.ROLLED_BACK


def test_the_first_champion_of_a_model_has_nobody_to_be_tried_beside(project):
    project.change(promotion={"mode": "canary"})
    assert project.run().champion == 1
    assert Canaries(project.settings.store_url).history() == ()


def test_what_a_check_cannot_tell_is_for_a_person_and_not_for_a_trial(crowned, second_moment):
    crowned.change(promotion={"mode": "canary"}, gates__slices={"by": ["plan"], "min_rows": 100_000})
    assert crowned.run(second_moment).evidence.decision.kind is DecisionKind.HOLD
    assert Canaries(crowned.settings.store_url).history() == ()
