"""Bring a Prefect server in step with a project's specs. Doing it again changes nothing."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evergreen.errors import EvergreenError, UserError
from evergreen.orchestrator.api import Deployment, PrefectApi, Refused
from evergreen.orchestrator.automations import apply_automations, wanted_automations
from evergreen.orchestrator.manifest import FILE, is_in_step, render
from evergreen.orchestrator.names import POOL, TAG
from evergreen.orchestrator.plan import SLUG, Planned, flows_of, plan, read_specs

_CONFLICT = 409


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


def deploy(api: PrefectApi, project: Path, configs: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Pool, deployments and automations as the specs ask for them; a line on each.

    `environment` is that of Prefect's command. What a person paused or switched off stays so.
    """
    specs, flows = read_specs(configs), flows_of(project)
    planned = plan(specs, flows)
    if write_manifest(project, configs):
        yield f"{FILE}: written"
    yield from _create_pool(api)
    before = {one.name: one for one in api.deployments()}
    try:
        _run_prefect(project, environment)
    finally:
        # Also after a command that failed half-way: what it woke was paused on purpose.
        asleep = list(_pause_again(api, before))
    after = {one.name: one for one in api.deployments()}
    yield from (_line(one, before, after) for one in planned)
    yield from asleep
    yield from _remove_surplus(api, planned, after)
    yield from apply_automations(api, wanted_automations(project, specs, after))


def _create_pool(api: PrefectApi) -> Iterator[str]:
    pool = api.pool(POOL)
    if pool is not None:
        yield f"work pool {POOL}: of type {pool.type}{', paused' if pool.is_paused else ''}"
        return
    try:
        api.post("/work_pools/", name=POOL, type="process", description="Runs of Evergreen")
    except Refused as error:
        # Somebody else who deploys was quicker.
        if error.status != _CONFLICT:
            raise
    yield f"work pool {POOL}: created, of type process"


def _run_prefect(project: Path, environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", FILE]
    done = subprocess.run(
        command, cwd=project, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").split("\n")
        # Its last line is the reason, under a traceback or not.
        why = next((line.strip() for line in reversed(said) if line.strip()), f"exit code {done.returncode}")
        raise DeploymentError(f"prefect deploy failed: {why} (prefect --no-prompt deploy --all tells more)")


def _pause_again(api: PrefectApi, before: Mapping[str, Deployment]) -> Iterator[str]:
    """Prefect's command resumes deployments, and makes schedules anew beside one that has no slug."""
    for one in api.deployments():
        known = before.get(one.name)
        if known is None or TAG not in one.tags:
            continue
        if known.paused and not one.paused:
            api.post(f"/deployments/{one.id}/pause_deployment")
        slept = {schedule.slug for schedule in known.schedules if not schedule.active}
        for schedule in one.schedules:
            if schedule.slug == SLUG and schedule.active and SLUG in slept:
                values = {"active": False, "parameters": dict(schedule.parameters)}
                # Without its parameters the server would forget them.
                api.send("PATCH", f"/deployments/{one.id}/schedules/{schedule.id}", values)
        if known.paused or SLUG in slept:
            yield f"{one.name}: is paused, and stays so"


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
