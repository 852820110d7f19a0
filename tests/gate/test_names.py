import pytest

from evergreen.errors import SpecError
from evergreen.gate.names import require_known_metrics
from evergreen.spec.model import ModelSpec

SPEC = {
    "model": "prices",
    "task": "regression",
    "data": {"source": {"kind": "csv", "path": "x.csv"}, "target": "price"},
    "features": {"numeric": ["rooms"]},
    "training": {"split": {"kind": "random"}, "metric": "mae", "candidates": [{"kind": "ridge"}]},
}


def spec(metric: str = "mae", **gates) -> ModelSpec:
    training = {**SPEC["training"], "metric": metric}
    return ModelSpec.model_validate({**SPEC, "training": training, "gates": gates})


def test_metrics_of_the_task_and_costs_may_be_named():
    bounds = {name: {"at_most": 1} for name in ("rmse", "latency_p95_ms", "size_mb")}
    require_known_metrics(spec(absolute=bounds, against_champion={"metric": "r2"}), "configs/prices.yaml")


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        (spec(metric="f1_weighted"), "training.metric"),
        (spec(against_champion={"metric": "accuracy"}), "gates.against_champion.metric"),
        (spec(absolute={"rsme": {"at_most": 1}}), "gates.absolute"),
    ],
)
def test_a_name_that_the_task_lacks_is_refused_before_training_with_the_choices(wrong, key):
    with pytest.raises(SpecError, match=rf"configs/prices\.yaml: {key}: .*choose one of mae, rmse"):
        require_known_metrics(wrong, "configs/prices.yaml")
