"""`evergreen reconcile`: finish or undo what somebody left half done, without a run."""

from datetime import datetime, timedelta

from evergreen.settings import Settings
from evergreen.stages.moved import policy_of
from evergreen.stages.open import connect, registry_of
from evergreen.stages.settle import settle
from evergreen.stages.turn import TIDYING
from evergreen.store.turn import Busy, take_turn

# No dry run takes longer; tending waits as long for one.
_DRY_RUN = timedelta(days=1)


def tidy(model: str, settings: Settings, now: datetime) -> list[str]:
    """Settle promotions that were cut short, and close tracking runs of the dead; one line on each.

    A model that is being trained is left to its run, which did the same when it started. Dry runs take no turn: only
    those that are older than a day are taken for dead.
    """
    tracking, ledger = connect(settings)
    try:
        with take_turn(settings.store_url, model, TIDYING, now):
            policy = policy_of(model, settings)
            lines = settle(ledger, registry_of(settings), model, now, policy=policy)
            for run_id in tracking.running(model, dry_since=now - _DRY_RUN):
                tracking.finish(run_id, "KILLED")
                lines.append(f"MLflow run {run_id} of {model} is closed: nobody was working on it any more")
            return lines
    except Busy as busy:
        return [str(busy)]
