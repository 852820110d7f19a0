"""One retraining of a model at a time: what comes in between ends well, and says why it did nothing."""

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from evergreen.gate.decision import DecisionKind
from evergreen.store.turn import holder, take_turn

pytestmark = pytest.mark.slow


@contextmanager
def taken(project, who="somebody else"):
    with take_turn(project.settings.store_url, "tiny", who, datetime.now(UTC)):
        yield


def test_a_run_holds_the_turn_of_its_model_by_its_id(project, retrain, first_moment, monkeypatch):
    from evergreen.stages import assess

    seen, validate = [], assess.validate

    def look(job, settings):
        seen.append(holder(settings.store_url, "tiny"))
        return validate(job, settings)

    monkeypatch.setattr("tasks.validate_snapshot.validate", look)
    retrain(model="tiny", as_of=first_moment)
    (entry,) = project.ledger.entries("tiny")
    assert [found.holder for found in seen] == [entry.flow_run]
    assert holder(project.settings.store_url, "tiny") is None


def test_a_run_that_meets_another_is_dropped_with_a_reason(crowned, retrain, flow_run, second_moment):
    before = crowned.production()
    with taken(crowned, "run 4711"):
        conclusion = retrain(model="tiny", as_of=second_moment)
    assert conclusion.dropped
    assert conclusion.champion == 1
    assert crowned.production() == before
    entry = crowned.ledger.entries("tiny")[0]
    assert (entry.id, entry.kind) == (conclusion.ledger_id, DecisionKind.SKIP)
    (reason,) = entry.reasons
    assert reason.startswith("dropped: ")
    assert "run 4711" in reason
    seen = flow_run(entry.flow_run)
    assert seen["state"].name == "Completed"
    assert "run 4711" in seen["state"].message
    assert seen["name"] == "tiny-manual: dropped"
    assert {"tiny", "SKIP", "dropped"} <= set(seen["tags"])
    assert [run.name for run in seen["tasks"]] == ["drop"]
    assert "run 4711" in seen["artifacts"]["tiny-decision"]


def test_a_dry_run_needs_no_turn(crowned, retrain, second_moment):
    with taken(crowned):
        assert not retrain(model="tiny", as_of=second_moment, dry_run=True).dropped
