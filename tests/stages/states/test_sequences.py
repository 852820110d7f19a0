"""No sequence of runs, answers, rollbacks, pins and crashes leads to a state that the ledger cannot explain."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stages.states.people import People


def test_no_sequence_of_events_leads_where_the_ledger_cannot_follow(template):
    bounds = settings(
        max_examples=30,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(People, settings=bounds)
