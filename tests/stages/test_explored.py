"""Where labels come back for some answers only, the realised loss is that of the explored ones."""

from contextlib import chdir
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from evergreen.checks import Outcome
from evergreen.spec.serving import ExploreRules, Serving
from evergreen.stages.look import look_at_window
from evergreen.stages.monitor import take_window
from evergreen.store.window import Signal, SignalKind
from tests.project import shoppers
from tests.served import champion_of, serve, tell

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ROWS = 1_200


@pytest.fixture(scope="module")
def pipeline(crowned_project):
    with chdir(crowned_project.folder):
        return champion_of(crowned_project)


@pytest.fixture
def reign(crowned) -> datetime:
    """When the champion took over."""
    return crowned.ledger.history(crowned.model)[-1].at


def realised(project, now: datetime, share: float) -> Signal:
    due = take_window(project.model, project.settings, now, early=True)
    spec = due.spec.model_copy(update={"serving": Serving(explore=ExploreRules(share=share))})
    seen = look_at_window(replace(due, spec=spec), project.settings)
    return next(signal for signal in seen.signals if signal.kind is SignalKind.REALISED)


def answer(project, pipeline, reign, every: bool = False):
    """A third is explored. All who were said to stay do the opposite, and only explored ones of them have a label."""
    marks = [place % 3 == 0 for place in range(ROWS)]
    rows = serve(project, pipeline, shoppers(days=ROWS // 12, seed=5), reign + MINUTE, explored=marks)
    known = [row for row in rows if every or row.explored or row.prediction == "yes"]
    tell(project, known, ["yes"] * len(known), reign + 8 * DAY)
    return rows, known


def test_explored_answers_speak_alone_where_labels_are_selective(crowned, pipeline, reign):
    rows, known = answer(crowned, pipeline, reign)
    explored = [row for row in rows if row.explored]
    plain, judged = (realised(crowned, reign + 9 * DAY, share) for share in (0.0, 1 / 3))
    assert (plain.details["labels"], judged.details["labels"]) == (len(known), len(explored))
    assert (judged.outcome, judged.details["explored"]) == (Outcome.FAIL, len(explored))
    assert judged.details["share_labelled"] == 1
    assert "of explored answers alone" in judged.why
    wrong = sum(row.prediction == "no" for row in explored) / len(explored)
    assert judged.details["newest"]["loss"] > plain.details["newest"]["loss"]
    assert 0.2 < wrong < 0.9


def test_where_every_answer_has_a_label_every_label_counts(crowned, pipeline, reign):
    answer(crowned, pipeline, reign, every=True)
    judged = realised(crowned, reign + 9 * DAY, 1 / 3)
    assert (judged.details["labels"], "explored" in judged.details) == (ROWS, False)


def test_where_labels_are_selective_and_few_are_explored_every_label_counts(crowned, pipeline, reign):
    rows = serve(crowned, pipeline, shoppers(days=100, seed=5), reign + MINUTE, explored=[True] * 50 + [False] * 1_150)
    known = [row for row in rows if row.explored or row.prediction == "yes"]
    tell(crowned, known, ["yes"] * len(known), reign + 8 * DAY)
    judged = realised(crowned, reign + 9 * DAY, 0.04)
    assert (judged.details["labels"], "explored" in judged.details) == (len(known), False)
