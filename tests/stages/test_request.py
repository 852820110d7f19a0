"""What may be asked of a run: a moment that has come."""

from datetime import timedelta

import pytest

from evergreen.errors import UserError
from evergreen.stages.run import require_past


@pytest.mark.parametrize("ahead", [timedelta(days=-900), timedelta(0), timedelta(minutes=1)])
def test_the_past_may_be_looked_from_and_clocks_may_differ_by_a_minute(first_moment, ahead):
    require_past(first_moment + ahead, first_moment, "as_of")


@pytest.mark.parametrize("ahead", [timedelta(seconds=61), timedelta(days=365)])
def test_the_future_may_not_as_its_labels_would_count_as_known(first_moment, ahead):
    with pytest.raises(UserError, match=r"^as_of: 202\d-.* UTC has not come yet \(it is 2026-.*; name a moment"):
        require_past(first_moment + ahead, first_moment, "as_of")
