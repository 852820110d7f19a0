"""The defects that retraining pipelines are known for. Each has a test here that fails where the defect is brought in.

- the challenger's metric is read as the champion's: also tests/evaluation/test_evaluate.py
- metrics of different data are compared: also tests/evaluation/test_evaluate.py
- versions are compared as text, 9 after 10: also tests/registry/test_versions.py and tests/stages/test_run.py
- an exception is read as "no champion": also tests/registry/test_down.py and tests/stages/test_planted_failures.py
- the latest version is promoted and not one's own: also tests/stages/states
- the smoke test's result is ignored: also tests/stages/test_planted_failures.py
"""

import sqlite3
from contextlib import chdir, closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evergreen.checks import Outcome
from evergreen.data.frame import read_snapshot
from evergreen.errors import UnavailableError
from evergreen.gate.decision import Decision, DecisionKind
from evergreen.registry import provenance as tag
from evergreen.registry.handles import LoggedModel, Registered
from evergreen.registry.model import load
from evergreen.stages import evaluate, promote
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.run import Evidence
from evergreen.training.split import read_positions

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def compared(crowned_project, copied, second_moment, tmp_path_factory):
    """A challenger that sees less than the champion did, both measured; and the champion's share of right answers on
    the challenger's holdout and on all other rows, reckoned by hand.
    """
    project = copied(crowned_project, tmp_path_factory.mktemp("compared") / "project")
    project.change(features__numeric=["waited"])
    seen = {}
    original = evaluate.evaluate_models

    def evaluate_and_reckon(job, evidence, settings):
        seen["found"] = original(job, evidence, settings)
        known = project.registry.version(project.model, 1)
        champion = load(tracking_of(settings), known.source, known.digest)
        for name, rows in zip(("others", "holdout"), read_positions(evidence.split), strict=True):
            frame = read_snapshot(job.snapshot.path, list(job.spec.column_types), rows)
            seen[name] = (champion.predict(frame) == frame["leaves"].astype(str)).mean()
        return seen["found"]

    with chdir(project.folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "evaluate_models", evaluate_and_reckon)
        project.run(second_moment)
    return seen


def test_each_metric_is_its_own_models(compared):
    found = compared["found"].evaluation
    challenger, champion = found.challenger.metrics["accuracy"], found.champion.metrics["accuracy"]
    assert champion == pytest.approx(compared["holdout"])
    assert challenger < champion - 0.1, "or nobody could tell the one from the other"
    assert (found.comparison.challenger, found.comparison.champion) == (challenger, champion)


def test_both_models_answer_for_the_same_rows(compared):
    found = compared["found"]
    assert found.evaluation.rows == len(read_positions(found.split)[1])
    assert found.evaluation.champion.metrics["accuracy"] == pytest.approx(compared["holdout"])
    assert compared["holdout"] != pytest.approx(compared["others"], abs=1e-4), "or nobody could tell the rows apart"


def bring_versions(project, many):
    """Versions of somebody else's runs, with the champion's artifact."""
    client = project.registry.tracking.client
    known = client.get_model_version(project.model, "1")
    tags = {tag.MODEL_DIGEST: known.tags[tag.MODEL_DIGEST], tag.TRAINING_KEY: "another"}
    for _ in range(many):
        client.create_model_version(project.model, known.source, run_id=None, tags=tags)
    return known


def test_version_10_is_newer_than_version_9(crowned):
    bring_versions(crowned, 9)
    assert crowned.registry.versions(crowned.model) == (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)


def test_a_champion_that_cannot_be_read_is_an_error(crowned, second_moment):
    with closing(sqlite3.connect(crowned.settings.tracking_file)) as connection:
        connection.execute("ALTER TABLE registered_model_aliases RENAME TO gone")
    for read in (crowned.registry.champion, crowned.registry.champion_version, crowned.registry.aliases):
        with pytest.raises(UnavailableError):
            read(crowned.model)
    with pytest.raises(UnavailableError):
        crowned.run(second_moment)
    assert crowned.decisions() == ["PROMOTE"], "nothing was decided as if there were no champion"


def test_a_run_promotes_its_own_version_and_not_the_latest(crowned):
    bring_versions(crowned, 2)
    (first,) = crowned.ledger.entries(crowned.model)
    own = replace(first, id=None, version=2, champion_before=1, champion_after=2, intention=None, fence=None)
    promote.promote(crowned.ledger.record(own), crowned.settings, NOW)
    assert crowned.champion() == 2
    assert crowned.ledger.history(crowned.model)[-1].version == 2
    assert crowned.registry.versions(crowned.model)[0] == 3


def test_a_run_that_registers_again_finds_its_own_version_and_not_the_latest(crowned):
    known = bring_versions(crowned, 2)
    logged = LoggedModel(known.tags[tag.MODEL_URI], known.tags[tag.MODEL_DIGEST], 0.1, "skops", "answers")
    found = registry_of(crowned.settings).register(crowned.model, known.run_id, logged, dict(known.tags), "")
    assert found.version == 1


def test_a_failed_smoke_test_rejects(crowned):
    known = crowned.registry.version(crowned.model, 1)
    registered = Registered(crowned.model, 1, known.source, "0" * 64)
    passed = Evidence(decision=Decision(DecisionKind.PROMOTE, ("all passed",), ()), registered=registered)
    decision = promote.smoke(passed, crowned.settings).decision
    assert decision.kind is DecisionKind.REJECT
    assert [(check.name, check.outcome) for check in decision.checks] == [("smoke_test", Outcome.FAIL)]
