"""What came true of both sides of a trial, as the verdict reads it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.evaluation.metrics import score
from evergreen.gate.canary import Action, judge_canary
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.spec.canary import CanaryQuality, CanaryRules
from evergreen.stages.canary_quality import observe_quality
from evergreen.store.canary import Canaries
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.traffic import Traffic

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
MINUTE = timedelta(minutes=1)
FIRST = LedgerEntry(
    "churn", DecisionKind.PROMOTE, ("fine",), (), Reason.MANUAL, NOW, NOW, "eva",
    training_key="k1", mlflow_run="r1", model_digest="d1", version=1, champion_after=1, fence=0,
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'evergreen.db'}")
    ledger.prepare()
    first = ledger.record(FIRST)
    ledger.crown(first.id, "churn", 1, NOW)
    return ledger


def hold(ledger, kind="split", metric="accuracy", **rules):
    quality = CanaryQuality(metric=metric, margin=0.05, at_least=50)
    waits = replace(FIRST, kind=DecisionKind.HOLD, training_key="k2", version=2, model_digest="d2", champion_before=1)
    rules = CanaryRules(
        kind=kind, at_least=100, max_error_increase=None, max_latency_ratio=None, quality=quality, **rules
    )
    held = ledger.record(replace(waits, fence=ledger.fence("churn")), rules)
    return Canaries(ledger.url).find(held.id)


def answered(number, role=Role.CHAMPION, yes=0.8, after=MINUTE, **changes):
    """An answer of the champion, or the challenger's; `yes` is the chance that it sees."""
    chances = {"no": 1 - yes, "yes": yes}
    said = max(chances, key=chances.get)
    version = 1 if role is Role.CHAMPION else 2
    row = Prediction(f"r-{number}.0", f"r-{number}", "churn", version, role, NOW + after, {"price": 1.0}, said, chances)
    return replace(row, **changes)


def label(number, value):
    return Feedback("churn", value, NOW + timedelta(hours=1), NOW + timedelta(hours=1), prediction_id=f"r-{number}.0")


def count(ledger, trial, rows, labels, now=LATER):
    traffic = Traffic(ledger.url)
    traffic.write(rows, NOW)
    traffic.write_feedback(labels)
    canaries = Canaries(ledger.url)
    observe_quality(trial, canaries, now)
    return canaries.observed(trial)


@pytest.mark.parametrize("metric", ["accuracy", "brier", "log_loss"])
def test_the_mean_loss_is_the_metric_of_the_answers_as_served(ledger, metric):
    trial = hold(ledger, metric=metric)
    chances, truth = [0.9, 0.2, 0.6, 0.4], ["yes", "yes", "no", "no"]
    rows = [answered(i, yes=yes) for i, yes in enumerate(chances)]
    rows += [answered(9, Role.CHALLENGER, yes=0.7), answered(10)]
    seen = count(ledger, trial, rows, [*(label(i, said) for i, said in enumerate(truth)), label(9, "yes")])
    losses, found = seen.champion.totals.losses, [row.prediction for row in rows[:4]]
    expected = score([metric], truth, found, [[1 - yes, yes] for yes in chances], ["no", "yes"])[metric]
    assert losses.count == 4
    assert losses.mean == pytest.approx(1 - expected if metric == "accuracy" else expected)
    assert seen.challenger.totals.losses.count == 1
    assert seen.challenger.totals.gaps.count == 0


def test_numbers_are_compared_by_their_distance(ledger):
    trial = hold(ledger, metric="mae")
    rows = [answered(0, prediction=3.0, probabilities=None), answered(1, prediction=5.0, probabilities=None)]
    seen = count(ledger, trial, rows, [label(0, 4.0), label(1, 2.0)])
    assert seen.champion.totals.losses.mean == pytest.approx(2.0)


def test_a_shadow_is_compared_on_the_requests_that_both_were_asked(ledger):
    trial = hold(ledger, "shadow", "brier")
    rows = [answered(i, yes=0.8) for i in range(4)] + [answered(i, Role.CHALLENGER, yes=0.6) for i in range(3)]
    seen = count(ledger, trial, rows, [label(i, "yes") for i in range(4)])
    gaps = seen.challenger.totals.gaps
    assert (seen.champion.totals.losses.count, seen.challenger.totals.losses.count, gaps.count) == (3, 3, 3)
    assert gaps.mean == pytest.approx(0.4**2 - 0.2**2)


def test_only_answers_of_this_trial_count(ledger):
    trial = hold(ledger)
    rows = [
        answered(0, after=-MINUTE),
        answered(1),
        answered(2, version=7),
        answered(3, Role.CHALLENGER, version=7),
        answered(4, model="delay"),
    ]
    seen = count(ledger, trial, rows, [label(i, "yes") for i in range(4)])
    assert (seen.champion.totals.losses.count, seen.challenger.totals.losses.count) == (1, 0)


def test_a_correction_counts_once_a_minute_is_over(ledger):
    trial = hold(ledger)
    assert count(ledger, trial, [answered(0)], [label(0, "yes")]).champion.totals.losses.total == 0
    corrected = replace(label(0, "no"), at=LATER, received_at=LATER)
    assert count(ledger, trial, [], [corrected], LATER + MINUTE / 2).champion.totals.losses.total == 0
    seen = count(ledger, trial, [], [], LATER + 2 * MINUTE)
    assert (seen.champion.totals.losses.count, seen.champion.totals.losses.total) == (1, 1)


def test_without_labels_and_without_a_condition_nothing_is_written(ledger):
    trial = hold(ledger)
    assert count(ledger, trial, [answered(0)], []).until is None
    without = replace(trial, rules=trial.rules.model_copy(update={"quality": None}))
    assert count(ledger, without, [], [label(0, "yes")]).until is None


def test_a_promotion_that_is_watched_is_counted_from_its_beginning(ledger):
    trial = hold(ledger, watch="1d")
    held = next(entry for entry in ledger.entries("churn") if entry.id == trial.decision_id)
    promoted = replace(held, id=None, kind=DecisionKind.PROMOTE, cause=Cause.CANARY, resolves=held.id, champion_after=2)
    written = ledger.record(promoted)
    ledger.crown(written.id, "churn", 2, NOW + timedelta(minutes=10))
    (trial,) = Canaries(ledger.url).watched(LATER)
    rows = [
        answered(0),
        answered(1, Role.CHALLENGER),
        answered(2, version=2, after=timedelta(minutes=20)),
        answered(3, version=2, after=timedelta(minutes=30)),
    ]
    seen = count(ledger, trial, rows, [label(i, "no") for i in range(4)])
    assert (seen.watched.losses.count, seen.watched.losses.total) == (2, 2)
    assert seen.champion.totals.losses.count == 0


@pytest.mark.parametrize(("right", "action"), [(0.8, Action.PROMOTE), (0.2, Action.ROLL_BACK)])
def test_a_shadow_is_promoted_or_taken_back_by_its_labels(ledger, right, action):
    trial = hold(ledger, "shadow", "brier")
    rows = [answered(i, yes=0.8 - i % 7 / 100) for i in range(300)]
    rows += [answered(i, Role.CHALLENGER, yes=right - i % 5 / 100) for i in range(300)]
    seen = count(ledger, trial, rows, [label(i, "yes") for i in range(300)])
    asked = [replace(arm, totals=replace(arm.totals, requests=300)) for arm in (seen.champion, seen.challenger)]
    assert judge_canary(replace(seen, champion=asked[0], challenger=asked[1]), trial.rules, LATER).action is action
