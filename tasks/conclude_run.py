"""Task: the report of a run and its links."""

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from evergreen.settings import Settings
from evergreen.stages import conclude as stage
from evergreen.stages.run import Conclusion, Evidence, Job
from evergreen.store.entry import LedgerEntry


@task(name="conclude", task_run_name="conclude", cache_policy=NO_CACHE, timeout_seconds=600)
def conclude_run(job: Job, evidence: Evidence, entry: LedgerEntry | None) -> Conclusion:
    """Write the report, link both ways, and say how the run ended."""
    conclusion = stage.conclude(job, evidence, entry, Settings.from_environment())
    create_markdown_artifact(stage.to_text(conclusion), key=job.artifact("decision"))
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, tags={*flow_run.tags, *stage.labels(conclusion)})
    return conclusion
