"""Prefect's side of a stage: names, limits, retries, and the moment that a run looks from."""

import ast
import importlib
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from evergreen.errors import DataError, UnavailableError, UserError
from evergreen.gate.decision import Reason
from evergreen.spec.training import Search

TASKS = Path(__file__).parents[2] / "tasks"
STEMS = sorted(path.stem for path in TASKS.glob("[!_]*.py"))


@pytest.fixture(scope="module")
def tasks(orchestrator):
    """Every task by the name of its file; imported only now that Prefect has its own database."""
    from prefect import Task

    modules = {stem: importlib.import_module(f"tasks.{stem}") for stem in STEMS}
    found = {stem: getattr(module, stem) for stem, module in modules.items()}
    # The others are steps of the flow itself.
    return {stem: step for stem, step in found.items() if isinstance(step, Task)}


@pytest.mark.parametrize("flow", sorted((TASKS.parent / "flows").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_task_has_a_name_of_its_own_in_its_flow(tasks, flow):
    used = re.findall(r"(?m)^from tasks\.(\w+) import", flow.read_text())
    names = [tasks[stem].name for stem in used if stem in tasks]
    assert names
    assert len(set(names)) == len(names)


def test_every_task_has_a_limit_and_no_cache(tasks):
    for task in tasks.values():
        # Results stand in files that are named by their content; a cache of arguments would hash and keep them again.
        assert type(task.cache_policy).__name__ == "_None"
        assert task.timeout_seconds
        assert task.description


def test_every_artifact_says_what_it_is():
    text = "\n".join((TASKS / f"{stem}.py").read_text() for stem in STEMS)
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    artifacts = [one for one in calls if isinstance(one.func, ast.Name) and one.func.id.endswith("_artifact")]
    assert len(artifacts) >= 7
    # Prefect's pages would else say of each that it has no description.
    assert [ast.unparse(one) for one in artifacts if "description" not in {word.arg for word in one.keywords}] == []


def test_only_a_source_that_does_not_answer_is_asked_again(tasks):
    readers = {stem: task for stem, task in tasks.items() if task.retries}
    assert readers.keys() == {"load_snapshot", "take_rows"}
    for load in readers.values():
        assert load.retries == 2
        told = ((UnavailableError("down"), True), (DataError("no such column"), False), (OSError(), False))
        for error, again in told:
            state = SimpleNamespace(result=lambda raise_on_failure, error=error: error)
            assert load.retry_condition_fn(load, None, state) is again


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (datetime(2026, 4, 1), datetime(2026, 4, 1, tzinfo=UTC)),
        (datetime.fromisoformat("2026-04-01T06:00+02:00"), datetime(2026, 4, 1, 4, tzinfo=UTC)),
        (None, datetime(2026, 3, 30, 4, tzinfo=UTC)),
    ],
    ids=["a naive moment is UTC", "an aware one is converted", "none is when the run was due"],
)
def test_the_moment_of_a_run(orchestrator, project, monkeypatch, given, seen):
    from prefect.runtime import flow_run

    from tasks.take_turn import take_turn

    due = datetime.fromisoformat("2026-03-30T06:00+02:00")
    monkeypatch.setitem(flow_run.FIELDS, "scheduled_start_time", lambda: due)
    monkeypatch.setitem(flow_run.FIELDS, "id", lambda: "a-run")
    with take_turn("tiny", Reason.MANUAL, given, None, dry_run=True, force=False) as turn:
        assert turn.request.as_of == seen
        assert turn.origin.flow_run == "a-run"


def test_a_moment_to_come_is_refused_where_a_person_fills_the_form(orchestrator, project):
    from tasks.take_turn import take_turn

    typo = datetime.now(UTC) + timedelta(days=365)
    asked = take_turn("tiny", Reason.MANUAL, typo, None, dry_run=False, force=False)
    with pytest.raises(UserError, match=r"^as_of: .* has not come yet"), asked:
        raise AssertionError("it has its turn")
    assert project.decisions() == []


def job_that_searches(runner):
    search = Search(runner=runner, workers=3)
    return SimpleNamespace(spec=SimpleNamespace(training=SimpleNamespace(search=search)))


@pytest.mark.parametrize(
    ("name", "kind"), [("threads", "ThreadPoolTaskRunner"), ("processes", "ProcessPoolTaskRunner")]
)
def test_trials_run_where_the_spec_says(tasks, name, kind):
    from tasks.choose_runner import choose_runner

    with choose_runner(job_that_searches(name)) as runner:
        assert type(runner).__name__ == kind


@pytest.mark.parametrize(("name", "package"), [("dask", "prefect_dask"), ("ray", "prefect_ray")])
def test_a_cluster_whose_package_is_missing_is_named(tasks, monkeypatch, name, package):
    from tasks.choose_runner import choose_runner

    monkeypatch.setitem(sys.modules, package, None)
    with (
        pytest.raises(UserError, match=rf"runner: {name} needs {package}; pip install 'evergreen\[{name}\]'"),
        choose_runner(job_that_searches(name)),
    ):
        raise AssertionError("there is no such runner")
