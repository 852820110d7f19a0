"""What a spec says about an alias moved by hand is done by runs and by `evergreen reconcile`, on real artifacts."""

from datetime import UTC, datetime

import pytest

from evergreen.errors import IntegrityError
from evergreen.gate.decision import Reason
from evergreen.stages.audit import audit
from evergreen.stages.moved import policy_of
from evergreen.stages.open import open_run
from evergreen.stages.run import Origin, Request
from evergreen.stages.tidy import tidy
from evergreen.store.entry import Cause

NOW = datetime(2036, 5, 2, 9, tzinfo=UTC)


@pytest.fixture
def bereft(crowned):
    """A project whose alias somebody has deleted."""
    crowned.registry.tracking.client.delete_registered_model_alias(crowned.model, "champion")
    return crowned


def begin(project, **options):
    return open_run(Request(project.model, NOW, Reason.MANUAL, **options), Origin("tester"), project.settings, NOW)


def crowned_by(project):
    history = project.ledger.history(project.model)
    return [(crown.version, project.ledger.entry(crown.decision_id).cause) for crown in history]


@pytest.mark.parametrize("by", ["run", "reconcile"])
def test_a_deleted_alias_is_put_back_and_people_can_read_why(bereft, by):
    bereft.change(promotion={"moved_by_hand": "restore"})
    if by == "run":
        assert begin(bereft).champion.version == 1
    else:
        (line,) = tidy(bereft.model, bereft.settings, NOW)
        assert line.endswith("decision 2 puts it back on version 1")
    assert crowned_by(bereft) == [(1, Cause.RUN), (1, Cause.RESTORATION)]
    (check,) = bereft.ledger.entries(bereft.model)[0].checks
    assert (check.name, check.why) == ("smoke_test", "100 stored requests answered as in training")
    assert audit(bereft.settings).clean


def test_a_champion_whose_artifact_was_touched_is_not_put_back(bereft):
    bereft.change(promotion={"moved_by_hand": "restore"})
    bereft.registry.tracking.client.set_model_version_tag(bereft.model, "1", "evergreen.model_digest", "0" * 64)
    with pytest.raises(IntegrityError, match="is gone, but the ledger knows of version 1"):
        begin(bereft)
    assert bereft.champion() is None
    assert crowned_by(bereft) == [(1, Cause.RUN)]


@pytest.mark.parametrize(
    ("policy", "step"),
    [
        ("report", "evergreen rollback tiny --why … puts it back"),
        ("adopt", "evergreen reconcile tiny, or the next run, puts it back"),
        ("restore", "evergreen reconcile tiny, or the next run, puts it back"),
    ],
)
def test_who_only_looks_changes_nothing_and_says_the_next_step(bereft, policy, step):
    bereft.change(promotion={"moved_by_hand": policy})
    state = bereft.state()
    (problem,) = audit(bereft.settings).problems
    assert problem.do == step
    with pytest.raises(IntegrityError):
        begin(bereft, dry_run=True)
    assert bereft.state() == state


def test_a_spec_that_cannot_be_read_only_tells(bereft):
    bereft.change(promotion={"moved_by_hand": "restore"})
    assert policy_of(bereft.model, bereft.settings) == "restore"
    assert policy_of("another", bereft.settings) == "report"
    bereft.spec_file.write_text("model: [")
    assert policy_of(bereft.model, bereft.settings) == "report"
    assert "puts it back" in tidy(bereft.model, bereft.settings, NOW)[0]
    assert bereft.champion() is None
