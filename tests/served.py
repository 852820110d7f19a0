"""Traffic of a project's champion: what serving would have captured, without a server."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from evergreen.registry.model import load
from evergreen.registry.versions import Registry
from evergreen.stages.open import tracking_of
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter
from tests.project import Project

INPUTS = ["waited", "spent", "plan"]


def champion_of(project: Project, version: int = 1) -> Any:
    """The pipeline of a version."""
    recorded = Registry(tracking_of(project.settings)).version(project.model, version)
    return load(tracking_of(project.settings), recorded.source, recorded.digest)


def serve(
    project: Project,
    pipeline: Any,
    frame: pd.DataFrame,
    start: datetime,
    span: timedelta = timedelta(minutes=50),
    written: timedelta = timedelta(seconds=1),
    name: str = "r",
    leave_out: Sequence[str] = (),
    explored: Sequence[bool] = (),
) -> list[Prediction]:
    """Answer rows evenly over a time and capture them; rows are written that long after the last of them."""
    rows = frame[INPUTS]
    labels, chances = pipeline.predict(rows), pipeline.predict_proba(rows)
    made = []
    kept = rows.drop(columns=list(leave_out))
    for place, row in enumerate(kept.astype(object).where(kept.notna(), None).to_dict("records")):
        named = dict(zip(map(str, pipeline.classes_), chances[place].tolist(), strict=True))
        at, request = start + span * place / len(rows), f"{name}{start:%d%H%M}-{place}"
        one = Prediction(
            f"{request}.0", request, project.model, 1, Role.CHAMPION, at, row, str(labels[place]), named, None, 2.0
        )
        made.append(replace(one, explored=bool(explored) and explored[place]))
    with TrafficWriter(project.settings.store_url) as writer:
        writer.write(made, start + span + written)
    return made


def tell(project: Project, rows: Sequence[Prediction], labels: Sequence[str], at: datetime) -> None:
    """What came true of captured rows."""
    said = [Feedback(project.model, label, at, at, row.id) for row, label in zip(rows, labels, strict=True)]
    Traffic(project.settings.store_url).write_feedback(said)
