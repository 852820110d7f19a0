"""Task: an earlier champion becomes champion again."""

from datetime import UTC, datetime

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages.conclude import artifact_key
from evergreen.stages.open import find_model
from evergreen.stages.rollback import Target, rollback
from evergreen.stages.told import tell
from evergreen.store.entry import LedgerEntry


@task(name="rollback", task_run_name="rollback", cache_policy=NO_CACHE, timeout_seconds=900)
def restore_champion(model: str, to: int | None, why: str, by: str, *, pin: bool) -> LedgerEntry:
    """One ledgered compare-and-set, after the version passed its smoke test."""
    settings = Settings.from_environment()
    entry = rollback(find_model(model, settings), Target(to, pin=pin), by, why, settings, datetime.now(UTC))
    create_markdown_artifact(
        tell(entry),
        key=artifact_key(entry.model, "rollback"),
        description="Which version is champion again, and who wanted it.",
    )
    return entry
