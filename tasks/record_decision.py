"""Task: the decision into the ledger, before its effect."""

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages.promote import record
from evergreen.stages.run import Evidence, Job
from evergreen.store.entry import LedgerEntry


@task(name="record", task_run_name="record", cache_policy=NO_CACHE, timeout_seconds=300)
def record_decision(job: Job, evidence: Evidence) -> LedgerEntry | None:
    """One immutable row; None for a dry run."""
    return record(job, evidence, Settings.from_environment(), datetime.now(UTC))
