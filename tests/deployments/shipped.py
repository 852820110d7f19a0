"""What deployments/ holds, read as an engine would read it: compose's variables filled in, a Dockerfile's stages."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
DEPLOYMENTS = REPOSITORY / "deployments"
COMPOSE = DEPLOYMENTS / "compose.yaml"
DOCKERFILE = DEPLOYMENTS / "docker" / "Dockerfile"
EXAMPLE = DEPLOYMENTS / ".env.example"
BASE = DEPLOYMENTS / "kubernetes" / "base"
OVERLAY = DEPLOYMENTS / "kubernetes" / "example"
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))

# ${NAME}, ${NAME:-default} or ${NAME:?message}; $$ is a dollar sign.
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:[-?])([^}]*))?\})")


@dataclass(frozen=True)
class Variable:
    """A variable as compose.yaml asks for it; `fallback` is None where it has to be there."""

    name: str
    operator: str
    text: str

    @property
    def fallback(self) -> str | None:
        return self.text if self.operator == ":-" else None


def variables() -> list[Variable]:
    """Every place of compose.yaml that asks for a variable, comments left out."""
    text = "\n".join(line.partition(" #")[0] for line in COMPOSE.read_text().splitlines() if line.lstrip()[:1] != "#")
    found = VARIABLE.finditer(text)
    return [Variable(m[2], m[3] or "", m[4] or "") for m in found if m[1] is None]


def example() -> tuple[dict[str, str], dict[str, str]]:
    """.env.example: what it sets, and what stands there as a comment to be changed."""
    lines = EXAMPLE.read_text().splitlines()
    set_ = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
    offered = dict(line[1:].split("=", 1) for line in lines if re.match(r"#\w+=", line))
    return set_, offered


def filled(environment: Mapping[str, str]) -> dict[str, Any]:
    """compose.yaml as an engine sees it; raises KeyError with the message of a variable that is missing or empty."""

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        known = environment.get(found[2], "")
        if not known and found[3] == ":?":
            raise KeyError(f"{found[2]}: {found[4]}")
        return known or (found[4] or "")

    return _fill(yaml.safe_load(COMPOSE.read_text()), lambda text: VARIABLE.sub(value, text))


def _fill(node: Any, fill: Any) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, fill) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, fill) for value in node]
    return fill(node) if isinstance(node, str) else node


def secrets() -> dict[str, str]:
    """Values for everything that has to be there, told apart from each other."""
    return {v.name: f"s3cret-{v.name.lower()}" for v in variables() if v.operator == ":?"}


@dataclass(frozen=True)
class Stage:
    """A stage of a Dockerfile with what it inherits from the stages it stands on."""

    name: str
    image: str
    steps: tuple[tuple[str, str], ...]
    env: dict[str, str] = field(default_factory=dict)

    def last(self, keyword: str) -> str | None:
        return next((text for word, text in reversed(self.steps) if word == keyword), None)

    @property
    def command(self) -> list[str]:
        return list(json.loads(self.last("CMD") or "[]"))


def stages() -> dict[str, Stage]:
    """Every stage by its name; `image` is the outermost base."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    for part in re.split(r"(?m)^(?=FROM )", text)[1:]:
        head, *steps = [tuple(line.split(None, 1)) for line in part.splitlines() if line.strip()]
        base, _, name = head[1].partition(" AS ")
        below = found.get(base, Stage(base, base, ()))
        found[name] = Stage(name, below.image, (*below.steps, *steps), {**below.env, **_environment(steps)})
    return found


def _environment(steps: list[tuple[str, str]]) -> dict[str, str]:
    pairs = [pair for word, text in steps if word == "ENV" for pair in shlex.split(text)]
    return dict(pair.split("=", 1) for pair in pairs)


def manifests(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that a kustomization lists in files of its own folder, with the file's name."""
    for name in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
        if (folder / name).is_file():
            yield from ((name, document) for document in yaml.safe_load_all((folder / name).read_text()))


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and pod of every workload of the base, the runs that the work pool makes among them."""
    for _, document in manifests(BASE):
        if document["kind"] in ("Deployment", "Job"):
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]
    yield "run", job_manifest()["spec"]["template"]["spec"]


def containers() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, container and pod of everything that runs in the cluster."""
    for name, pod in pods():
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            yield f"{name}/{container['name']}", container, pod


def job_template(folder: Path = BASE) -> dict[str, Any]:
    return dict(json.loads((folder / "base-job-template.json").read_text()))


def job_manifest() -> dict[str, Any]:
    """The job of a run as Prefect makes it from the pool's defaults: what has none is left out."""
    template = job_template()
    defaults = {
        name: part["default"] for name, part in template["variables"]["properties"].items() if "default" in part
    }

    def render(node: Any) -> Any:
        if isinstance(node, dict):
            rendered = {key: render(value) for key, value in node.items()}
            return {key: value for key, value in rendered.items() if value is not None}
        if isinstance(node, list):
            return [render(value) for value in node]
        if isinstance(node, str) and (found := re.fullmatch(r"\{\{ (\w+) \}\}", node)):
            return defaults.get(found[1])
        return node.replace("{{ name }}", "run") if isinstance(node, str) else node

    return dict(render(template["job_configuration"]["job_manifest"]))


def commands() -> dict[str, list[str]]:
    """Every command line that something here starts and that is ours: by who starts it."""
    built, services = stages(), filled(secrets())["services"]
    found = {f"Dockerfile/{name}": stage.command for name, stage in built.items() if stage.command}
    found |= {f"compose/{name}": s["command"] for name, s in services.items() if "command" in s and "build" in s}
    found |= {f"kubernetes/{name}": c["args"] for name, c, _ in containers() if "args" in c}
    return found
