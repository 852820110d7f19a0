"""Labelled traffic trains the next model: what a spec's source of it sees, and what it leaves out."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.data.frame import read_snapshot
from evergreen.data.snapshot import TrafficRows
from evergreen.stages.load import inspect_data
from evergreen.stages.open import read_spec
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.traffic import Traffic
from evergreen.store.window import Verdict, Window
from evergreen.store.windows import Windows
from tests.project import SECOND, Project, shoppers

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BASE = {"kind": "traffic", "base": {"kind": "csv", "path": "table.csv"}}
LAST = datetime(2026, 4, 1, tzinfo=UTC)


def served(project: Project, rows: int = 480, every: int = 1) -> pd.DataFrame:
    """Shoppers after the table's last one, as they were answered, each `every`-th of them labelled a week later."""
    frame = shoppers(days=rows // 12, seed=9)
    inputs = frame[["waited", "spent", "plan"]].to_dict("records")
    said = (frame["waited"] > frame["spent"]).map({True: "yes", False: "no"})
    made = [
        Prediction(
            f"r{place}.0", f"r{place}", project.model, 1, Role.CHAMPION, LAST + 2 * place * HOUR, row, said[place]
        )
        for place, row in enumerate(inputs)
    ]
    traffic = Traffic(project.settings.store_url)
    for start in range(0, rows, 100):
        traffic.write(made[start : start + 100], made[min(start + 99, rows - 1)].at)
    labelled = [each for each in range(rows) if every == 1 or said[each] == "yes"]
    known = [made[each].at + 7 * DAY for each in labelled]
    traffic.write_feedback(
        [
            Feedback(project.model, frame["leaves"][each], at, at, prediction_id=made[each].id)
            for each, at in zip(labelled, known, strict=True)
        ]
    )
    return frame.assign(at=[each.at for each in made])


@pytest.fixture
def fed(crowned: Project) -> Project:
    """A project whose table ended with its first run, and that learns from its traffic since."""
    table = pd.read_csv(crowned.table, parse_dates=["at"])
    crowned.write(table[table["at"] < "2026-04-01"])
    crowned.change(data__source=BASE)
    return crowned


def snapshot(project: Project, as_of: datetime):
    return inspect_data(read_spec(project.model, project.settings), as_of, project.settings)[0]


def test_a_snapshot_holds_the_table_and_then_what_was_served(fed):
    frame = served(fed)
    found = snapshot(fed, SECOND)
    rows = read_snapshot(found.path)
    mature = frame[frame["at"] <= pd.Timestamp(SECOND - 7 * DAY)]
    assert found.traffic == TrafficRows(len(mature))
    mine = rows.tail(len(mature)).reset_index(drop=True)
    assert mine["waited"].tolist() == mature["waited"].tolist()
    assert mine["leaves"].tolist() == mature["leaves"].tolist()
    assert found.labelled == len(rows[rows["at"] <= pd.Timestamp(SECOND - 7 * DAY).tz_localize(None)])


def test_a_moment_of_the_past_gives_the_same_snapshot_whatever_is_known_since(fed):
    served(fed)
    before = snapshot(fed, SECOND)
    corrected = SECOND + DAY
    Traffic(fed.settings.store_url).write_feedback(
        [Feedback(fed.model, "no", corrected, corrected, prediction_id=f"r{place}.0") for place in range(50)]
    )
    quarantine(fed, LAST, LAST + 4 * DAY, looked_at=SECOND + HOUR)
    assert snapshot(fed, SECOND).digest == before.digest
    assert snapshot(fed, SECOND + 2 * DAY).traffic.quarantined == 48


def quarantine(project: Project, since: datetime, until: datetime, looked_at: datetime, **late) -> None:
    window = Window(
        project.model, 1, since, until, looked_at, 48, len(late), (), Verdict.QUARANTINE, ("nulls",), **late
    )
    assert Windows(project.settings.store_url).write(window)
    assert Windows(project.settings.store_url).write(
        replace(window, since=until, until=until + DAY, verdict=Verdict.QUIET)
    )


def test_late_rows_that_a_window_in_quarantine_was_judged_by_are_left_out_too(fed):
    served(fed)
    begin, hour = LAST + 8 * DAY, LAST + 198 * HOUR  # when the first hundred rows were written
    quarantine(fed, begin, begin + DAY, begin + DAY, late_since=hour, settled=hour + HOUR)
    assert snapshot(fed, SECOND).traffic.quarantined == 12 + 12


def test_a_run_learns_from_traffic_and_says_so(fed, caplog):
    served(fed)
    quarantine(fed, LAST, LAST + DAY, looked_at=LAST + DAY)
    with caplog.at_level("INFO"):
        conclusion = fed.run(SECOND)
    assert conclusion.champion == 2
    assert "265 rows are labelled traffic; 12 are left out, as monitoring held the feed for broken" in caplog.text
    assert "277 of 277 mature predictions have a label" in caplog.text


def test_labels_of_some_answers_alone_are_warned_of(fed, caplog):
    served(fed, every=2)
    shown = CliRunner().invoke(app, ["check", fed.model, "--as-of", SECOND.isoformat()], env={"COLUMNS": "300"})
    assert "rows are labelled traffic" in shown.output
    assert re.search(r"\nlabels are of all .* FAIL ", shown.output)
    with caplog.at_level("INFO"):
        conclusion = fed.run(SECOND)
    (warning,) = (check for check in conclusion.evidence.warnings if check.name.startswith("labels"))
    assert "no in 0%; what is learnt is of those answers" in warning.why
