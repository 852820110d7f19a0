"""A run keeps what its model said about the holdout, and nothing of it that must not be kept."""

from pathlib import Path

import pandas as pd
import pytest

from evergreen.evaluation.baseline import read_baseline
from evergreen.evaluation.predict import ask
from evergreen.registry.baseline import fetch_baseline
from evergreen.registry.model import load
from evergreen.stages.assess import predictions
from evergreen.stages.audit import audit
from evergreen.stages.baseline import as_column
from tests.project import SECOND, shoppers


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


def test_of_numbers_the_inputs_are_kept_that_drift_is_told_of_and_serving_may_keep(project, shopper_table, tmp_path):
    table = shopper_table()
    table["paid"] = 3 * table["waited"] + table["spent"]
    table["bought"] = table["at"] - pd.to_timedelta(10 * table["waited"].abs(), unit="D")
    project.write(table)
    project.change(
        task="regression",
        data__target="paid",
        features={
            "derive": [{"name": "since", "kind": "days_since", "of": "bought"}],
            "numeric": ["waited", "spent", "since"],
            "categorical": ["plan"],
        },
        training__metric="mae",
        training__candidates=[{"kind": "ridge"}],
        gates={"absolute": {"r2": {"at_least": 0.1}}},
        serving={"capture": {"leave_out": ["spent"]}},
    )
    project.run(SECOND)
    found, _ = fetch_baseline(project.registry.tracking, project.registry.champion(project.model), tmp_path)
    # Nor what is derived of a datetime, as no window has it.
    assert list(found.inputs.columns) == ["waited", "plan"]
    assert set(found.losses) == {"mae", "mse"}


def test_an_audit_tells_of_answers_that_changed(crowned):
    (file,) = Path(crowned.settings.artifacts).rglob("artifacts/baseline/baseline.json")
    file.write_bytes(b"x")
    (problem,) = audit(crowned.settings).problems
    assert problem.what.startswith("version 1: baseline.json of tiny version 1 has digest")


def test_answers_as_a_column_are_what_drift_compares(crowned):
    champion = crowned.registry.champion(crowned.model)
    model, frame = load(crowned.registry.tracking, champion.source, champion.digest), shoppers(20)
    assert as_column(ask(model, frame), frame).equals(predictions(model, frame))
