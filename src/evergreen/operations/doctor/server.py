"""Prefect: its server, the pool and its worker, and whether what is deployed is what the specs say."""

from collections.abc import Iterator
from functools import cache
from importlib import metadata

from evergreen.address import redacted
from evergreen.errors import EvergreenError, UserError
from evergreen.operations.doctor import deployed, work
from evergreen.operations.doctor.clock import judge_clock, measure
from evergreen.operations.doctor.finding import Finding, asked, fine, first_line, unknown, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.operations.doctor.project import readable_specs
from evergreen.orchestrator.api import PrefectApi, password_of
from evergreen.orchestrator.http import call
from evergreen.orchestrator.plan import FLOWS, flows_of
from evergreen.supervisor.state import read_state, up_folder

SERVER, VERSION, CLOCK = "prefect server", "prefect version", "prefect clock"
BEHIND_SERVER = (VERSION, CLOCK, *work.NAMES, *deployed.NAMES)
_SECONDS = 2.0


class EndedError(UserError):
    """`evergreen up` was there, and nobody stopped it."""


def look_at_prefect(patient: Patient) -> Iterator[Finding]:
    """The server that was chosen, or that `evergreen up` runs, and everything that only it knows."""
    try:
        api = chosen_server(patient)
        if api is None:
            yield fine(SERVER, "not running, and each command brings its own; evergreen up starts a lasting one")
            yield from (fine(name, "there is no lasting server") for name in BEHIND_SERVER)
            return
        call("GET", f"{api.url}/health", auth=api.auth, seconds=_SECONDS)
        version = api.version()
    except EvergreenError as error:
        yield wrong(SERVER, first_line(error), _what_to_do(error))
        yield from (unknown(name, "the Prefect server does not answer") for name in BEHIND_SERVER)
        return
    yield fine(SERVER, f"answers at {redacted(api.url)}")
    yield asked(VERSION, lambda: judge_version(version, metadata.version("prefect")))
    yield asked(CLOCK, lambda: judge_clock(CLOCK, measure(api.server_time, patient.clock), patient.bounds.skew))
    yield from _look_inside(api, patient)


def chosen_server(patient: Patient) -> PrefectApi | None:
    """The server of PREFECT_API_URL, else that of `evergreen up`; None where neither is there.

    Raises EndedError where `evergreen up` left without cleaning up.
    """
    api = PrefectApi.from_environment(patient.environ)
    if api is not None:
        return api
    home = patient.settings.home
    up = read_state(home)
    if up is not None:
        return PrefectApi(up.prefect, password_of(patient.environ))
    if (up_folder(home) / "state.json").exists():
        raise EndedError("evergreen up ended without being stopped, and its servers with it")
    return None


def judge_version(server: str, client: str) -> Finding:
    """The server's version of Prefect against that of the flows.

    >>> judge_version("3.9.1", "3.8.8").outcome, judge_version("3.8.9", "3.8.8").outcome
    (<Health.WRONG: 'wrong'>, <Health.OK: 'ok'>)
    """
    if server.split(".")[:2] == client.split(".")[:2]:
        return fine(VERSION, f"server {server}, flows {client}")
    return wrong(VERSION, f"the server is {server}, and flows run with {client}", "install the same version on both")


def _what_to_do(error: EvergreenError) -> str:
    if isinstance(error, EndedError):
        return "evergreen up"
    if isinstance(error, UserError):
        return "correct PREFECT_API_URL, which ends with /api, and PREFECT_API_AUTH_STRING"
    return "start it (evergreen up), or correct PREFECT_API_URL"


def _look_inside(api: PrefectApi, patient: Patient) -> Iterator[Finding]:
    specs, unreadable = readable_specs(patient.settings.configs)
    deployments = cache(api.deployments)
    yield from work.look_at_pools(api, deployments)
    wanted = deployed.wanted_deployments(specs, flows_of(patient.project) or FLOWS)
    yield asked(deployed.DEPLOYMENTS, lambda: deployed.judge_deployments(deployments(), wanted, not unreadable))
    yield asked(deployed.SCHEDULES, lambda: deployed.judge_schedules(deployments(), specs))
    yield asked(deployed.AUTOMATIONS, lambda: deployed.judge_automations(api.automations(), specs, not unreadable))
