"""Prefect's side of a stage: names, limits, retries, and the moment that a run looks from."""

import importlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from evergreen.errors import DataError, UnavailableError, UserError
from evergreen.gate.decision import Reason
from evergreen.spec.training import Search

STEMS = sorted(path.stem for path in (Path(__file__).parents[2] / "tasks").glob("[!_]*.py"))


@pytest.fixture(scope="module")
def tasks(orchestrator):
    """Every task by the name of its file; imported only now that Prefect has its own database."""
    modules = {stem: importlib.import_module(f"tasks.{stem}") for stem in STEMS}
    return {stem: getattr(module, stem) for stem, module in modules.items() if stem != "choose_runner"}


def test_every_task_has_a_name_of_its_own_a_limit_and_no_cache(tasks):
    assert len({task.name for task in tasks.values()}) == len(tasks)
    for task in tasks.values():
        # Results stand in files that are named by their content; a cache of arguments would hash and keep them again.
        assert type(task.cache_policy).__name__ == "_None"
        assert task.timeout_seconds
        assert task.description


def test_only_a_source_that_does_not_answer_is_asked_again(tasks):
    load = tasks["load_snapshot"]
    assert load.retries == 2
    for error, again in ((UnavailableError("down"), True), (DataError("no such column"), False), (OSError(), False)):
        state = SimpleNamespace(result=lambda raise_on_failure, error=error: error)
        assert load.retry_condition_fn(load, None, state) is again
    assert {stem for stem, task in tasks.items() if task.retries} == {"load_snapshot"}


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (datetime(2026, 4, 1), datetime(2026, 4, 1, tzinfo=UTC)),
        (datetime.fromisoformat("2026-04-01T06:00+02:00"), datetime(2026, 4, 1, 4, tzinfo=UTC)),
        (None, datetime(2026, 3, 30, 4, tzinfo=UTC)),
    ],
    ids=["a naive moment is UTC", "an aware one is converted", "none is when the run was due"],
)
def test_the_moment_of_a_run(tasks, project, monkeypatch, given, seen):
    from prefect.runtime import flow_run

    due = datetime.fromisoformat("2026-03-30T06:00+02:00")
    monkeypatch.setitem(flow_run.FIELDS, "scheduled_start_time", lambda: due)
    monkeypatch.setitem(flow_run.FIELDS, "id", lambda: "a-run")
    run = tasks["open_run"].fn("tiny", Reason.SCHEDULED, given, dry_run=False, force=False)
    assert run.request.as_of == seen
    assert run.origin.flow_run == "a-run"


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
