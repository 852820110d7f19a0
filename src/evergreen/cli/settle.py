"""What becomes of flow runs whose processes were ended: Prefect is not left believing that they go on."""

from collections.abc import Callable, Iterable

from evergreen.errors import EvergreenError
from evergreen.orchestrator.api import FlowRun, PrefectApi

_WHY = "Evergreen: all was stopped on this machine"


def settle_runs(api: PrefectApi, ids: Iterable[str], say: Callable[[str], None]) -> None:
    """Put each run into the state that is true of it: due again if it had not begun, crashed if it was cut short.

    A run that has said itself how it ended is left as it is.
    """
    for run_id in sorted(ids):
        try:
            run = api.flow_run(run_id)
            line = None if run is None else _settle(api, run)
        except EvergreenError as error:
            line = f"flow run {run_id}: {error}"
        if line:
            say(line)


def _settle(api: PrefectApi, run: FlowRun) -> str | None:
    match run.state_type:
        case "PENDING":
            api.set_state(run.id, "SCHEDULED", "Scheduled", _WHY, force=True)
            return f"flow run {run.name} had not begun; it does after the next start"
        case "RUNNING":
            api.set_state(run.id, "CRASHED", "Crashed", _WHY, force=True)
            return f"flow run {run.name} was cut short; it is tried once more after the next start"
        case "CANCELLING":
            api.set_state(run.id, "CANCELLED", "Cancelled", _WHY, force=True)
    return None
