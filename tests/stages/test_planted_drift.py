"""Feeds of dates that stop: seen in what the model makes of them, as no date is compared itself."""

from contextlib import chdir

import numpy as np
import pandas as pd
import pytest

from evergreen.stages.assess import read_profile
from evergreen.stages.open import open_run
from evergreen.stages.run import Origin, Request


def bought(table, frozen_from=None):
    """The shoppers with the day of their last purchase, some of which is never reported after a moment."""
    draw = np.random.default_rng(5)
    last = table["at"] - pd.to_timedelta(draw.exponential(5, len(table)), unit="D")
    if frozen_from is not None:
        late = last > frozen_from
        last = last.mask(late, frozen_from)
    return table.assign(last_purchase=last.dt.strftime("%Y-%m-%dT%H:%M:%S"))


@pytest.fixture(scope="module", params=["days", "last_purchase"])
def name(request):
    """What the derived column is called: a name of its own, or that of its source."""
    return request.param


@pytest.fixture(scope="module")
def dated_project(prepared_project, copied, shopper_table, first_moment, name, tmp_path_factory):
    project = copied(prepared_project, tmp_path_factory.mktemp("dated") / "project")
    project.write(bought(shopper_table()))
    project.change(
        features__derive=[
            {"name": name, "kind": "days_since", "of": "last_purchase"},
            {"name": "day", "kind": "weekday", "of": "at"},
        ],
        features__numeric=["waited", "spent", name, "day"],
        drift__columns={name: {"method": "ks", "threshold": 0.01}},
    )
    with chdir(project.folder):
        assert project.run(first_moment).champion == 1
    return project


@pytest.fixture
def dated(dated_project, copied, addresses, tmp_path):
    """A project with a champion that reads days since the last purchase, and the weekday."""
    project = copied(dated_project, tmp_path / "project")
    addresses(project)
    return project


def test_a_feed_of_dates_that_stands_still_is_drift(dated, second_moment, first_moment, shopper_table, name):
    dated.write(bought(shopper_table(), pd.Timestamp(first_moment.replace(tzinfo=None))))
    drift = dated.run(second_moment).evidence.drift
    compared = {column.column: column for column in drift.columns}
    assert set(compared) == {"waited", "spent", "plan", name, "leaves", "prediction"}
    assert drift.drifted == (name,)
    assert compared[name].threshold == 0.01, "the rule of the spec is the one that is used"


def test_a_feed_of_dates_that_goes_on_is_none(dated, second_moment, name):
    conclusion = dated.run(second_moment)
    assert conclusion.evidence.drift.drifted == ()
    assert conclusion.champion == 2


def test_the_reference_holds_what_the_model_derives_as_it_derives_it(dated, first_moment, name):
    run = open_run(Request(dated.model, first_moment, "manual"), Origin("tester"), dated.settings, first_moment)
    profile, sample = read_profile(run.champion), pd.read_parquet(run.champion.reference)
    assert profile.columns[name].type == "number"
    assert sample[name].between(0, 60).all()
    assert "day" not in profile.columns
