"""Task: what has moved since the champion was trained."""

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from evergreen.drift.text import to_markdown
from evergreen.settings import Settings
from evergreen.stages import assess as stage
from evergreen.stages.run import Evidence, Job


@task(name="drift", task_run_name="drift", cache_policy=NO_CACHE, timeout_seconds=1800)
def assess_drift(job: Job, evidence: Evidence) -> Evidence:
    """Compare with the champion's reference; too much drift settles the run, and so does none if it was the reason."""
    evidence = stage.assess_drift(job, evidence, Settings.from_environment())
    if evidence.drift is not None:
        create_markdown_artifact(
            to_markdown(evidence.drift),
            key=job.artifact("drift"),
            description="What has moved since the champion was trained, column by column.",
        )
    return evidence
