"""Task: a person's answer to a held decision."""

from datetime import UTC, datetime
from typing import Literal

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import answer as stage
from evergreen.stages.conclude import artifact_key
from evergreen.stages.told import tell
from evergreen.store.entry import LedgerEntry


@task(name="answer", task_run_name="{verdict}", cache_policy=NO_CACHE, timeout_seconds=900)
def answer_decision(decision: int, verdict: Literal["approve", "reject"], why: str, by: str) -> LedgerEntry:
    """Approve or reject; answering again the same way finishes what was cut short."""
    answer = {"approve": stage.approve, "reject": stage.reject}[verdict]
    entry = answer(decision, by, why, Settings.from_environment(), datetime.now(UTC))
    create_markdown_artifact(
        tell(entry), key=artifact_key(entry.model, "answer"), description="What a person answered, and what came of it."
    )
    return entry
