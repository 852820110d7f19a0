"""Task: the report of a run and its links."""

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_UI_URL

from evergreen.orchestrator.names import APPROVE
from evergreen.settings import Settings
from evergreen.stages import conclude as stage
from evergreen.stages.run import Conclusion, Evidence, Job
from evergreen.store.entry import LedgerEntry


def _approval_form() -> str | None:
    """The address of the form that answers held decisions; None where it is not deployed, or there are no pages."""
    pages = PREFECT_UI_URL.value() or ""
    if not pages.startswith("http"):
        return None
    with get_client(sync_client=True) as client:
        try:
            return f"{pages}/deployments/deployment/{client.read_deployment_by_name(APPROVE).id}/run"
        except ObjectNotFound:
            return None


@task(name="conclude", task_run_name="conclude", cache_policy=NO_CACHE, timeout_seconds=600)
def conclude_run(job: Job, evidence: Evidence, entry: LedgerEntry | None) -> Conclusion:
    """Write the report, link both ways, and say how the run ended."""
    conclusion = stage.conclude(job, evidence, entry, Settings.from_environment())
    form = _approval_form() if conclusion.answer_by else None
    create_markdown_artifact(stage.to_text(conclusion, form), key=job.artifact("decision"))
    return conclusion
