"""A source of traffic needs what capture keeps, and has only the columns that requests carry."""

from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from evergreen.data.parse import TextRules, text_rules
from evergreen.spec import ModelSpec

SPEC: dict[str, Any] = {
    "model": "churn",
    "task": "classification",
    "data": {"source": {"kind": "traffic"}, "target": "churn", "time_column": "at", "id_column": "customer"},
    "features": {"numeric": ["price"], "categorical": ["plan"]},
    "training": {
        "split": {"kind": "time", "holdout": "30d"},
        "metric": "accuracy",
        "candidates": [{"kind": "logistic_regression"}],
    },
}


def spec(**changes: Any) -> ModelSpec:
    values = deepcopy(SPEC)
    for place, value in changes.items():
        *path, last = place.split("__")
        part = values
        for step in path:
            part = part.setdefault(step, {})
        part[last] = value
    return ModelSpec.model_validate(values)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"serving__capture": {"leave_out": ["plan"]}}, "leave_out: 'plan' is never kept, and training needs it"),
        ({"serving__capture": {"leave_out": ["customer"]}}, "leave_out: 'customer' is never kept"),
        ({"serving__capture": {"share": 0}}, "share: 0 captures nothing to learn from"),
        ({"data__group_column": "household"}, "no request carries 'household'"),
        ({"schema__columns": {"note": {"type": "text"}}}, "no request carries 'note'"),
    ],
)
def test_what_training_needs_and_traffic_cannot_have_is_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        spec(**changes)


def test_what_another_model_captures_is_its_own_affair():
    assert spec(data__source={"kind": "traffic", "model": "older"}, serving__capture={"share": 0}).model == "churn"


def test_traffic_follows_a_table_and_never_other_traffic():
    base = {"kind": "csv", "path": "churn.csv", "null_values": ["?"], "day_first": True}
    followed = spec(data__source={"kind": "traffic", "base": base}).data.source
    assert text_rules(followed) == TextRules(".", ("", "?"), True)
    assert followed.day_first
    with pytest.raises(ValidationError, match="traffic"):
        spec(data__source={"kind": "traffic", "base": {"kind": "traffic"}})
