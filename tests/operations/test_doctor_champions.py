"""The doctor tells of a registry that is not where the ledger put it, and changes neither."""

from datetime import UTC, datetime

import pytest

from evergreen.operations.doctor.champions import look_at_champions
from evergreen.operations.doctor.finding import Health
from evergreen.operations.doctor.patient import Patient


def found(project):
    (finding,) = look_at_champions(Patient(project.settings, {}, lambda: datetime.now(UTC), ports={}))
    return finding


def test_a_champion_that_the_ledger_put_there_is_well(crowned):
    assert (found(crowned).outcome, found(crowned).what) == (
        Health.OK,
        "the aliases of 1 are where the ledger put them",
    )


@pytest.mark.parametrize(
    ("policy", "step"),
    [("report", "evergreen rollback tiny"), ("restore", "evergreen reconcile tiny, or the next run")],
)
def test_an_alias_that_somebody_removed_is_wrong_and_the_step_is_that_of_the_spec(crowned, policy, step):
    crowned.change(promotion={"moved_by_hand": policy})
    crowned.registry.tracking.client.delete_registered_model_alias("tiny", "champion")
    state = crowned.state()
    finding = found(crowned)
    assert finding.outcome is Health.WRONG
    assert finding.what.startswith("alias champion of tiny is gone, but the ledger knows of version 1")
    assert finding.do.startswith(step)
    assert crowned.state() == state


def test_a_registry_that_is_gone_says_nothing_about_its_aliases_and_is_not_created(crowned):
    crowned.settings.tracking_file.unlink()
    assert found(crowned).outcome is Health.UNKNOWN
    assert not crowned.settings.tracking_file.exists()
