"""What people see of a trial, and that they can end it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evergreen.evaluation.totals import Totals
from evergreen.gate.decision import DecisionKind
from evergreen.spec.canary import CanaryRules
from evergreen.store.canary import Canaries


@pytest.fixture
def trial(crowned):
    """Version 2, the same model as version 1 under another number, is tried beside it."""
    registry, (first,) = crowned.registry, crowned.ledger.entries(crowned.model)
    version = registry.version(crowned.model, 1)
    source = registry.tracking.client.get_model_version(crowned.model, "1").source
    registry.tracking.client.create_model_version(crowned.model, source, run_id=version.run_id, tags=version.tags)
    waits = replace(first, id=None, kind=DecisionKind.HOLD, version=2, champion_before=1, champion_after=1)
    waits = replace(waits, fence=crowned.ledger.fence(crowned.model), intention=None, decided_at=datetime.now(UTC))
    held = crowned.ledger.record(replace(waits, reasons=("all checks passed; waits for its canary",)), CanaryRules())
    return Canaries(crowned.settings.store_url).find(held.id)


def test_a_model_that_was_never_tried_says_how_to_begin(crowned, evergreen):
    assert "no canary yet" in evergreen("canary").text
    assert "no canary of tiny yet" in evergreen("canary", "tiny").text
    assert evergreen("canary", "nobody").code == 2


def test_looking_creates_no_database(project, evergreen):
    project.settings.store_file.unlink(missing_ok=True)
    assert evergreen("canary").code == 0
    assert not project.settings.store_file.exists()


def test_a_trial_is_shown_with_its_counts_and_what_is_not_certain(crowned, trial, evergreen):
    canaries = Canaries(crowned.settings.store_url)
    canaries.observe(trial.decision_id, "champion", "a", Totals(9_000, 9, {8: 9_000}), trial.since)
    canaries.observe(trial.decision_id, "challenger", "a", Totals(900, 1, {8: 900}), trial.since)
    shown = evergreen("canary", "tiny").text
    assert "tiny: version 2 is tried beside version 1, and answers 10% of the requests" in shown
    assert "9,000" in shown
    assert "canary_error_increase" in shown
    assert "not certain yet" in shown
    assert "verdict: keep on" in shown
    status = evergreen("status").text
    assert f"decision {trial.decision_id} on tiny is tried on real requests since" in status
    assert "waits for a person" not in status


def test_a_person_ends_a_trial_and_it_is_remembered(crowned, trial, evergreen):
    assert evergreen("reject", trial.decision_id, "--why", "wrong quarter", "--by", "eva").code == 0
    shown = evergreen("canary").text
    assert f"tiny: version 2 (decision {trial.decision_id}) answered at" in shown
    assert "rejected by eva: wrong quarter" in shown
    assert "is tried" not in evergreen("status").text


def test_what_tending_finds_certain_is_done_and_said(crowned, trial, evergreen):
    canaries = Canaries(crowned.settings.store_url)
    canaries.observe(trial.decision_id, "champion", "a", Totals(9_000, 9), trial.since)
    canaries.observe(trial.decision_id, "challenger", "a", Totals(100, 90), trial.since)
    told = evergreen("tend").text
    assert f"canaries: tiny: REJECT of version 2: the canary of decision {trial.decision_id} broke a condition" in told
    assert f"canary of {trial.decision_id}" in evergreen("history", "tiny").text
