"""Predictions that people are asked about go out as a file, and their answers come back whole or not at all."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.errors import DataError, UserError
from evergreen.stages.taken import Taken, take_labels
from evergreen.stages.wanted import Search, find_wanted, write_wanted
from evergreen.store.labelled import LabelledTraffic
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.traffic import Traffic
from tests.project import Project, shoppers

NOW = datetime(2026, 4, 3, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def served(crowned: Project) -> Project:
    """A champion that answered 240 shoppers, of whom every fourth has a label."""
    frame = shoppers(days=20, seed=9)[["waited", "spent", "plan"]]
    frame.loc[5, "plan"] = "=2+3"
    made = [answered(crowned, place, row) for place, row in enumerate(frame.to_dict("records"))]
    traffic = Traffic(crowned.settings.store_url)
    traffic.write(made, NOW)
    traffic.write_feedback([Feedback(crowned.model, "no", NOW, NOW, f"r{place}.0") for place in range(0, 240, 4)])
    return crowned


def answered(project: Project, place: int, row: dict, yes: float = 0.2) -> Prediction:
    at = NOW - DAY + timedelta(minutes=place)
    chances = {"no": 1 - yes, "yes": yes}
    name = f"r{place}"
    return Prediction(f"{name}.0", name, project.model, 1, Role.CHAMPION, at, row, "no", chances, f"c{place}")


def labels(project: Project) -> dict[str, object]:
    found: dict[str, object] = {}
    for chunk in LabelledTraffic(project.settings.store_url).chunks(project.model, NOW + DAY):
        found |= dict(zip(*(chunk.answers.column(name).to_pylist() for name in ("id", "label")), strict=True))
    return found


def test_a_file_goes_out_is_filled_in_and_comes_back(served, tmp_path):
    search = Search(NOW - 2 * DAY, NOW, top=30)
    wanted = find_wanted(served.model, search, served.settings)
    assert len({row.answer["id"] for row in wanted}) == 30
    assert not {row.answer["id"] for row in wanted} & labels(served).keys()
    assert find_wanted(served.model, search, served.settings) == wanted
    path = tmp_path / "wanted.csv"
    with path.open("w", newline="") as file:
        write_wanted(wanted, file)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["prediction_id"] for row in rows] == [row.answer["id"] for row in wanted]
    assert {"row_id", "predicted_at", "prediction", "why", "input.waited", "input.plan"} <= rows[0].keys()
    for row in rows[:20]:
        row["label"] = "yes"
    rows[0]["at"] = "2026-04-02T12:00:00+02:00"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    before = labels(served)
    assert take_labels(served.model, path, served.settings, NOW + DAY) == Taken({"new": 20}, blank=10)
    assert labels(served) == before | {row["prediction_id"]: "yes" for row in rows[:20]}
    assert take_labels(served.model, path, served.settings, NOW + DAY).outcomes == {"duplicate": 20}
    known = Traffic(served.settings.store_url).labelled(served.model, NOW - 2 * DAY, NOW, NOW + DAY).answers
    asked = dict(zip(*(known.column(name).to_pylist() for name in ("id", "asked")), strict=True))
    assert {name for name in asked if asked[name]} == {row["prediction_id"] for row in rows[:20]}


@pytest.mark.parametrize("left_out", [["spent"], ["spent", "row"], ["waited", "spent", "plan"]])
def test_what_is_left_out_is_in_no_file_though_older_rows_have_it(served, left_out):
    served.change(serving={"capture": {"leave_out": left_out}}, data__id_column="row")
    inputs = {"waited": 0.1, "spent": 0.2, "plan": "pro"}
    kept = {name: value for name, value in inputs.items() if name not in left_out}
    Traffic(served.settings.store_url).write([answered(served, 300, kept, yes=0.49)], NOW)
    wanted = find_wanted(served.model, Search(NOW - 2 * DAY, NOW, top=240), served.settings)
    file = io.StringIO()
    write_wanted(wanted, file)
    file.seek(0)
    rows = list(csv.DictReader(file))
    assert {f"input.{name}" for name in ("waited", "spent", "plan")} - rows[0].keys() == {
        f"input.{name}" for name in left_out if name != "row"
    }
    assert ("row_id" in rows[0]) is ("row" not in left_out)
    assert len(rows) == 181
    said = {row["prediction_id"]: row["uncertainty"] for row in rows}
    assert (said["r300.0"], said["r1.0"]) == ("0.980", "0.400")


def test_what_a_spreadsheet_would_compute_is_written_as_text(served, tmp_path):
    wanted = find_wanted(served.model, Search(NOW - 2 * DAY, NOW, top=240), served.settings)
    with (tmp_path / "wanted.csv").open("w+", newline="") as file:
        write_wanted(wanted, file)
        file.seek(0)
        assert "'=2+3" in {row["input.plan"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("prediction_id,label\nr1.0,yes\nr999.0,no\n", "line 3, column prediction_id: 'r999.0' is no captured"),
        ("prediction_id,label\nr1.0,maybe\n", "line 2, column label: 'maybe' is none of the classes: no, yes"),
        ("prediction_id,label,at\nr1.0,yes,2026-04-02\n", "line 2, column at: '2026-04-02' is no moment with a time"),
        ("prediction_id,label,at\nr1.0,yes,2026-04-09T00:00Z\n", "line 2, column at: .* is in the future"),
        ("prediction_id,label\nr1.0,yes\nr1.0,no\n", "line 3, column label: another line says 'yes' of r1.0"),
        ("row_id,label\nc1,yes\n", "line 1 has to name the column 'prediction_id' once"),
        ("prediction_id;label\nr1.0;yes\n;no\n", "line 3, column prediction_id: '' is no captured"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_taken(served, tmp_path, lines, said):
    path, before = tmp_path / "labels.csv", labels(served)
    path.write_text(lines)
    with pytest.raises(DataError, match=said):
        take_labels(served.model, path, served.settings, NOW)
    assert labels(served) == before


def test_many_wrong_lines_are_counted(served, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("prediction_id,label\n" + "".join(f"x{place},yes\n" for place in range(40)))
    with pytest.raises(DataError, match=r"line 6, .*\n.*35 more like these\n.*nothing is taken"):
        take_labels(served.model, path, served.settings, NOW)


def test_a_number_is_read_as_training_reads_it(served, tmp_path, monkeypatch):
    from evergreen.stages import taken

    spec = taken.read_spec(served.model, served.settings)
    monkeypatch.setattr(taken, "read_spec", lambda *_: spec.model_copy(update={"task": "regression"}))
    path = tmp_path / "labels.csv"
    path.write_text('prediction_id,label\nr1.0,"1,234.5"\n')
    assert take_labels(served.model, path, served.settings, NOW).outcomes == {"new": 1}
    # Beside labels that are texts it is shown as one.
    assert labels(served)["r1.0"] == "1234.5"
    path.write_text("prediction_id,label\nr1.0,many\n")
    with pytest.raises(DataError, match="line 2, column label: 'many' is no number"):
        take_labels(served.model, path, served.settings, NOW)


def test_where_everything_has_a_label_nobody_is_asked(served):
    with pytest.raises(UserError, match=r"no captured prediction since .* waits for a label"):
        find_wanted(served.model, Search(NOW, NOW + DAY), served.settings)


def test_the_command_writes_and_takes_one_file_at_a_time(served, tmp_path):
    out = tmp_path / "wanted.csv"
    days = (datetime.now(UTC) - NOW) / DAY + 3
    run = CliRunner()
    asked = run.invoke(app, ["labels", served.model, "--top", "5", "--out", str(out), "--days", str(days)])
    assert asked.exit_code == 0, asked.output
    assert "5 predictions. Fill in label, then: evergreen labels tiny --take" in asked.output
    assert len(out.read_text().splitlines()) == 6
    taken = run.invoke(app, ["labels", served.model, "--take", str(out)])
    assert "5 without a label yet" in taken.output
    both = run.invoke(app, ["labels", served.model, "--take", str(out), "--out", str(out)])
    assert "give one of the two" in str(both.exception)
