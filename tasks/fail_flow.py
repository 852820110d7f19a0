"""How a flow run that could not go on ends."""

from prefect.states import Failed, State

from evergreen.errors import EvergreenError


def fail_flow(error: EvergreenError) -> State[EvergreenError]:
    """A state that says what stopped the run and what to do, and nothing else; the caller is raised the error."""
    return Failed(message=str(error), data=error)
