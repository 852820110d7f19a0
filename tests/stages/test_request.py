"""What may be asked of a run: a moment that has come."""

from datetime import timedelta

import pytest

from evergreen.drift.alert import DriftAlert
from evergreen.errors import UserError
from evergreen.gate.decision import Reason
from evergreen.stages.run import Request, require_past


@pytest.mark.parametrize("ahead", [timedelta(days=-900), timedelta(0), timedelta(minutes=1)])
def test_the_past_may_be_looked_from_and_clocks_may_differ_by_a_minute(first_moment, ahead):
    require_past(first_moment + ahead, first_moment, "as_of")


@pytest.mark.parametrize("ahead", [timedelta(seconds=61), timedelta(days=365)])
def test_the_future_may_not_as_its_labels_would_count_as_known(first_moment, ahead):
    with pytest.raises(UserError, match=r"^as_of: 202\d-.* UTC has not come yet \(it is 2026-.*; name a moment"):
        require_past(first_moment + ahead, first_moment, "as_of")


@pytest.mark.parametrize(
    ("reason", "alert", "has_to"),
    [
        (Reason.DRIFT, None, True),
        (Reason.DRIFT, DriftAlert(share=0.4), True),
        (Reason.DRIFT, DriftAlert(share=0.4, version=3), False),
        (Reason.PERFORMANCE, None, False),
        (Reason.SCHEDULED, None, False),
    ],
)
def test_drift_that_is_only_said_to_be_there_has_to_be_found(first_moment, reason, alert, has_to):
    assert Request("tiny", first_moment, reason, alert=alert).has_to_find_drift is has_to
