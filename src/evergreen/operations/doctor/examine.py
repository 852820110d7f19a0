"""Look at everything, side by side and for a few seconds: what has not answered by then is said not to."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from evergreen.address import scrubbed
from evergreen.operations.doctor import (
    champions,
    machine,
    messages,
    places,
    project,
    records,
    served,
    server,
    tracking,
    versions,
    watched,
)
from evergreen.operations.doctor.finding import Finding, Health, first_line, unknown, wrong
from evergreen.operations.doctor.patient import Patient

_PATIENCE_SECONDS = 4.0
_TIMES_SLOWER = 5
_SECRETS = (
    "PREFECT_API_AUTH_STRING",
    "PREFECT_SERVER_API_AUTH_STRING",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)
_SHORTEST = 3  # letters; shorter ones would be found in every word


@dataclass(frozen=True)
class Part:
    """Findings that are made one after the other, by name. Where `reached` says nothing in time, that is wrong.

    That is so unless it is `behind` something that is not well itself.
    """

    title: str
    names: tuple[str, ...]
    look: Callable[[Patient], Iterator[Finding]]
    reached: str = ""
    behind: str = ""


PARTS: tuple[Part, ...] = (
    Part("this machine", (versions.PYTHON, versions.PACKAGES), versions.look_at_versions),
    Part("this machine", (machine.HOME, machine.DISK, machine.PORTS), machine.look_at_machine),
    Part("specs", (project.SPECS, project.NOTIFICATIONS), project.look_at_project),
    Part("prefect", (server.SERVER, *server.BEHIND_SERVER), server.look_at_prefect, server.SERVER),
    Part("store", (records.STORE, *records.BEHIND_STORE), records.look_at_store, records.STORE),
    Part("messages", (messages.TEND, messages.MESSAGES), messages.look_at_messages),
    Part("mlflow", (tracking.MLFLOW, tracking.SCHEMA), tracking.look_at_mlflow, tracking.MLFLOW),
    Part("mlflow", (champions.CHAMPIONS,), champions.look_at_champions),
    Part("files", (places.ARTIFACTS,), places.look_at_artifacts, places.ARTIFACTS, tracking.MLFLOW),
    Part("files", (places.SNAPSHOTS,), places.look_at_snapshots, places.SNAPSHOTS),
    Part("serving", (served.SERVING,), served.look_at_serving),
    Part("serving", (watched.MONITORING,), watched.look_at_monitoring),
)


def examine(patient: Patient, seconds: float = _PATIENCE_SECONDS) -> tuple[Finding, ...]:
    """Every finding, in the order of `PARTS`; never raises.

    Takes a little over `seconds` where something is silent, and longer where it answers slowly.
    """
    made: list[list[Finding]] = [[] for _ in PARTS]
    # Daemons, so that a call that never returns does not keep the process.
    threads = [
        threading.Thread(target=_gather, args=(part, patient, into), daemon=True)
        for part, into in zip(PARTS, made, strict=True)
    ]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    for part, thread, into in zip(PARTS, threads, made, strict=True):
        thread.join(max(0.0, begun + seconds - time.monotonic()))
        if into or not part.reached:
            # Somebody answers, only slowly.
            thread.join(max(0.0, begun + _TIMES_SLOWER * seconds - time.monotonic()))
    told = [tuple(into) for into in made]
    ill = {finding.name for findings in told for finding in findings if finding.outcome is not Health.OK}
    found = [f for part, findings in zip(PARTS, told, strict=True) for f in _completed(part, findings, ill, seconds)]
    return tuple(_without_secrets(finding, patient) for finding in found)


def grouped(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Findings by the title of their part, in order."""
    titles = {name: part.title for part in PARTS for name in part.names}
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(titles[finding.name], []).append(finding)
    return groups


def _gather(part: Part, patient: Patient, into: list[Finding]) -> None:
    try:
        for finding in part.look(patient):
            into.append(finding)
    except Exception as error:
        # Nothing that is examined may keep the rest from being told.
        into.extend(unknown(name, first_line(error)) for name in part.names[len(into) :])


def _completed(part: Part, made: Sequence[Finding], ill: Collection[str], seconds: float) -> Iterator[Finding]:
    yield from made
    silent = f"no answer within {seconds:g} s"
    for name in part.names[len(made) :]:
        told = name == part.reached and part.behind not in ill
        yield wrong(name, silent, "see that it runs and can be reached") if told else unknown(name, silent)


def _without_secrets(finding: Finding, patient: Patient) -> Finding:
    settings, environ = patient.settings, patient.environ
    addresses = (
        settings.store_url,
        settings.tracking_uri,
        settings.snapshots,
        settings.artifacts,
        environ.get("PREFECT_API_URL", ""),
    )
    what, do = finding.what, finding.do
    for address in addresses:
        what, do = scrubbed(what, address), scrubbed(do, address)
    for secret in _secrets(environ):
        what, do = what.replace(secret, "***"), do.replace(secret, "***")
    return replace(finding, what=what, do=do)


def _secrets(environ: Mapping[str, str]) -> list[str]:
    values = [environ.get(name, "") for name in _SECRETS]
    passwords = [value.partition(":")[2] for value in values]
    return sorted((v for v in (*values, *passwords) if len(v) >= _SHORTEST), key=len, reverse=True)
