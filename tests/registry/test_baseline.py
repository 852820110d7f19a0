"""The baseline of a champion: fetched once, verified, and told apart from one that was never kept."""

import numpy as np
import pandas as pd
import pytest

from evergreen.errors import EvergreenError, IntegrityError
from evergreen.evaluation.baseline import measure_baseline, write_baseline
from evergreen.evaluation.predict import Answers, Holdout
from evergreen.registry.baseline import fetch_baseline, log_baseline
from evergreen.registry.handles import Champion


@pytest.fixture
def run_id(tracking):
    return tracking.start_run("prices", "training", {}).run_id


def champion(run_id):
    return Champion("prices", 3, run_id, "models:/prices/3", "digest")


def keep(tracking, run_id, folder):
    y = pd.Series(np.arange(30.0))
    kept = measure_baseline(Holdout(pd.DataFrame({"size": y}), y), Answers(y + 1), ["size"], "regression", "mae")
    folder.mkdir()
    log_baseline(tracking, run_id, *write_baseline(kept, folder))


def test_what_a_run_kept_is_fetched_once_and_verified(tracking, run_id, tmp_path):
    keep(tracking, run_id, tmp_path / "work")
    found, why = fetch_baseline(tracking, champion(run_id), tmp_path / "cache")
    assert why == ""
    assert found is not None
    assert (found.rows, found.losses["mae"].mean, list(found.inputs["size"])) == (30, 1.0, list(range(30)))

    files = list((tmp_path / "artifacts").rglob("baseline.*"))
    assert len(files) == 2
    for file in files:
        file.write_bytes(b"tampered")
    again, _ = fetch_baseline(tracking, champion(run_id), tmp_path / "cache")
    assert again is not None
    with pytest.raises(IntegrityError, match=r"baseline\.parquet of prices version 3 has digest"):
        fetch_baseline(tracking, champion(run_id), tmp_path / "new")


def test_one_that_is_gone_is_an_error_and_not_an_older_version(tracking, run_id, tmp_path):
    keep(tracking, run_id, tmp_path / "work")
    for file in (tmp_path / "artifacts").rglob("baseline.*"):
        file.unlink()
    with pytest.raises(EvergreenError, match="downloading"):
        fetch_baseline(tracking, champion(run_id), tmp_path / "cache")


@pytest.mark.parametrize("from_a_run", [True, False])
def test_a_version_from_before_it_was_kept_has_none_and_says_why(tracking, run_id, tmp_path, from_a_run):
    found, why = fetch_baseline(tracking, champion(run_id if from_a_run else ""), tmp_path / "cache")
    assert found is None
    assert why.startswith("version 3 of prices was trained before its answers to the holdout were kept")
