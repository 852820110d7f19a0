"""Task: the report of a run and its links."""

import json
from urllib.parse import urlencode

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


def _approval_form(decision: int | None) -> str | None:
    """Where a held decision is answered, filled in; None where that is not deployed, or there are no pages."""
    pages = PREFECT_UI_URL.value() or ""
    if not pages.startswith("http"):
        return None
    with get_client(sync_client=True) as client:
        try:
            form = client.read_deployment_by_name(APPROVE).id
        except ObjectNotFound:
            return None
    filled = urlencode({"parameters": json.dumps({"decision": decision})})
    return f"{pages}/deployments/deployment/{form}/run?{filled}"


@task(name="conclude", task_run_name="conclude", cache_policy=NO_CACHE, timeout_seconds=600)
def conclude_run(job: Job, evidence: Evidence, entry: LedgerEntry | None) -> Conclusion:
    """Write the report, link both ways, and say how the run ended."""
    conclusion = stage.conclude(job, evidence, entry, Settings.from_environment())
    form = _approval_form(conclusion.ledger_id) if conclusion.answer_by else None
    create_markdown_artifact(
        stage.to_text(conclusion, form),
        key=job.artifact("decision"),
        description="What was decided and why, with links to the report and to MLflow.",
    )
    return conclusion
