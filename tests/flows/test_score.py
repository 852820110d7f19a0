"""The form by which rows are scored: what it asks, what it refuses, what its run shows."""

import importlib

import pandas as pd
import pytest

from evergreen.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def score(orchestrator):
    return importlib.import_module("flows.score").score


def test_every_field_is_flat_described_and_bounded(score):
    schema = score.parameters.model_dump()
    assert all(field.get("description") for field in schema["properties"].values()), schema
    assert schema["required"] == ["model"]
    score.validate_parameters({"model": "tiny"})
    for wrong in ({"chunk_rows": 0}, {"as_of": "soon"}, {"model": ""}):
        with pytest.raises(Exception, match=next(iter(wrong))):
            score.validate_parameters({"model": "tiny", **wrong})


def test_a_run_scores_and_its_page_says_what(crowned, score, flow_run, first_moment, tmp_path):
    state = score("tiny", first_moment, out=str(tmp_path / "scores"), chunk_rows=40, return_state=True)
    seen = flow_run(str(state.state_details.flow_run_id))
    assert [task.name for task in seen["tasks"]] == ["open", "load", "score"]
    assert "84 rows scored by version 1 of tiny" in seen["artifacts"]["tiny-scores"]
    assert len(pd.read_parquet(tmp_path / "scores" / "part-00002.parquet")) == 4


def test_a_run_without_a_champion_fails_with_what_to_do(project, score):
    with pytest.raises(UserError, match="evergreen run tiny trains one"):
        score("tiny")
