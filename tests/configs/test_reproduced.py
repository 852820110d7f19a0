"""Every shipped spec is trained, registered and trained again from what was recorded: the answers are the same.

The specs are those of configs/, each with less of what takes time and nothing of another kind: every candidate with the
first value of its grid, two folds, and half of the window where the spec has one.
"""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from evergreen.gate.decision import Reason
from evergreen.registry.artifact import TOLERANCE
from evergreen.spec import load_spec
from evergreen.spec.base import format_duration
from evergreen.stages.evaluate import evaluate_models, judge_challenger
from evergreen.stages.load import load
from evergreen.stages.open import open_run
from evergreen.stages.promote import register
from evergreen.stages.reproduce import find_recorded, reproduce
from evergreen.stages.run import Evidence, Origin, Request
from evergreen.stages.track import prepare_job, track
from tests.project import find_challenger

REPOSITORY = Path(__file__).parents[2]
FILES = sorted((REPOSITORY / "configs").glob("*.yaml"))
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
# Tables that end before the new year.
MOMENTS = {"flights": datetime(2013, 2, 4, tzinfo=UTC)}


def shrunk(path: Path) -> dict[str, Any]:
    """The same spec with less to do."""
    values, window = yaml.safe_load(path.read_text(encoding="utf-8")), load_spec(path).data.window
    training = values["training"]
    for candidate in training["candidates"]:
        candidate["grid"] = {name: choices[:1] for name, choices in candidate.get("grid", {}).items()}
    training["cross_validation"] = {**training.get("cross_validation", {}), "folds": 2}
    if window is not None:
        values["data"]["window"] = format_duration(window / 2)
    return values


@pytest.fixture
def shipped(project, without_pictures, monkeypatch):
    """Train and register the shrunk form of a spec; relative paths in it start at the repository."""
    monkeypatch.chdir(REPOSITORY)

    def train(path: Path) -> Any:
        file, settings = project.settings.configs / path.name, project.settings
        file.write_text(yaml.safe_dump(shrunk(path)), encoding="utf-8")
        spec, moment = load_spec(file), MOMENTS.get(path.stem, NEW_YEAR)
        run = open_run(Request(path.stem, moment, Reason.MANUAL), Origin("tester"), settings, moment)
        job = prepare_job(run, load(run, settings), settings)
        with track(job, Evidence(), settings) as job:
            evidence = find_challenger(job, Evidence(), settings, lambda stage: None)
            evidence = judge_challenger(job, evaluate_models(job, evidence, settings), settings)
            evidence = register(job, evidence, settings, moment)
        return SimpleNamespace(settings=settings, model=spec.model, evidence=evidence)

    return train


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_spec_gives_the_same_answers_when_it_is_trained_again(path, shipped, tmp_path):
    trained = shipped(path)
    kinds = {candidate.kind for candidate in load_spec(path).training.candidates}
    assert {trial.recipe.kind for trial in trained.evidence.trials} == kinds
    folder = tmp_path / "again"
    folder.mkdir()
    version = trained.evidence.registered.version
    found = reproduce(find_recorded(trained.model, version, trained.settings), trained.settings, folder)
    assert found.difference <= TOLERANCE
    assert found.metrics
    assert found.moved == ()
    assert found.notes == ()
    assert found.equal
    assert found.rows == trained.evidence.split.holdout_rows > 0
