"""Task: the schema's rules, before anything is learnt."""

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from evergreen.checks import to_markdown
from evergreen.settings import Settings
from evergreen.stages.assess import validate
from evergreen.stages.run import Evidence, Job


@task(name="validate", task_run_name="validate", cache_policy=NO_CACHE, timeout_seconds=1800)
def validate_snapshot(job: Job) -> Evidence:
    """Apply every rule to the snapshot; a broken one settles the run."""
    evidence = validate(job, Settings.from_environment())
    create_markdown_artifact(
        to_markdown((*evidence.validation, *evidence.warnings)),
        key=job.artifact("validation"),
        description="Every rule of the schema, held against the snapshot.",
    )
    return evidence
