"""Runs that leave out what decides nothing: pictures, reports and clocks are half of a small run."""

import pytest


@pytest.fixture
def unabridged() -> None:
    """A test that asks for this has runs with all that they make."""


@pytest.fixture(autouse=True)
def abridged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "unabridged" in request.fixturenames:
        return
    monkeypatch.setattr("evergreen.drift.report.render", lambda result, *_: result)
    monkeypatch.setattr("evergreen.evaluation.plots.draw", lambda *_: [])
    monkeypatch.setattr("evergreen.evaluation.evaluate.measure_latency", lambda *_: 1.0)
