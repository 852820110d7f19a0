"""A canary is written in a few words, says what stops it, and leaves other models as they were."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from evergreen.spec import ModelSpec
from tests.project import tiny_spec

MAE = {"metric": "mae", "margin": 0.1}


QUALITY = {"quality": {"metric": "accuracy", "margin": 0.02}}


def spec(serving=None, **promotion):
    return ModelSpec.model_validate({**tiny_spec("tiny"), "promotion": promotion, "serving": serving or {}})


def test_the_mode_alone_is_a_complete_canary():
    rules = spec(mode="canary").promotion.trial
    assert (rules.kind, rules.share, rules.conditions) == ("split", 0.1, 2)
    assert rules == spec(mode="canary", canary={"share": 0.1}).promotion.trial


def test_a_trial_is_over_before_the_next_run_of_the_usual_schedule():
    known = spec(mode="canary")
    assert known.schedule.cron == "0 6 * * 1"
    assert known.promotion.trial.within < timedelta(days=7)


@pytest.mark.parametrize("mode", ["automatic", "approval"])
def test_other_modes_try_nothing(mode):
    assert spec(mode=mode).promotion.trial is None


@pytest.mark.parametrize(
    ("mode", "canary", "message"),
    [
        ("canary", {"max_error_increase": None, "max_latency_ratio": None}, "nothing would ever stop it"),
        ("automatic", {"share": 0.1}, "promotion.mode is automatic, and nothing would be tried"),
        ("canary", {"share": 1}, "the champion would answer nothing"),
        ("canary", {"quality": MAE}, "no mae for a classification"),
        ("canary", {"quality": {"metric": "accuracy"}}, "Field required"),
        ("canary", {"share": 0}, "greater than 0"),
        ("canary", {"within": "0d"}, "greater than"),
        ("canary", {"max_eror_share": 0.1}, "Extra inputs"),
        ("canary", {"max_latency_ratio": float("nan")}, "finite number"),
    ],
)
def test_a_canary_that_cannot_be_meant_is_refused(mode, canary, message):
    with pytest.raises(ValidationError, match=message):
        spec(mode=mode, canary=canary)


def test_a_canary_that_judges_by_labels_is_refused_where_no_answer_is_captured():
    capture = {"capture": {"share": 0}}
    with pytest.raises(ValidationError, match=r"canary\.quality: reads labels of captured answers, and .*share: 0"):
        spec(capture, mode="canary", canary=QUALITY)
    assert spec(capture, mode="canary").promotion.trial.quality is None
    assert spec({"capture": {"share": 0.01}}, mode="canary", canary=QUALITY).promotion.trial.quality


def test_a_canary_that_judges_by_labels_may_leave_out_names_of_rows_as_predictions_have_ids():
    values = tiny_spec("tiny")
    names = {"capture": {"leave_out": ["row"]}}
    values |= {"data": {**values["data"], "id_column": "row"}, "serving": names}
    values["promotion"] = {"mode": "canary", "canary": QUALITY}
    assert ModelSpec.model_validate(values).promotion.trial.quality


@pytest.mark.parametrize(
    "canary", [{"max_error_share": 0.1, "max_error_increase": None}, {"kind": "shadow", "share": 1}]
)
def test_one_stop_condition_is_enough_and_a_shadow_may_see_everything(canary):
    assert spec(mode="canary", canary=canary).promotion.trial.conditions >= 1


@pytest.mark.parametrize(
    ("canary", "same"),
    [
        ({"share": 0.5, "within": "1d", "on_timeout": "hold"}, True),
        ({"max_error_increase": 0.02}, False),
        ({"confidence": 0.99}, False),
        ({"kind": "shadow"}, False),
    ],
)
def test_the_digest_says_what_a_verdict_rests_on(canary, same):
    assert (spec(mode="canary", canary=canary).digest == spec(mode="canary").digest) == same


def test_models_that_try_nothing_keep_the_digest_that_they_had():
    # Of the Evergreen before canaries: a change of it would train every model anew.
    assert spec(mode="automatic").digest == "59b6e2c3ab67a8309de8d56f05d82e56f13a7d225e9687ea378bb16f6a501a9c"
