"""What came true: never raised by chance, raised soon when it is worse, and honest about the labels that it has."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.checks import Outcome
from evergreen.evaluation.baseline import Loss
from evergreen.monitoring.realised import Labelling, bound_of, realised_loss
from evergreen.spec.monitoring import RealisedRules

RULES = RealisedRules(min_labels=100)
START = datetime(2026, 3, 1, tzinfo=UTC)
HELD = Loss(mean=0.1, std=0.3, rows=20_000)


def labelled(wrong, late=timedelta(0)):
    """Answers of which those in `wrong` are, one a minute; each label comes `late`."""
    at = [START + timedelta(minutes=place) for place in range(len(wrong))]
    moments = {"at": at, "label_at": [each + late for each in at]}
    label = np.where(wrong, "yes", "no")
    columns = {name: pa.array(values, pa.timestamp("us", "UTC")) for name, values in moments.items()}
    return pa.table({"prediction": ["no"] * len(wrong), "label": list(label), **columns})


def answers(shares, seed=0):
    """Answers, so many of each stretch, of which a share is wrong."""
    draw = np.random.default_rng(seed)
    return labelled(np.concatenate([draw.random(rows) < share for rows, share in shares]))


def judge(table, labelling=None, rules=RULES, held=HELD):
    return realised_loss(table, held, rules, "accuracy", labelling)


def test_over_200_windows_without_drift_it_is_raised_in_one_whole_run_of_twenty_at_most():
    runs, windows, each = 10, 200, 20
    raised = 0
    for seed in range(runs):
        table = answers([(windows * each, 0.1)], seed)
        draw = np.random.default_rng([seed, 1]).random(1_000) < 0.1
        held = Loss(draw.mean(), draw.std(), 1_000)
        raised += any(judge(table.slice(0, look * each), held=held).raised for look in range(5, windows + 1, 5))
    assert raised <= runs / 20


def test_a_model_that_always_was_worse_is_told_since_it_took_over():
    signal = judge(answers([(3_000, 0.16)]))
    assert signal.outcome is Outcome.FAIL
    assert signal.bound == pytest.approx(0.11)
    assert signal.bound <= signal.lower < signal.value < signal.upper
    assert signal.value == pytest.approx(0.16, abs=0.02)


@pytest.mark.parametrize(("share", "labels"), [(0.2, 1_500), (0.3, 500)])
def test_one_that_got_worse_lately_is_told_with_the_moment(share, labels):
    signal = judge(answers([(20_000, 0.1), (labels, share)]))
    assert signal.raised
    since = datetime.fromisoformat(signal.details["since"])
    assert abs(since - (START + timedelta(minutes=20_000))) < timedelta(minutes=labels)
    assert f"since {since:%Y-%m-%d %H:%M} UTC" in signal.why
    assert signal.lower >= signal.bound


def test_a_little_worse_is_within_the_margin():
    assert judge(answers([(20_000, 0.104)])).outcome is Outcome.PASS
    assert judge(answers([(20_000, 0.14)]), rules=replace_margin(0.5)).outcome is Outcome.PASS
    assert judge(answers([(20_000, 0.14)])).raised


def replace_margin(margin):
    return RULES.model_copy(update={"margin": margin})


def test_too_few_labels_say_nothing():
    signal = judge(labelled([True] * 99))
    assert (signal.outcome, signal.value) == (Outcome.UNKNOWN, None)
    assert signal.why == "99 labels are in, 100 are needed"
    assert judge(labelled([])).outcome is Outcome.UNKNOWN


def test_answers_without_probabilities_have_no_brier():
    signal = realised_loss(answers([(500, 0.1)]), HELD, RULES, "brier")
    assert (signal.outcome, signal.details["labels"]) == (Outcome.UNKNOWN, 0)


def test_of_numbers_it_is_their_distance():
    table = answers([(500, 0.5)]).drop_columns(["prediction", "label"])
    table = table.append_column("prediction", pa.array([2.0] * 500)).append_column("label", pa.array([2.5] * 500))
    signal = realised_loss(table, Loss(0.3, 0.1, 1_000), RULES, "mae")
    assert signal.value == pytest.approx(0.5)
    assert signal.raised


@pytest.mark.parametrize(
    ("answered", "share", "warned"), [(2_000, 0.25, True), (600, 5 / 6, False), (None, None, False)]
)
def test_the_share_that_has_labels_is_told_and_a_small_one_in_words(answered, share, warned):
    signal = judge(answers([(500, 0.1)]), Labelling(answered=answered))
    assert signal.details["share_labelled"] == share
    assert ("25% of the answers have one, which may be unlike the others" in signal.why) == warned


def test_what_was_looked_at_before_stays_where_it_was_when_a_late_label_comes():
    """Otherwise it would not be one sequence that is looked at again and again."""
    wrong = [False] * 300 + [True] * 100
    table = labelled(wrong)
    late = pa.array([START + timedelta(days=9)], pa.timestamp("us", "UTC"))
    first = table.slice(0, 1)
    moved = first.set_column(first.column_names.index("label_at"), "label_at", late)
    both = pa.concat_tables([moved, table.slice(1)])
    newest = judge(both, Labelling(looked_at=START + timedelta(days=8))).details["newest"]
    assert newest == {"labels": 1, "loss": 0.0, "answered_since": START.isoformat()}
    shuffled = both.take(np.random.default_rng(0).permutation(400))
    assert judge(shuffled) == judge(both)


@pytest.mark.parametrize("moment", ["received_at", "written_at"])
def test_what_came_late_of_an_early_moment_stands_where_it_came(moment):
    """A backlog of a year ago that somebody loads today would stand before what was looked at since."""
    table = labelled([True] * 100 + [False] * 300)
    came = [START + timedelta(days=9)] * 100 + [START + timedelta(minutes=place) for place in range(100, 400)]
    backlog = table.append_column(moment, pa.array(came, pa.timestamp("us", "UTC")))
    newest = judge(backlog, Labelling(looked_at=START + timedelta(days=8))).details["newest"]
    assert newest == {"labels": 100, "loss": 1.0, "answered_since": START.isoformat()}
    in_order = labelled([False] * 300 + [True] * 100)
    assert judge(backlog).lower == judge(in_order).lower
    assert judge(table).details["newest"]["loss"] == 0.0


def test_labels_that_were_asked_for_are_counted_apart_as_their_rows_are_unusual():
    draw = np.random.default_rng(0)
    asked = draw.random(1_000) < 0.3
    wrong = draw.random(1_000) < np.where(asked, 0.5, 0.1)
    table = labelled(wrong).append_column("asked", pa.array(asked))
    signal = judge(table, Labelling(answered=2_000))
    assert (signal.outcome, signal.value) == (Outcome.PASS, pytest.approx(wrong[~asked].mean()))
    assert signal.details["asked"] == asked.sum()
    assert signal.details["share_labelled"] == (~asked).sum() / 2_000
    assert judge(table.drop_columns(["asked"])).raised
    alone = judge(table.filter(pa.array(asked)))
    assert alone.why == f"0 labels are in, 100 are needed; {asked.sum()} that were asked for do not count"


def test_a_label_counts_from_when_it_may_be_looked_at():
    delayed = Labelling(label_delay=timedelta(days=30), looked_at=START + timedelta(days=29))
    assert judge(labelled([False] * 200), delayed).details["newest"]["labels"] == 200
    assert judge(labelled([False] * 200), replace(delayed, label_delay=timedelta(0))).details["newest"]["labels"] == 0


def test_a_small_holdout_does_not_know_its_loss_and_the_bound_says_so():
    assert bound_of(Loss(0.1, 0.3, 100), 0.1, 0.025, "accuracy") == pytest.approx(0.1 + 1.96 * 0.03, rel=1e-3)
    assert bound_of(Loss(0.0, 0.0, 300), 0.1, 0.025, "accuracy") == pytest.approx(0.01)
    perfect = judge(labelled([False] * 1_000), held=Loss(0.0, 0.0, 300))
    assert (perfect.outcome, perfect.value) == (Outcome.PASS, 0.0)


def test_what_it_says_can_be_kept_as_json():
    import json

    table = answers([(500, 0.1)])
    assert json.loads(json.dumps(judge(table, Labelling(answered=900)).details))["labels"] == 500
    assert isinstance(pd.Timestamp(judge(table).details["since"]), pd.Timestamp)
