"""Captured rows are answered again by the version's own pipeline; what was planted between the two is found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from evergreen.errors import IntegrityError, UserError
from evergreen.registry.model import load
from evergreen.registry.versions import Registry
from evergreen.stages.open import tracking_of
from evergreen.stages.skew import measure_skew
from evergreen.store.prediction import Prediction, Role
from evergreen.store.traffic import Traffic
from tests.project import shoppers

NOW = datetime(2026, 4, 2, tzinfo=UTC)
INPUTS = ["waited", "spent", "plan"]


def served(project, rows: int = 1200) -> list[Prediction]:
    """What serving records: inputs as JSON has them, and the champion's answers, ten rows a request."""
    recorded = Registry(tracking_of(project.settings)).version(project.model, 1)
    pipeline = load(tracking_of(project.settings), recorded.source, recorded.digest)
    frame = shoppers(days=rows // 12, seed=9)[INPUTS]
    frame.loc[::50, "plan"] = None
    frame.loc[::70, "waited"] = None
    made = []
    for start in range(0, len(frame), 10):
        part = frame.iloc[start : start + 10]
        labels, chances = pipeline.predict(part), pipeline.predict_proba(part)
        for place, row in enumerate(part.astype(object).where(part.notna(), None).to_dict("records")):
            named = dict(zip(pipeline.classes_, chances[place].tolist(), strict=True))
            at = NOW + timedelta(seconds=start)
            request = f"r{start}"
            made.append(
                Prediction(
                    f"{request}.{place}", request, project.model, 1, Role.CHAMPION, at, row, str(labels[place]), named
                )
            )
    return made


@pytest.fixture(scope="module")
def answered(crowned_project, request):
    from contextlib import chdir

    with chdir(crowned_project.folder):
        return served(crowned_project)


def capture(project, rows: list[Prediction]) -> None:
    traffic = Traffic(project.settings.store_url)
    for start in range(0, len(rows), 100):
        traffic.write(rows[start : start + 100], NOW)


def test_a_thousand_rows_are_answered_as_they_were(crowned, answered):
    capture(crowned, answered)
    (found,) = measure_skew("tiny", 1000, crowned.settings)
    assert (found.version, found.rows, found.equal) == (1, 1000, 1000)
    assert found.difference < 1e-9
    assert not found.found


PLANTED = {
    # A feature that serving computed otherwise before it asked the model: the answers are of other inputs.
    "another input": lambda row: replace(row, inputs={**row.inputs, "spent": (row.inputs["spent"] or 0) + 0.01}),
    "another label": lambda row: replace(row, prediction="no" if row.prediction == "yes" else "yes"),
    "another probability": lambda row: replace(
        row, probabilities={name: value + 1e-7 for name, value in row.probabilities.items()}
    ),
    "no probability": lambda row: replace(row, probabilities=dict.fromkeys(row.probabilities)),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_skew_is_found_with_the_rows_that_have_it(crowned, answered, what):
    places = {700, 901}
    capture(crowned, [PLANTED[what](row) if place in places else row for place, row in enumerate(answered)])
    (found,) = measure_skew("tiny", 1000, crowned.settings)
    assert found.found
    assert (found.rows - found.equal, found.difference > 1e-9) == (2, True)
    assert {row.id for row in found.first} == {answered[place].id for place in places}


def test_the_command_says_it_and_its_exit_code_too(crowned, answered):
    from evergreen.cli.main import app

    capture(crowned, answered[:300])
    done = CliRunner().invoke(app, ["skew", "tiny", "--rows", "200"])
    assert (done.exit_code, "every answer is the same" in done.output) == (0, True)
    capture(crowned, [replace(PLANTED["another label"](answered[400]), inputs=answered[400].inputs)])
    done = CliRunner().invoke(app, ["skew", "tiny"])
    assert done.exit_code == 1
    assert answered[400].id in done.output


def test_nothing_captured_is_no_proof(crowned):
    with pytest.raises(UserError, match="no prediction is captured"):
        measure_skew("tiny", 1000, crowned.settings)


def test_what_is_left_out_of_capture_cannot_be_replayed(crowned, answered):
    capture(crowned, [replace(row, inputs={"waited": 1.0, "plan": "pro"}) for row in answered[:5]])
    with pytest.raises(UserError, match="'spent' is not captured"):
        measure_skew("tiny", 1000, crowned.settings)


def test_a_version_that_is_gone_is_told_of_beside_the_others(crowned, answered):
    from evergreen.cli.main import app

    # What version 7 left out and version 1 kept is nobody's null.
    gone = [replace(row, id=f"x{row.id}", version=7, inputs={"waited": 1.0}) for row in answered[:20]]
    capture(crowned, gone + answered[20:60])
    seventh, first = measure_skew("tiny", 1000, crowned.settings)
    assert (seventh.version, seventh.rows, seventh.found) == (7, 20, False)
    assert "7" in seventh.problem
    assert (first.version, first.rows, first.equal, first.problem) == (1, 40, 40, "")
    done = CliRunner().invoke(app, ["skew", "tiny"])
    assert done.exit_code == 0
    assert "not measured" in done.output
    assert "every answer that was measured is the same" in done.output


def test_an_artifact_that_the_ledger_does_not_know_is_not_loaded(crowned, answered, monkeypatch):
    capture(crowned, answered[:5])
    version = Registry.version
    monkeypatch.setattr(Registry, "version", lambda *asked: replace(version(*asked), digest="0" * 64))
    with pytest.raises(IntegrityError, match="not the artifact that the ledger decided on"):
        measure_skew("tiny", 1000, crowned.settings)
