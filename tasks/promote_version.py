"""Task: the decision's effect."""

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages.promote import promote
from evergreen.store.entry import LedgerEntry


@task(name="promote", task_run_name="promote", cache_policy=NO_CACHE, timeout_seconds=300)
def promote_version(entry: LedgerEntry | None) -> None:
    """Move the alias `champion`, if the champion is still the one that the decision was made against."""
    promote(entry, Settings.from_environment(), datetime.now(UTC))
