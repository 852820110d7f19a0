"""`prefect.yaml`, as the specs ask for it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from evergreen.orchestrator.names import POOL
from evergreen.orchestrator.plan import FlowPlan, Planned, flows_of, plan, read_specs

FILE = "prefect.yaml"
MEND = "evergreen deploy --write"
_HEAD = f"""\
# Written from configs/ by `{MEND}`: change the specs, not this file.
# What is said once of a flow stands under `definitions`; each deployment adds its model.
"""
_ENTER = """\
# A worker goes to the folder that EVERGREEN_PROJECT names, or that it was started in.
pull:
  - evergreen.orchestrator.project.enter_project: {}
"""
_WIDTH = 118


def render(project: Path, configs: Path) -> str:
    """The text of `prefect.yaml` for a project's flows and specs. Raises SpecError for specs that are none."""
    flows = flows_of(project)
    return to_text(flows, plan(read_specs(configs), flows))


def is_in_step(project: Path, configs: Path) -> bool:
    """True where the project's `prefect.yaml` says what its specs ask for."""
    path = project / FILE
    return path.is_file() and path.read_text(encoding="utf-8") == render(project, configs)


def to_text(flows: Sequence[FlowPlan], planned: Iterable[Planned]) -> str:
    """Deployments as Prefect reads them, with an anchor a flow so that people can, too."""
    lines = [_HEAD + "name: evergreen\n", _ENTER, *_definitions(flows), *_deployments(planned)]
    return "\n".join(lines).rstrip() + "\n"


def _definitions(flows: Sequence[FlowPlan]) -> Iterator[str]:
    yield "definitions:"
    yield f"  pool: &pool {{name: {POOL}}}"
    for flow in flows:
        yield f"  {flow.name}: &{flow.name}"
        yield f"    entrypoint: flows/{flow.name}.py:{flow.name}"
        yield "    work_pool: *pool"
        yield "    enforce_parameter_schema: true"
    yield ""


def _deployments(planned: Iterable[Planned]) -> Iterator[str]:
    yield "deployments:"
    for one in planned:
        yield f"  - name: {_scalar(one.name)}"
        yield f"    <<: *{one.flow.name}"
        yield from _lines({"description": one.description})
        yield f"    tags: {_scalar(list(one.tags))}"
        yield f"    parameters: {_scalar(dict(one.parameters))}"
        if one.paused:
            yield "    paused: true"
        if one.schedule is not None:
            yield f"    schedules: {_scalar([one.schedule])}"
        yield ""


def _scalar(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()


def _lines(values: dict[str, Any]) -> Iterator[str]:
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=_WIDTH)
    yield from (f"    {line}" for line in text.splitlines())
