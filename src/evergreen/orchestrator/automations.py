"""Automations of the models, from templates in `deployments/automations/`."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml

from evergreen.errors import UserError
from evergreen.orchestrator.api import Automation, Deployment, PrefectApi
from evergreen.orchestrator.names import automated_model, automation, model_resource, retrain_deployment
from evergreen.spec import ModelSpec

FOLDER = Path("deployments") / "automations"


def wanted_automations(
    project: Path, specs: Mapping[str, ModelSpec], deployed: Mapping[str, Deployment]
) -> dict[str, dict[str, Any]]:
    """Every automation that shall be there, by name, as the API takes it. `deployed` is by full name.

    Raises UserError for a template that cannot be filled in, and where their folder is missing: without it nothing
    would be wanted, and everything removed.
    """
    if not (project / FOLDER).is_dir():
        raise UserError(f"{project / FOLDER}: is missing; an empty folder says that no automations are wanted")
    templates = {path: path.read_text(encoding="utf-8") for path in sorted((project / FOLDER).glob("*.yaml"))}
    wanted: dict[str, dict[str, Any]] = {}
    for name, spec in specs.items():
        deployment = deployed.get(retrain_deployment(spec.model))
        if deployment is not None:
            known = _values(name, spec, deployment)
            values = {path: {"automation": automation(path.stem, spec.model), **known} for path in templates}
            filled = [_fill(path, text, values[path]) for path, text in templates.items()]
            wanted |= {one["name"]: one for one in filled}
    return wanted


def apply_automations(api: PrefectApi, wanted: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Create, change and remove automations until ours are the wanted ones, each once; a line on each that changed.

    One that a person switched off stays off. Automations of other names are not ours.
    """
    there: defaultdict[str, list[Automation]] = defaultdict(list)
    for one in api.automations():
        if one.name in wanted or automated_model(one.name):
            there[one.name].append(one)
    for name, values in wanted.items():
        yield from _apply(api, values, next(iter(there[name]), None))
        for double in there[name][1:]:
            yield _remove(api, double, "stood there twice")
    for name in sorted(there.keys() - wanted.keys()):
        for one in there[name]:
            yield _remove(api, one, "its spec is gone")


def _values(name: str, spec: ModelSpec, deployment: Deployment) -> dict[str, str]:
    return {
        "model": spec.model,
        "spec": name,
        "resource": model_resource(spec.model),
        "deployment_id": deployment.id,
    }


def _fill(path: Path, text: str, values: Mapping[str, str]) -> dict[str, Any]:
    try:
        filled = _substitute(yaml.safe_load(text), values)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not valid YAML ({error})") from None
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: {error} cannot be filled in; there are: {', '.join(values)}") from None
    if not isinstance(filled, dict) or automated_model(str(filled.get("name", ""))) is None:
        raise UserError(f"{path}: an automation of ours is called ${{automation}}, so that it is found again")
    return filled


def _substitute(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _substitute(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_substitute(item, values) for item in node]
    return Template(node).substitute(values) if isinstance(node, str) else node


def _apply(api: PrefectApi, values: Mapping[str, Any], there: Automation | None) -> Iterator[str]:
    name = values["name"]
    if there is None:
        api.send("POST", "/automations/", {**values, "enabled": True})
        yield f"automation {name}: created"
        return
    if not _says(there.raw, values):
        api.send("PUT", f"/automations/{there.id}", {**values, "enabled": there.enabled})
        yield f"automation {name}: changed"
    if not there.enabled:
        yield f"automation {name}: is switched off, and stays so"


def _remove(api: PrefectApi, one: Automation, why: str) -> str:
    api.send("DELETE", f"/automations/{one.id}")
    return f"automation {one.name}: removed, as {why}"


def _says(there: Any, wanted: Any) -> bool:
    """True where everything that is wanted is there; the server adds defaults of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(k in there and _says(there[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        same_length = isinstance(there, list) and len(there) == len(wanted)
        return same_length and all(_says(*pair) for pair in zip(there, wanted, strict=True))
    return bool(there == wanted)
