"""What a spec says about monitoring that can never be is said when it is read."""

import pytest
from pydantic import ValidationError

from evergreen.spec import ModelSpec


@pytest.mark.parametrize(
    ("monitoring", "problem"),
    [
        ({"realised": {"metric": "mae"}}, "monitoring.realised.metric: no mae for a classification"),
        ({"min_rows": 5000, "max_rows": 1000}, "monitoring.max_rows: 1000 is less than min_rows, 5000"),
        ({"drift": {"k": 3, "n": 2}}, "k: 3 of the last 2 windows can never be"),
        ({"cron": "every hour"}, "every hour"),
        ({"estimate": {"then": "promote"}}, "'retrain', 'labels' or 'alert'"),
    ],
)
def test_what_can_never_be_is_named(small_spec, monitoring, problem):
    with pytest.raises(ValidationError, match=problem):
        ModelSpec.model_validate({**small_spec("tiny"), "monitoring": monitoring})


def test_rules_of_monitoring_change_no_model(small_spec):
    plain = ModelSpec.model_validate(small_spec("tiny"))
    watched = ModelSpec.model_validate({**small_spec("tiny"), "monitoring": {"min_rows": 100, "budget": 1}})
    assert plain.digest == watched.digest
