"""Go back to an earlier champion from a form."""

from typing import Annotated, Any

from prefect import flow
from prefect.states import State
from pydantic import Field

from evergreen.errors import EvergreenError
from evergreen.orchestrator.form import ModelName
from evergreen.store.entry import LedgerEntry
from tasks.fail_flow import fail_flow
from tasks.restore_champion import restore_champion


@flow(name="rollback", flow_run_name="{model}")
def rollback(
    model: ModelName,
    why: Annotated[str, Field(min_length=1)],
    by: Annotated[str, Field(min_length=1)],
    to: Annotated[int, Field(ge=1)] | None = None,
    pin: bool = False,
) -> "LedgerEntry | State[Any]":
    """Make an earlier champion champion again, if it still passes its smoke test.

    Args:
        model: Which model, by the name of its spec in configs/.
        why: The reason. It goes to the ledger word for word, for whoever asks a year from now.
        by: Who decides: a name or an address that colleagues know.
        to: The version to go back to; the champion before the present one, if left out.
        pin: Keep it there: no run replaces it until evergreen unpin.
    """
    try:
        return restore_champion(model, to, why, by, pin=pin)
    except EvergreenError as error:
        return fail_flow(error)
