"""`evergreen reconcile`: finish or undo what somebody left half done, without a run."""

from datetime import datetime

from evergreen.settings import Settings
from evergreen.stages.open import connect, registry_of
from evergreen.stages.settle import settle
from evergreen.store.turn import Busy, take_turn


def tidy(model: str, settings: Settings, now: datetime) -> list[str]:
    """Settle promotions that were cut short, and close tracking runs of the dead; one line on each.

    A model that is being trained is left to its run, which did the same when it started.
    """
    tracking, ledger = connect(settings)
    try:
        with take_turn(settings.store_url, model, "reconcile", now):
            lines = settle(ledger, registry_of(settings), model, now)
            for run_id in tracking.running(model):
                tracking.finish(run_id, "KILLED")
                lines.append(f"MLflow run {run_id} of {model} is closed: nobody was working on it any more")
            return lines
    except Busy as busy:
        return [str(busy)]
