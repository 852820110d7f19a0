"""Task: the gate."""

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from evergreen.checks import to_markdown
from evergreen.settings import Settings
from evergreen.stages import evaluate as stage
from evergreen.stages.run import Evidence, Job, reached


@task(name="gate", task_run_name="gate", cache_policy=NO_CACHE, timeout_seconds=60)
def judge_challenger(job: Job, evidence: Evidence) -> Evidence:
    """Put every configured check to the evidence and decide."""
    evidence = stage.judge_challenger(job, evidence, Settings.from_environment())
    decision = reached(evidence.decision)
    headline = f"## {decision.kind}\n" + "\n".join(f"- {reason}" for reason in decision.reasons)
    create_markdown_artifact(
        f"{headline}\n\n{to_markdown(decision.checks)}",
        key=job.artifact("gate"),
        description="Every check of the gate, with its value and its bound.",
    )
    return evidence
