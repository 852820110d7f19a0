"""The folder of specs: all readable, and whom they tell can be reached."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evergreen.errors import SpecError
from evergreen.notify.channels import is_ready
from evergreen.operations.doctor.finding import Finding, asked, fine, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.spec import ModelSpec, load_spec

SPECS, NOTIFICATIONS = "specs", "notifications"


def look_at_project(patient: Patient) -> Iterator[Finding]:
    """Every spec, and the variables that they name."""
    configs = patient.settings.configs
    yield asked(SPECS, lambda: _look_at_specs(configs))
    yield asked(NOTIFICATIONS, lambda: judge_notifications(readable_specs(configs)[0], patient.environ))


def readable_specs(configs: Path) -> tuple[tuple[ModelSpec, ...], tuple[str, ...]]:
    """The specs of a folder, and the first line of what is wrong with each of the others."""
    specs, problems = [], []
    for file in sorted(configs.glob("*.yaml")):
        try:
            specs.append(load_spec(file))
        except SpecError as error:
            problems.append(str(error).splitlines()[0])
    first = {spec.model.lower(): spec.model for spec in reversed(specs)}
    problems += [f"{model} is kept by {n} specs" for key, model in first.items() if (n := _count(specs, key)) > 1]
    return tuple(specs), tuple(problems)


def judge_notifications(specs: Sequence[ModelSpec], environ: Mapping[str, str]) -> Finding:
    """Every variable that a spec names holds an address. What it holds is a secret, and not looked at."""
    channels = [(spec.model, notify) for spec in specs for notify in spec.notify]
    unset = [f"{notify.url_env} ({model})" for model, notify in channels if not is_ready(notify, environ)]
    if unset:
        what = f"not set here, so that nobody is told: {', '.join(dict.fromkeys(unset))}"
        return wrong(NOTIFICATIONS, what, "set it where evergreen up, or evergreen tend, is started")
    return fine(NOTIFICATIONS, f"{len(channels)} ready" if channels else "no spec names any")


def _count(specs: Sequence[ModelSpec], model: str) -> int:
    return sum(spec.model.lower() == model for spec in specs)


def _look_at_specs(configs: Path) -> Finding:
    specs, problems = readable_specs(configs)
    if problems:
        return wrong(SPECS, "; ".join(problems), "correct the file; evergreen schema completes it in an editor")
    if not specs:
        return fine(SPECS, f"none in {configs}", "evergreen init <name> --data <file> --target <column>")
    return fine(SPECS, f"{len(specs)} in {configs}")
