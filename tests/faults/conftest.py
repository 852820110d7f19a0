"""Projects that are put back to where they were after every fault, on both databases; and the count of faults."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.faults import child
from tests.faults.child import Place
from tests.project import Project, shoppers
from tests.tally import FAULT
from tests.warm import forks

# Where a fault is planted: what stood before, what is changed in the spec, and what is commanded then.
STATES: dict[str, tuple[str | None, dict[str, Any], str]] = {
    "crowned": (None, {}, "first run"),
    "twice crowned": ("crowned", {}, "run"),
    "waiting": ("crowned", {"promotion": {"mode": "approval"}}, "run"),
    # Registered by its approval only: one check could not tell.
    "doubtful": ("crowned", {"gates__slices": {"by": ["plan"], "min_rows": 100_000}}, "run"),
    "moved, to be adopted": ("twice crowned", {"promotion": {"moved_by_hand": "adopt"}}, "move the alias"),
    "moved, to be put back": ("twice crowned", {"promotion": {"moved_by_hand": "restore"}}, "move the alias"),
    "tried": ("crowned", {"promotion": {"mode": "canary", "canary": {"within": "3d"}}}, "run"),
    "stood its trial": ("tried", {}, "count what is fine"),
    "failed its trial": ("tried", {}, "count what is bad"),
    "pinned": ("crowned", {}, "pin"),
}


@dataclass
class Ground:
    """A project that faults are planted in. `reset` puts it into a state, which is made when it is first asked for."""

    place: Place
    kept: Path
    databases: "Databases | None" = None
    made: set[str] = field(default_factory=set)

    @property
    def log(self) -> Path:
        return self.kept / "children.log"

    @property
    def said(self) -> str:
        return self.log.read_text()[-4000:]

    def reset(self, state: str = "crowned") -> None:
        if state not in self.made:
            self._make(state)
        shutil.rmtree(self.place.folder, ignore_errors=True)
        shutil.copytree(self.kept / state, self.place.folder)
        if self.databases:
            self.databases.restore(state)
        self.log.write_text("")

    def _make(self, state: str) -> None:
        before, changes, command = STATES[state]
        if before:
            self.reset(before)
        Project(self.place.folder).change(**changes)
        assert self.act(command) == 0, self.said
        shutil.copytree(self.place.folder, self.kept / state)
        if self.databases:
            self.databases.keep(state)
        self.made.add(state)

    def start(self, function: Any, *arguments: Any) -> Any:
        process = forks().Process(target=function, args=(self.place, *arguments, self.log))
        process.start()
        return process

    def act(self, command: str, point: Any = None) -> int:
        """What is commanded, in a process of its own; its exit code, negative for a signal."""
        return self.join(self.start(child.act, command, point))

    def recover(self, command: str) -> dict[str, Any]:
        """What holds now, once it is reconciled, and once the same is commanded again."""
        return self._answer(child.recover, command)

    def examine(self) -> dict[str, Any]:
        """What holds now."""
        return self._answer(child.examine)

    def join(self, process: Any, seconds: float = 180) -> int:
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
            pytest.fail(f"a child did not end within {seconds} s\n{self.said}")
        return int(process.exitcode)

    def _answer(self, question: Any, *arguments: Any) -> dict[str, Any]:
        answer = self.kept / "answer.json"
        answer.unlink(missing_ok=True)
        assert self.join(self.start(question, *arguments, answer)) == 0, self.said
        return dict(json.loads(answer.read_text()))


@dataclass(frozen=True)
class Databases:
    """The databases of a ground on PostgreSQL, and copies of them by state."""

    cluster: Any
    names: tuple[str, ...]

    def keep(self, state: str) -> None:
        self._run(f"CREATE DATABASE {_copy(name, state)} TEMPLATE {name}" for name in self.names)

    def restore(self, state: str) -> None:
        drop = (f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in self.names)
        create = (f"CREATE DATABASE {name} TEMPLATE {_copy(name, state)}" for name in self.names)
        self._run((*drop, *create))

    def _run(self, statements: Iterable[str]) -> None:
        command = [str(self.cluster.binaries / "psql"), "-qX", "-d", self.cluster.url("postgres")]
        command += [part for statement in statements for part in ("-c", statement)]
        for _ in range(20):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            # Whoever was killed may not have left yet.
            time.sleep(0.2)
        raise AssertionError(done.stderr)


def _copy(name: str, state: str) -> str:
    return f"{name}_{re.sub('[^a-z]+', '_', state)}"


@pytest.fixture(scope="session")
def new_ground(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Ground]:
    """A ground on a kind of database, just after its first promotion."""

    def make(kind: str) -> Ground:
        folder = tmp_path_factory.mktemp(f"faults-{kind}")
        place, databases = Place(Project(folder / "project").create(shoppers()).folder), None
        if kind == "postgresql":
            place, databases = _on_postgresql(request.getfixturevalue("cluster"), place.folder)
        (folder / "kept").mkdir()
        made = Ground(place, folder / "kept", databases)
        made.reset()
        return made

    return make


@pytest.fixture(scope="session")
def ground(new_ground: Callable[[str], Ground]) -> Callable[..., Ground]:
    """One ground for a kind of database, put into a state."""
    known = cache(new_ground)

    def at(kind: str, state: str = "crowned") -> Ground:
        known(kind).reset(state)
        return known(kind)

    return at


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Count a fault of a kind: survived or lost."""
    return lambda kind, outcome: record_property(FAULT, (kind, outcome))


@pytest.fixture
def counted(tally: Callable[[str, str], None]) -> Callable[[str], Any]:
    """A fault of a kind has survived, unless the block fails; then it is lost."""

    @contextmanager
    def count(kind: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            tally(kind, "lost")
            raise
        tally(kind, "survived")

    return count


def _on_postgresql(cluster: Any, folder: Path) -> tuple[Place, Databases]:
    store, tracking = cluster.create_database(), cluster.create_database()
    place = Place(folder, store=store, tracking=tracking.replace("postgresql://", "postgresql+psycopg://"))
    return place, Databases(cluster, tuple(url.rpartition("/")[2] for url in (store, tracking)))
