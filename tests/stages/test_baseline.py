"""A run keeps what its model said about the holdout, and nothing of it that must not be kept."""

import pytest

from evergreen.evaluation.baseline import read_baseline
from evergreen.registry.baseline import fetch_baseline
from evergreen.stages.assess import predictions
from evergreen.stages.baseline import as_column


def test_a_champion_has_its_answers_to_the_holdout_and_what_it_relies_on(crowned, tmp_path):
    champion = crowned.registry.champion(crowned.model)
    found, why = fetch_baseline(crowned.registry.tracking, champion, tmp_path)
    assert why == ""
    (parent,) = crowned.parents()
    assert 1 - found.losses["accuracy"].mean == pytest.approx(parent.data.metrics["holdout_accuracy"])
    assert found.losses["brier"].mean == pytest.approx(parent.data.metrics["holdout_brier"])
    assert found.rows == found.losses["brier"].rows > 100
    assert set(found.importance) == {"waited", "spent", "plan"}
    assert min(found.importance["waited"], found.importance["spent"]) > found.importance["plan"]


def test_of_classes_no_input_is_kept(crowned, tmp_path):
    champion = crowned.registry.champion(crowned.model)
    fetch_baseline(crowned.registry.tracking, champion, tmp_path)
    folder = tmp_path / champion.run_id
    frame = read_baseline(folder / "baseline.parquet", folder / "baseline.json")
    assert frame.inputs.empty
    assert b"waited" not in (folder / "baseline.parquet").read_bytes()


def test_answers_as_a_column_are_what_drift_compares(crowned):
    from evergreen.evaluation.predict import ask
    from evergreen.registry.model import load
    from tests.project import shoppers

    champion = crowned.registry.champion(crowned.model)
    model, frame = load(crowned.registry.tracking, champion.source, champion.digest), shoppers(20)
    assert as_column(ask(model, frame), frame).equals(predictions(model, frame))
