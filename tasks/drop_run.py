"""Task: a run that must not start now."""

from datetime import UTC, datetime

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages.conclude import artifact_key, to_text
from evergreen.stages.run import Conclusion
from evergreen.stages.turn import Turn, drop


@task(name="drop", task_run_name="drop", cache_policy=NO_CACHE, timeout_seconds=300)
def drop_run(turn: Turn) -> Conclusion:
    """Note why in the ledger, and show it."""
    conclusion = drop(turn, Settings.from_environment(), datetime.now(UTC))
    create_markdown_artifact(
        to_text(conclusion), key=artifact_key(turn.model, "decision"), description="Why the run was dropped."
    )
    return conclusion
