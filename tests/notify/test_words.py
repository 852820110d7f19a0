"""A person who reads a message knows what happened, why, and what to do."""

from dataclasses import replace
from typing import get_args

import pytest

from evergreen.notify import text
from evergreen.spec.model import News
from evergreen.store.facts import Fact, FactKind


def changed(fact, kind=None, **payload):
    return replace(fact, kind=kind or fact.kind, payload={**fact.payload, **payload})


def test_who_may_decide_is_told_how_and_until_when(held):
    message = text(held)
    assert message.title == "churn: a new model waits for your decision"
    for words in (
        "promotion needs a person",
        "version 12 stays in production",
        "evergreen approve 12 --why",
        "evergreen reject 12 --why",
        "by 2026-11-23 06:03 UTC it is rejected",
    ):
        assert words in message.body


@pytest.mark.parametrize(("late", "words"), [("reject", "is rejected"), ("hold", "is left to you")])
def test_what_is_tried_asks_nobody_and_says_where_to_look(held, late, words):
    message = text(changed(held, answer="tried", on_timeout=late))
    assert message.title == "churn: a new model is tried on real requests"
    assert f"Without a verdict by 2026-11-23 06:03 UTC the new model {words}." in message.body
    assert "evergreen canary churn" in message.body
    assert "evergreen reject 12" in message.body


def test_time_that_ran_out_for_a_canary_is_nobodys_silence(held):
    reasons = ["the canary of decision 12 came to no verdict within 7d"]
    message = text(changed(held, FactKind.REJECTED, cause="timeout", reasons=reasons))
    assert message.title.startswith("churn: a new model was rejected, as its canary came to no verdict in time")


def test_nobody_is_asked_about_what_was_answered(held):
    message = text(changed(held, answer="answered"))
    assert "approve" not in message.title + message.body


def test_a_run_that_was_held_over_its_data_asks_for_no_approval(held):
    message = text(changed(held, answer="none", reasons=["column plan is missing", "3 rows break their rule"]))
    assert message.title == "churn: a run was held; version 12 stays in production"
    assert "approve" not in message.body
    assert "- column plan is missing\n- 3 rows break their rule" in message.body


@pytest.mark.parametrize(
    ("before", "words"), [(12, "It replaces version 12."), (None, "It is the first champion of this model.")]
)
def test_a_promotion_says_what_it_replaces(held, before, words):
    message = text(changed(held, FactKind.PROMOTED, champion_before=before, champion_after=13))
    assert message.title == "churn: version 13 is in production"
    assert words in message.body


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("run", "a new model was rejected"),
        ("approval", "eva rejected a new model"),
        ("timeout", "a new model was rejected, as nobody answered in time"),
        ("canary", "a new model was rejected, as it did not stand its canary"),
    ],
)
def test_a_rejection_says_who_or_what_rejected(held, cause, words):
    assert (
        text(changed(held, FactKind.REJECTED, cause=cause)).title == f"churn: {words}; version 12 stays in production"
    )


def test_a_rollback_says_who_and_why(held):
    message = text(changed(held, FactKind.ROLLED_BACK, champion_after=11, reasons=["calls tripled"]))
    assert message.title == "churn: version 11 is in production again, rolled back by eva"
    assert "It replaces version 12." in message.body
    assert "Why: calls tripled." in message.body


@pytest.mark.parametrize(
    ("cause", "after", "end", "todo"),
    [
        ("adoption", 13, "version 13 is champion now", "To undo it: evergreen rollback churn"),
        ("restoration", 12, "version 12 is champion again", "What happened: evergreen history churn"),
        ("report", 13, "nothing was done about it", "To put version 12 back: evergreen rollback churn"),
    ],
)
def test_a_moved_alias_says_what_became_of_it(held, cause, after, end, todo):
    message = text(changed(held, FactKind.ALIAS_MOVED, cause=cause, champion_before=12, champion_after=after))
    assert message.title == f"churn: somebody moved alias champion by hand; {end}"
    assert todo in message.body


def test_a_failure_says_what_failed_and_how_often(held):
    payload = {"message": "MLflow does not answer", "tries": 2, "name": "churn-scheduled", "link": "http://ui/runs/1"}
    message = text(Fact("flow_run:1", FactKind.FAILED, "churn", held.at, payload))
    assert message.title == "churn: a run failed"
    assert "MLflow does not answer." in message.body
    assert "tried 2 times" in message.body
    assert "churn-scheduled" in message.body
    assert message.link == "http://ui/runs/1"


def test_drift_says_how_much_of_what_and_when(held):
    payload = {
        "share": 0.4,
        "columns": ["price", "plan"],
        "severity": "critical",
        "window_start": "2026-11-09T00:00:00+00:00",
        "window_end": "2026-11-16T00:00:00+00:00",
    }
    message = text(Fact("drift:churn:x", FactKind.DRIFT, "churn", held.at, payload))
    assert message.title == "churn: 40% of the inputs have drifted (critical)"
    assert "Columns: price, plan." in message.body
    assert "from 2026-11-09 00:00 UTC to 2026-11-16 00:00 UTC" in message.body


@pytest.mark.parametrize(
    ("last", "title"),
    [
        ("2026-11-02T06:10:00+00:00", "churn: no successful run since 2026-11-02 06:10 UTC"),
        (None, "churn: no successful run yet"),
    ],
)
def test_silence_says_since_when(held, last, title):
    payload = {"last_success": last, "schedule": "0 6 * * 1, UTC", "due": "2026-11-16T07:00:00+00:00"}
    message = text(Fact("silence:churn:7", FactKind.SILENCE, "churn", held.at, payload))
    assert message.title == title
    assert "0 6 * * 1" in message.body
    assert "evergreen doctor" in message.body


@pytest.mark.parametrize("kind", get_args(News))
def test_every_kind_has_words_also_where_nothing_else_is_known(kind, held):
    message = text(Fact("any", FactKind(kind), "churn", held.at))
    assert message.title.startswith("churn: ")
    assert "\n" not in message.title
    assert "None" not in message.title + message.body
