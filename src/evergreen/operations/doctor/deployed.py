"""What is deployed against what the specs say: deployments, their schedules, the automations beside them."""

from collections.abc import Mapping, Sequence

from evergreen.operations.doctor.finding import Finding, fine, wrong
from evergreen.orchestrator.api import Automation, Deployment
from evergreen.orchestrator.names import RETRAINS, TAG, automated_model, automation, retrain_deployment
from evergreen.orchestrator.plan import FLOWS, FlowPlan, plan
from evergreen.spec import ModelSpec

DEPLOYMENTS, SCHEDULES, AUTOMATIONS = "deployments", "schedules", "automations"
NAMES = (DEPLOYMENTS, SCHEDULES, AUTOMATIONS)
_DEPLOY = "evergreen deploy"


def wanted_deployments(specs: Sequence[ModelSpec], flows: Sequence[FlowPlan] = FLOWS) -> list[str]:
    """The names of what shall be deployed; nothing where there are no specs."""
    return [planned.full_name for planned in plan({spec.model: spec for spec in specs}, flows)] if specs else []


def judge_deployments(there: Sequence[Deployment], wanted: Sequence[str], complete: bool) -> Finding:
    """All that shall be deployed is, and nothing of ours is without its spec.

    `complete` is False where a spec could not be read: what it is for is not called surplus.
    """
    missing = [name for name in wanted if name not in {one.name for one in there}]
    surplus = [one.name for one in there if TAG in one.tags and one.name not in wanted] if complete else []
    if missing or surplus:
        parts = {"missing": missing, "without a spec": surplus}
        return wrong(
            DEPLOYMENTS, "; ".join(f"{what}: {_list(names)}" for what, names in parts.items() if names), _DEPLOY
        )
    return fine(DEPLOYMENTS, f"{len(wanted)}, as the specs say")


def judge_schedules(there: Sequence[Deployment], specs: Sequence[ModelSpec]) -> Finding:
    """Every spec with an active schedule is scheduled by its own cron. A missing deployment is not told of twice."""
    by_name = {one.name: one for one in there}
    known = [(spec, by_name[name]) for spec in specs if (name := retrain_deployment(spec.model)) in by_name]
    paused = [one.name for spec, one in known if spec.schedule.active and not _is_active(one)]
    other = [one.name for spec, one in known if one.name not in paused and not _keeps_time(one, spec)]
    if paused:
        what = f"paused, although the spec says active: {_list(paused)}"
        return wrong(
            SCHEDULES, what, "resume it on the deployment's page, or write schedule: {active: false} in the spec"
        )
    if other:
        return wrong(SCHEDULES, f"not at the time that the spec says: {_list(other)}", _DEPLOY)
    return fine(SCHEDULES, f"{sum(spec.schedule.active for spec, _ in known)} active")


def judge_automations(there: Sequence[Automation], specs: Sequence[ModelSpec], complete: bool) -> Finding:
    """Every spec has its automations, and they are on."""
    on: Mapping[str, bool] = {one.name: one.enabled for one in there}
    wanted = [automation(reason, spec.model) for spec in specs for reason in RETRAINS]
    missing, off = [n for n in wanted if n not in on], [n for n in wanted if on.get(n) is False]
    if off:
        return wrong(AUTOMATIONS, f"switched off: {_list(off)}", f"prefect automation resume '{off[0]}'")
    if missing:
        return wrong(AUTOMATIONS, f"missing: {_list(missing)}", _DEPLOY)
    surplus = [name for name in on if automated_model(name) and name not in wanted] if complete else []
    if surplus:
        return wrong(AUTOMATIONS, f"without a spec: {_list(surplus)}", _DEPLOY)
    return fine(AUTOMATIONS, f"{len(wanted)} on")


def _is_active(one: Deployment) -> bool:
    return not one.paused and any(schedule.active for schedule in one.schedules)


def _keeps_time(one: Deployment, spec: ModelSpec) -> bool:
    if not spec.schedule.active:
        return True
    wanted = (spec.schedule.cron, spec.schedule.timezone)
    return any((schedule.cron, schedule.timezone) == wanted for schedule in one.schedules if schedule.active)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
