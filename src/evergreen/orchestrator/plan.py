"""What is deployed: the flows of the project, one deployment a model or one for all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evergreen.errors import SpecError
from evergreen.orchestrator.form import spec_names
from evergreen.orchestrator.names import TAG
from evergreen.spec import ModelSpec, load_spec
from evergreen.spec.model import Schedule
from evergreen.spec.monitoring import MonitoringRules

# A schedule is known by its slug: changed where the spec changes, and left paused where a person paused it.
SLUG = "spec"


@dataclass(frozen=True)
class FlowPlan:
    """How `flows/<name>.py` is deployed. `does` is its description, where `{model}` is the model's name.

    `scheduled` names the part of a spec with cron, timezone and active; empty for a flow that is not scheduled. A run
    of the schedule is given `parameters`.
    """

    name: str
    does: str
    per_model: bool = True
    scheduled: Literal["", "schedule", "monitoring"] = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


# A flow that is not there yet is passed over.
FLOWS = (
    FlowPlan(
        "retrain",
        "Retrains {model}, compares it with its champion and promotes what is better.",
        scheduled="schedule",
        parameters={"reason": "scheduled"},
    ),
    FlowPlan("monitor", "Looks at what {model} was asked since the last look.", scheduled="monitoring"),
    FlowPlan("rollback", "Makes an earlier champion of {model} the champion again."),
    FlowPlan("score", "Scores the rows whose label is not known yet with the champion of {model}."),
    FlowPlan("approve", "Answers a decision that waits for a person.", per_model=False),
)


@dataclass(frozen=True)
class Planned:
    """A deployment as it shall be. `name` comes without its flow's; `model` is empty where it serves all.

    `paused` is what a person made it, and no spec asks for.
    """

    flow: FlowPlan
    name: str
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    schedule: Mapping[str, Any] | None = None
    model: str = ""
    paused: bool = False

    @property
    def full_name(self) -> str:
        """The name that the server knows it by, such as `retrain/churn`."""
        return f"{self.flow.name}/{self.name}"


def read_specs(configs: Path) -> dict[str, ModelSpec]:
    """Every spec of a folder, by its file's name without `.yaml`.

    Raises SpecError for a spec that is none, and where two of them keep the same model.
    """
    specs = {name: load_spec(configs / f"{name}.yaml") for name in spec_names(configs)}
    first: dict[str, str] = {}
    for name, spec in specs.items():
        other = first.setdefault(spec.model.lower(), name)
        if other != name:
            message = f"keeps the model {spec.model}, as {other}.yaml does; one of them needs another name"
            raise SpecError(f"{configs / name}.yaml: {message}")
    return specs


def plan(specs: Mapping[str, ModelSpec], flows: Sequence[FlowPlan]) -> tuple[Planned, ...]:
    """The deployments of some flows for some specs, model by model."""
    return tuple(_plan(specs, flows))


def flows_of(project: Path) -> tuple[FlowPlan, ...]:
    """The flows that a project has."""
    return tuple(flow for flow in FLOWS if (project / "flows" / f"{flow.name}.py").is_file())


def _plan(specs: Mapping[str, ModelSpec], flows: Sequence[FlowPlan]) -> Iterator[Planned]:
    for name, spec in specs.items():
        for flow in flows:
            if flow.per_model:
                yield _of_model(flow, name, spec)
    for flow in flows:
        if not flow.per_model:
            yield Planned(flow, flow.name, flow.does, (TAG,), {})


def _of_model(flow: FlowPlan, name: str, spec: ModelSpec) -> Planned:
    more = spec.description if flow.scheduled == "schedule" else ""
    description = f"{flow.does.format(model=spec.model)} {more}"
    return Planned(
        flow=flow,
        name=spec.model,
        # Prefect fills in what stands in double braces.
        description=" ".join(description.replace("{{", "{").replace("}}", "}").split()),
        tags=(TAG, spec.model),
        parameters={"model": name},
        schedule=_schedule(flow, getattr(spec, flow.scheduled)) if flow.scheduled else None,
        model=spec.model,
    )


def _schedule(flow: FlowPlan, rules: Schedule | MonitoringRules) -> dict[str, Any]:
    schedule: dict[str, Any] = {"slug": SLUG, "cron": rules.cron, "timezone": rules.timezone}
    if not rules.active:
        # True is left out on purpose: a deployment that says so wakes what a person paused.
        schedule["active"] = False
    return {**schedule, "parameters": dict(flow.parameters)} if flow.parameters else schedule
