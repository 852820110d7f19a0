"""A small project, and other people in it: versions that answer differently become champion, and are gone back from.

    reigns.py FOLDER PORT COUNT     so many promotions and rollbacks in turn, each once the one before is served

Every change is a line of JSON: the version, when it was decided, and when the server on that port first said it serves.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import pandas as pd

from evergreen.gate.decision import DecisionKind
from evergreen.registry import provenance as tag
from evergreen.registry.model import load, log_model
from evergreen.serving.cache import SPEC
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.promote import promote
from evergreen.stages.rollback import Target, rollback
from tests.project import FIRST, Project, shoppers

_SERVED_SECONDS = 300.0


@dataclass(frozen=True)
class Change:
    """Another champion: seconds since the epoch of the decision, and of the first answer that names it."""

    version: int
    decided: float
    served: float


def make_project(folder: Path, durable: bool = False) -> Project:
    """A project whose first run has promoted version 1; its spec says whether an answer waits until it is kept."""
    project = Project(folder / "project").create(shoppers())
    project.change(serving__capture={"durable": durable})
    enter(project)
    assert project.run(FIRST).champion == 1
    return project


def enter(project: Project) -> None:
    """Be where the project is: its spec names its table by a relative path."""
    os.chdir(project.folder)
    os.environ["EVERGREEN_HOME"] = str(project.settings.home)
    os.environ["EVERGREEN_CONFIGS"] = str(project.settings.configs)


def promote_another(project: Project, seed: int) -> int:
    """Fit the champion's pipeline to other shoppers, register it, decide for it and crown it; the version."""
    settings, registry, tracking = project.settings, registry_of(project.settings), tracking_of(project.settings)
    first, entries = registry.version(project.model, 1), project.ledger.entries(project.model)
    tags = tracking.tags(first.run_id)
    run = tracking.start_run(project.model, f"shoppers of {seed}", {tag.SNAPSHOT: tags[tag.SNAPSHOT]})
    pipeline, example = fit_to(load(tracking, first.source, first.digest), seed)
    logged = log_model(tracking, run.run_id, pipeline, example, ["scikit-learn"])
    tracking.log_artifacts(run.run_id, [tracking.fetch(first.run_id, SPEC, project.folder)])
    key = f"shoppers of {seed}"
    registered = registry.register(
        project.model, run.run_id, logged, {tag.TRAINING_KEY: key, tag.SNAPSHOT: tags[tag.SNAPSHOT]}, "a card"
    )
    tracking.finish(run.run_id)
    entry = replace(
        entries[-1],
        id=None,
        kind=DecisionKind.PROMOTE,
        decided_at=datetime.now(UTC),
        training_key=key,
        mlflow_run=run.run_id,
        version=registered.version,
        model_digest=registered.digest,
        champion_before=project.champion(),
        champion_after=registered.version,
        fence=project.ledger.fence(project.model),
        intention=None,
    )
    promote(project.ledger.record(entry), settings, datetime.now(UTC))
    return registered.version


def fit_to(pipeline, seed: int):
    """The same pipeline fitted to other rows, and some of them."""
    from sklearn.base import clone

    rows = shoppers(days=60, seed=seed)
    # Others in everything that they do: no two versions answer a row alike.
    rows["waited"] += np.random.default_rng(seed).normal()
    labels = np.where(rows["waited"] * (1 + seed / 10) - rows["spent"] > seed % 3, "yes", "no")
    return clone(pipeline).fit(rows, labels), rows.head(100)


def go_back(project: Project, version: int) -> int:
    """Make an earlier version champion again, as `evergreen rollback` does."""
    entry = rollback(
        project.model, Target(version), "tester", f"back to {version}", project.settings, datetime.now(UTC)
    )
    assert entry.version == version
    return version


def change_champions(
    project: Project, port: int, count: int, tell: Callable[[Project], object] = lambda _: None
) -> Iterator[Change]:
    """A promotion, then a rollback to who was before, and so on; each once the one before is served.

    `tell` is called after each decision.
    """
    for number in range(count):
        before = project.champion()
        version = go_back(project, before - 1) if number % 2 else promote_another(project, number + 2)
        decided = time.time()
        tell(project)
        yield Change(version, decided, wait_until_served(project.model, port, version))


def wait_until_served(model: str, port: int, version: int) -> float:
    """When the server first said that it serves the version."""
    deadline = time.monotonic() + _SERVED_SECONDS
    while time.monotonic() < deadline:
        with urlopen(f"http://127.0.0.1:{port}/version", timeout=30) as answer:
            said = json.load(answer)
        if said["models"][model] == version:
            return time.time()
        time.sleep(0.05)
    raise TimeoutError(f"version {version} is not served after {_SERVED_SECONDS:g} s")


def probabilities(project: Project, version: int, rows: list[dict]) -> list[float]:
    """What a version's own pipeline says of rows, apart from any server: the chance of its last class."""
    found = registry_of(project.settings).version(project.model, version)
    pipeline = load(tracking_of(project.settings), found.source, found.digest)
    return pipeline.predict_proba(pd.DataFrame(rows))[:, -1].tolist()


if __name__ == "__main__":
    own = Project(Path(sys.argv[1]))
    enter(own)
    for change in change_champions(own, int(sys.argv[2]), int(sys.argv[3])):
        print(json.dumps(vars(change)), flush=True)
