"""Bring a Prefect server in step with a project's specs. Doing it again changes nothing."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from evergreen.errors import EvergreenError, UserError
from evergreen.orchestrator.api import Deployment, PrefectApi
from evergreen.orchestrator.automations import apply_automations, wanted_automations
from evergreen.orchestrator.manifest import FILE, is_in_step, render, to_text
from evergreen.orchestrator.names import TAG
from evergreen.orchestrator.plan import SLUG, Planned, flows_of, plan, read_specs
from evergreen.orchestrator.pool import PoolPlan, ensure_pool


class DeploymentError(EvergreenError):
    """Prefect's own command did not deploy."""


def write_manifest(project: Path, configs: Path) -> bool:
    """Write `prefect.yaml` as the specs ask for it; False where it said so already."""
    if is_in_step(project, configs):
        return False
    try:
        (project / FILE).write_text(render(project, configs), encoding="utf-8")
    except OSError as error:
        message = f"{project / FILE}: is not in step with {configs}, and cannot be written ({error.strerror})"
        raise UserError(f"{message}; write it where the specs are changed") from error
    return True


def deploy(
    api: PrefectApi, project: Path, configs: Path, environment: Mapping[str, str], pool: PoolPlan | None = None
) -> Iterator[str]:
    """Pool, deployments and automations as the specs ask for them; a line on each.

    `environment` is that of Prefect's command. What a person paused or switched off stays so.
    """
    specs, flows = read_specs(configs), flows_of(project)
    planned = plan(specs, flows)
    if write_manifest(project, configs):
        yield f"{FILE}: written"
    yield from ensure_pool(api, pool or PoolPlan())
    before = {one.name: one for one in api.deployments()}
    _run_prefect(project, to_text(flows, keep_asleep(planned, before)), environment)
    after = {one.name: one for one in api.deployments()}
    yield from (_line(one, before, after) for one in planned)
    yield from (f"{name}: is paused, and stays so" for name, one in after.items() if _slept(before.get(name)))
    yield from _remove_surplus(api, planned, after)
    yield from apply_automations(api, wanted_automations(project, specs, after))


def keep_asleep(planned: Sequence[Planned], before: Mapping[str, Deployment]) -> tuple[Planned, ...]:
    """The same deployments, those paused that are: Prefect's command resumes what does not say so.

    It is said beforehand, not mended afterwards, so that nothing wakes where deploying is cut short.
    """
    return tuple(_keep_asleep(one, before.get(one.full_name)) for one in planned)


def _keep_asleep(one: Planned, known: Deployment | None) -> Planned:
    if known is None:
        return one
    schedule = {**one.schedule, "active": False} if one.schedule and SLUG in _slept_schedules(known) else one.schedule
    return replace(one, paused=known.paused, schedule=schedule)


def _slept(known: Deployment | None) -> bool:
    return known is not None and TAG in known.tags and (known.paused or SLUG in _slept_schedules(known))


def _slept_schedules(known: Deployment) -> set[str | None]:
    return {schedule.slug for schedule in known.schedules if not schedule.active}


def _run_prefect(project: Path, manifest: str, environment: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        file.write_text(manifest, encoding="utf-8")
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
        done = subprocess.run(
            command, cwd=project, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").split("\n")
        # Its last line is the reason, under a traceback or not.
        why = next((line.strip() for line in reversed(said) if line.strip()), f"exit code {done.returncode}")
        raise DeploymentError(f"prefect deploy failed: {why} (prefect --no-prompt deploy --all tells more)")


def _remove_surplus(api: PrefectApi, planned: Sequence[Planned], after: Mapping[str, Deployment]) -> Iterator[str]:
    names = {one.full_name for one in planned}
    for name, deployment in after.items():
        if TAG in deployment.tags and name not in names:
            api.send("DELETE", f"/deployments/{deployment.id}")
            yield f"{name}: removed, as its spec or its flow is gone"


def _line(one: Planned, before: Mapping[str, Deployment], after: Mapping[str, Deployment]) -> str:
    if one.full_name not in after:
        raise DeploymentError(f"{one.full_name}: Prefect said that it was deployed, but it is not there")
    what = "updated" if one.full_name in before else "created"
    when = f", {one.schedule['cron']} {one.schedule['timezone']}" if one.schedule else ""
    return f"{one.full_name}: {what}{when}"
