"""Projects that are put back to where they were after every fault, on both databases; and the count of faults."""

import json
import multiprocessing
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults import child
from tests.faults.child import Place
from tests.project import FIRST, Project, shoppers

PRELOADED = ["tests.faults.child", "tests.project", "mlflow.sklearn", "mlflow.tracking", "skops.io", "evidently"]
FAULT = "fault"


@dataclass
class Ground:
    """A project that faults are planted in. `reset` puts it back to the moment after its first promotion."""

    place: Place
    template: Path
    context: Any
    copy_databases: Callable[[], None]
    kind: str
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.template.parent / "children.log"

    def reset(self) -> None:
        shutil.rmtree(self.place.folder, ignore_errors=True)
        shutil.copytree(self.template, self.place.folder, copy_function=shutil.copy2)
        self.copy_databases()
        self.log.write_text("")

    def start(self, function: Any, *arguments: Any) -> Any:
        process = self.context.Process(target=function, args=arguments)
        process.start()
        return process

    def run(self, as_of: datetime, point: Any = None) -> int:
        """A run in a process of its own; its exit code, negative for a signal."""
        return self.join(self.start(child.run, self.place, as_of, point, self.log))

    def join(self, process: Any, seconds: float = 180) -> int:
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
            pytest.fail(f"a child did not end within {seconds} s\n{self.log.read_text()[-3000:]}")
        return int(process.exitcode)

    def states(self, as_of: datetime = FIRST, *, tidied: bool = False) -> list[dict[str, Any]]:
        """What holds now, and once it is reconciled; asked of a process of its own, as MLflow keeps files open."""
        answer = self.log.with_name("answer.json")
        answer.unlink(missing_ok=True)
        asked = self.start(child.examine, self.place, as_of, tidied, answer, self.log)
        assert self.join(asked) == 0, self.log.read_text()[-3000:]
        return list(json.loads(answer.read_text()))


@pytest.fixture(scope="session")
def forks() -> Any:
    """Children come from a process that has imported everything, and nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@pytest.fixture(scope="session")
def new_ground(
    forks: Any, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], Ground]:
    """A ground on a kind of database, just after its first promotion."""

    def make(kind: str) -> Ground:
        folder = tmp_path_factory.mktemp(f"faults-{kind}")
        project = Project(folder / "project").create(shoppers())
        place, copy = Place(project.folder), lambda: None
        if kind == "postgresql":
            place, copy = _on_postgresql(request.getfixturevalue("cluster"), project.folder)
        ground = Ground(place, folder / "template", forks, copy, kind)
        assert ground.run(FIRST) == 0, ground.log.read_text()
        assert ground.states()[0]["champion"] == 1
        if kind == "postgresql":
            _keep(request.getfixturevalue("cluster"), place)
        shutil.copytree(project.folder, ground.template)
        return ground

    return make


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Count a fault of a kind: survived or lost."""
    return lambda kind, outcome: record_property(FAULT, (kind, outcome))


def _on_postgresql(cluster: Any, folder: Path) -> tuple[Place, Callable[[], None]]:
    store, tracking = cluster.create_database(), cluster.create_database()
    place = Place(folder, store=store, tracking=tracking.replace("postgresql://", "postgresql+psycopg://"))

    def copy() -> None:
        for url in (store, tracking):
            name = url.rpartition("/")[2]
            _psql(cluster, f"DROP DATABASE {name} WITH (FORCE)")
            _psql(cluster, f"CREATE DATABASE {name} TEMPLATE {name}_kept")

    return place, copy


def _keep(cluster: Any, place: Place) -> None:
    for url in (place.store, place.tracking):
        name = str(url).rpartition("/")[2]
        _psql(cluster, f"CREATE DATABASE {name}_kept TEMPLATE {name}")


def _psql(cluster: Any, statement: str) -> None:
    command = [cluster.binaries / "psql", "-qX", "-d", cluster.url("postgres"), "-c", statement]
    for _ in range(20):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.2)
    raise AssertionError(done.stderr)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of faults. What was counted travels with the reports, whichever process ran the test."""
    tally: dict[str, Counter[str]] = {}
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        for name, value in getattr(report, "user_properties", ()):
            if name == FAULT and report.when == "call":
                tally.setdefault(value[0], Counter())[value[1]] += 1
    if not tally:
        return
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{'planted':<44}{'faults':>8}{'survived':>10}{'lost':>6}")
    for kind, counts in (*sorted(tally.items()), ("all", sum(tally.values(), Counter()))):
        line = f"{kind:<44}{counts.total():>8}{counts['survived']:>10}{counts['lost']:>6}"
        terminalreporter.write_line(line)
