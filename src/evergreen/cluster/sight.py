"""What a worker elsewhere must see before trials are sent to it: the same files, the same code, the same Prefect."""

import importlib.util
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evergreen.errors import IntegrityError, UnavailableError, UserError
from evergreen.spec import ModelSpec
from evergreen.training.key import code_digest, custom_modules, environment_digest

# The project's own folder of tasks, which workers find on their path or not at all.
_TASKS = "tasks"
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Question:
    """What a worker is to look for. `file` stands in `folder`, and was written a moment ago by the process that asks.

    `prefect` is the address of Prefect's API; None where none was chosen.
    """

    folder: str
    file: str
    snapshot: str
    spec: ModelSpec
    code: str
    environment: str
    prefect: str | None


@contextmanager
def question(folder: Path, snapshot: str, spec: ModelSpec, code: str, prefect: str | None) -> Iterator[Question]:
    """A question about this process's own view, with a file to look for as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".seen-") as file:
        yield Question(str(folder), file.name, snapshot, spec, code, environment_digest(), prefect)


def look(asked: Question) -> tuple[str, ...]:
    """What is missing where this runs, in words; empty where trials can run."""
    checks = (_modules, _folder, _snapshot, _code, _prefect)
    return tuple(problem for check in checks if (problem := check(asked)))


def complain(cluster: str, answers: Mapping[str, tuple[str, ...]]) -> None:
    """Raise UnavailableError naming the first worker that misses something, and what; nothing where all can run."""
    unfit = {worker: problems for worker, problems in answers.items() if problems}
    if unfit:
        worker, problems = next(iter(unfit.items()))
        more = f" (and {len(unfit) - 1} more of {len(answers)})" if len(unfit) > 1 else ""
        raise UnavailableError(
            f"training.search: the {cluster} worker {worker}{more} {problems[0]}; see docs/scaling.md"
        )


def _modules(asked: Question) -> str | None:
    missing = [name for name in (_TASKS, *custom_modules(asked.spec)) if not _can_import(name)]
    return f"cannot import {missing[0]}: start it with PYTHONPATH=<the project's folder>" if missing else None


def _can_import(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _folder(asked: Question) -> str | None:
    if not Path(asked.file).is_file():
        return f"does not see {asked.folder}: EVERGREEN_HOME must be a folder that all machines share"
    try:
        with tempfile.TemporaryFile(dir=asked.folder):
            return None
    except OSError as error:
        return f"cannot write into {asked.folder} ({error.strerror}): run it as a user who can"


def _snapshot(asked: Question) -> str | None:
    from evergreen.data.frame import snapshot_types

    try:
        snapshot_types(asked.snapshot)
    except (UserError, UnavailableError, IntegrityError) as error:
        return f"cannot read the snapshot: {error}"
    return None


def _code(asked: Question) -> str | None:
    if code_digest(asked.spec) != asked.code:
        return "runs other sources than this process: install the same commit, and start it again"
    if environment_digest() != asked.environment:
        return "has another Python or other libraries than this process: install the same requirements"
    return None


def _prefect(asked: Question) -> str | None:
    import httpx

    if asked.prefect is None:
        return None
    try:
        httpx.get(f"{asked.prefect}/health", timeout=_PATIENCE_SECONDS)
    except httpx.HTTPError:
        return f"does not reach Prefect at {asked.prefect}: set PREFECT_API_URL to a server that all machines reach"
    return None
