"""Answer a held decision from a form: approve it, or reject it."""

from typing import Annotated, Any, Literal

from prefect import flow
from prefect.states import State
from pydantic import Field

from evergreen.errors import EvergreenError
from evergreen.store.entry import LedgerEntry
from tasks.answer_decision import answer_decision
from tasks.fail_flow import fail_flow


@flow(name="approve", flow_run_name="{verdict}-{decision}")
def approve(
    decision: Annotated[int, Field(ge=1)],
    verdict: Literal["approve", "reject"],
    why: Annotated[str, Field(min_length=1)],
    by: Annotated[str, Field(min_length=1)],
) -> "LedgerEntry | State[Any]":
    """Promote or turn down the challenger that a HOLD keeps waiting for a person.

    Args:
        decision: Number of the held decision, as the run that was held, the message about it or evergreen status says.
        verdict: Approve makes the challenger champion, if it still passes its smoke test. Reject leaves the champion.
        why: The reason. It goes to the ledger word for word, for whoever asks a year from now.
        by: Who decides: a name or an address that colleagues know.
    """
    try:
        return answer_decision(decision, verdict, why, by)
    except EvergreenError as error:
        return fail_flow(error)
