"""Score rows with the champion from a form, or by a schedule that a person adds to the deployment."""

from datetime import datetime
from typing import Annotated, Any

from prefect import flow
from prefect.states import State
from pydantic import Field

from evergreen.data.chunks import CHUNK_ROWS
from evergreen.errors import EvergreenError
from evergreen.orchestrator.form import ModelName
from evergreen.stages.score import Scores
from tasks.fail_flow import fail_flow
from tasks.open_scorer import open_scorer
from tasks.score_rows import score_rows
from tasks.take_rows import take_rows


@flow(name="score", flow_run_name="{model}")
def score(
    model: ModelName,
    as_of: datetime | None = None,
    data: str | None = None,
    out: str | None = None,
    chunk_rows: Annotated[int, Field(ge=1)] = CHUNK_ROWS,
) -> "Scores | State[Any]":
    """Answer for the rows whose label is not known, and write the answers as Parquet, part by part.

    Args:
        model: Which model, by the name of its spec in configs/.
        as_of: The moment to look from; when the run was due, if left out.
        data: A CSV or Parquet file that the worker can read, of which every row is scored instead.
        out: A folder that the worker can write; one below EVERGREEN_HOME/scores, if left out.
        chunk_rows: How many rows are in memory at once, and in a part.
    """
    try:
        scorer = open_scorer(model, data)
        return score_rows(scorer, take_rows(scorer, as_of), out, chunk_rows)
    except EvergreenError as error:
        return fail_flow(error)
