"""How a flow run that came to a decision ends: its name, its tags and its state say which."""

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Completed, State

from evergreen.report.run import headline
from evergreen.stages.conclude import labels, outcome
from evergreen.stages.run import Conclusion


def end_flow(conclusion: Conclusion) -> State[Conclusion]:
    """A state whose result the caller is given, after the run's line in every list says what was decided."""
    name, tags = f"{flow_run.name}: {outcome(conclusion)}", {*flow_run.tags, *labels(conclusion)}
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name, tags=tags)
    return Completed(message=headline(conclusion.report), data=conclusion)
