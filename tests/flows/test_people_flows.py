"""The forms by which people approve and roll back: what they ask, what they refuse, what their runs show."""

import importlib
from dataclasses import replace

import pytest

from evergreen.errors import UserError
from evergreen.gate.decision import DecisionKind

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def approve(orchestrator):
    return importlib.import_module("flows.approve").approve


@pytest.fixture(scope="session")
def rollback(orchestrator):
    return importlib.import_module("flows.rollback").rollback


@pytest.fixture
def held(crowned):
    """A decision that holds version 2: the same model as version 1, under another number."""
    registry, (first,) = crowned.registry, crowned.ledger.entries(crowned.model)
    version = registry.version(crowned.model, 1)
    source = registry.tracking.client.get_model_version(crowned.model, "1").source
    registry.tracking.client.create_model_version(crowned.model, source, run_id=version.run_id, tags=version.tags)
    waits = replace(first, id=None, kind=DecisionKind.HOLD, version=2, champion_before=1, champion_after=1)
    waits = replace(waits, fence=crowned.ledger.fence(crowned.model), intention=None)
    return crowned.ledger.record(waits)


@pytest.mark.parametrize("name", ["approve", "rollback"])
def test_every_field_of_a_form_is_flat_and_described(name, request):
    schema = request.getfixturevalue(name).parameters.model_dump()
    assert all(field.get("description") for field in schema["properties"].values()), schema
    assert {"why", "by"} <= set(schema["required"])


def test_a_form_refuses_what_makes_no_answer(approve):
    good = {"decision": 1, "verdict": "approve", "why": "fine", "by": "eva"}
    bad = [{"decision": 0}, {"verdict": "maybe"}, {"why": ""}, {"by": ""}]
    approve.validate_parameters(good)
    for wrong in bad:
        with pytest.raises(Exception, match=next(iter(wrong))):
            approve.validate_parameters({**good, **wrong})


def test_an_answer_from_a_form_stands_in_the_ledger_and_on_the_page_of_its_run(crowned, held, approve, flow_run):
    state = approve(held.id, "approve", "seen it", "eva", return_state=True)
    entry = crowned.ledger.resolution(held.id)
    assert (entry.decided_by, entry.reasons, crowned.champion()) == ("eva", ("approved by eva: seen it",), 2)
    seen = flow_run(str(state.state_details.flow_run_id))
    assert "version 2 is champion" in seen["artifacts"]["tiny-answer"]
    assert "approved by eva: seen it" in seen["artifacts"]["tiny-answer"]
    with pytest.raises(UserError, match="answered already"):
        approve(held.id, "reject", "too late", "tom")


def test_a_rollback_from_a_form_brings_the_earlier_champion_back(crowned, held, approve, rollback, flow_run):
    approve(held.id, "approve", "seen it", "eva")
    state = rollback("tiny", "refunds are missing", "tom", pin=True, return_state=True)
    assert crowned.champion() == 1
    seen = flow_run(str(state.state_details.flow_run_id))
    assert "rolled back to version 1 by tom: refunds are missing" in seen["artifacts"]["tiny-rollback"]
    with pytest.raises(UserError, match="never champion"):
        rollback("tiny", "further", "tom", to=9)
