"""Look at what a model was asked since the last look: what is seen, what follows from it, who is told."""

from typing import Any

from prefect import flow
from prefect.states import Completed, State

from evergreen.errors import EvergreenError
from evergreen.orchestrator.form import ModelName
from evergreen.stages.monitor import NotDue, headline
from tasks.conclude_window import conclude_window
from tasks.fail_flow import fail_flow
from tasks.judge_window import judge_window
from tasks.look_at_window import look_at_window
from tasks.take_window import take_window


@flow(name="monitor", flow_run_name="{model}")
def monitor(model: ModelName, early: bool = False) -> "State[Any]":
    """Take the window of captured predictions since the last one, look at it, and say what follows.

    A run that is called directly returns the window, if there was one, or raises what stopped it.

    Args:
        model: Which model, by the name of its spec in configs/.
        early: Close the window with whatever came, although it has fewer rows than monitoring.min_rows.
    """
    try:
        due = take_window(model, early)
        if isinstance(due, NotDue):
            return Completed(message=f"{due.model}: no window yet: {due.why}")
        seen = look_at_window(due)
        window = conclude_window(due, seen, judge_window(due, seen))
        return Completed(message=headline(window), data=window)
    except EvergreenError as error:
        return fail_flow(error)
