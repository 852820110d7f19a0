"""Task: the champion's answers."""

from datetime import UTC, datetime

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from evergreen.data.snapshot import Snapshot
from evergreen.settings import Settings
from evergreen.stages import score as stage
from evergreen.stages.conclude import artifact_key
from evergreen.stages.score import Destination, Scores
from evergreen.stages.scorer import Scorer


@task(name="score", task_run_name="score", cache_policy=NO_CACHE, timeout_seconds=24 * 3600)
def score_rows(scorer: Scorer, snapshot: Snapshot, out: str | None, chunk_rows: int) -> Scores:
    """Write what is not there yet, part by part."""
    settings = Settings.from_environment()
    scores = stage.score_rows(scorer, snapshot, Destination(out, chunk_rows), settings, datetime.now(UTC))
    create_markdown_artifact(
        f"{stage.tell(scores)}\n\n`{scores.folder}`",
        key=artifact_key(scores.model, "scores"),
        description="How many rows were scored, and where the answers stand.",
    )
    return scores
