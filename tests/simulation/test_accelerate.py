"""The shipped specs as specs of minutes: whole, valid, and judged by the same gates."""

from pathlib import Path

import pytest
import yaml

from evergreen.errors import UserError
from evergreen.simulation.accelerate import Pace, accelerate
from evergreen.spec import load_spec

CONFIGS = Path(__file__).parents[2] / "configs"


def read(name):
    return yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", ["churn", "flights", "houses"])
def test_a_spec_of_weeks_becomes_one_of_minutes(name, tmp_path):
    before, path = load_spec(CONFIGS / f"{name}.yaml"), tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(accelerate(read(name), "base.parquet", Pace())))
    after = load_spec(path)
    assert after.data.source.kind == "traffic"
    assert after.data.window == Pace().window
    assert after.features == before.features
    assert after.training.candidates == before.training.candidates
    assert set(before.gates.absolute) - set(after.gates.absolute) <= {"latency_p95_ms"}
    assert after.promotion.mode == "automatic"
    assert not after.schedule.active
    assert after.monitoring.active


def test_a_table_without_times_cannot_pass_faster():
    with pytest.raises(UserError, match=r"one_customer|penguins|has no data\.time_column"):
        accelerate({**read("churn"), "data": {"source": {}, "target": "churn"}}, "base.parquet", Pace())
