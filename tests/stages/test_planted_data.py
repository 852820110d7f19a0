"""Faults planted in the table, and what the whole run makes of them."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from evergreen.data.frame import read_snapshot
from evergreen.data.load import take_snapshot
from evergreen.errors import SpecError, UserError
from evergreen.gate.decision import DecisionKind
from evergreen.spec import load_spec


def naive(moment):
    return moment.replace(tzinfo=None)


def snapshot_of(project, moment):
    spec = load_spec(project.spec_file)
    return take_snapshot(spec.data, spec.column_types, moment, project.settings.snapshots)


def flipped(labels):
    return labels.map({"yes": "no", "no": "yes"})


def test_rows_later_than_as_of_are_as_if_they_were_not_there(project, first_moment, shopper_table):
    table = shopper_table()
    later = table["at"] > naive(first_moment)
    assert later.any()
    project.write(table[~later])
    before = snapshot_of(project, first_moment)
    poisoned = table.assign(waited=table["waited"].mask(later, 9.0), leaves=table["leaves"].mask(later, "no"))
    project.write(poisoned)
    after = snapshot_of(project, first_moment)
    assert after.digest == before.digest, "the snapshot is all that a run sees"
    assert read_snapshot(after.path)["at"].max() <= naive(first_moment)


def test_a_label_younger_than_its_delay_reaches_neither_model_nor_holdout_nor_drift(crowned, second_moment):
    table = pd.read_csv(crowned.table, parse_dates=["at"])
    known_until = naive(second_moment - timedelta(days=7))
    young = table["at"].between(known_until, naive(second_moment), inclusive="right")
    assert young.sum() > 50
    before = snapshot_of(crowned, second_moment)
    crowned.write(table.assign(leaves=flipped(table["leaves"]).where(young, table["leaves"])))
    assert snapshot_of(crowned, second_moment).digest == before.digest
    frame = read_snapshot(before.path)
    assert frame.loc[frame["at"] > known_until, "leaves"].isna().all()
    conclusion = crowned.run(second_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.PROMOTE
    assert conclusion.evidence.split.holdout_until <= second_moment - timedelta(days=7)


def test_the_newest_label_that_is_known_does_count(project, first_moment, shopper_table):
    table, known_until = shopper_table(), naive(first_moment) - timedelta(days=7)
    before = snapshot_of(project, first_moment).digest
    newest = table["at"] == table.loc[table["at"] <= known_until, "at"].max()
    project.write(table.assign(leaves=flipped(table["leaves"]).where(newest, table["leaves"])))
    assert snapshot_of(project, first_moment).digest != before


def test_the_target_is_refused_as_a_feature(project):
    project.change(features__categorical=["plan", "leaves"])
    with pytest.raises(SpecError, match="the target 'leaves' is among the features"):
        project.run()


def test_a_leak_that_the_holdout_does_not_have_is_caught_by_the_gap_to_the_folds(project, first_moment, shopper_table):
    table = shopper_table()
    draw = np.random.default_rng(0)
    leaked = pd.Series(np.where(table["leaves"] == "yes", 2.0, -2.0))
    held_out = table["at"] > naive(first_moment - timedelta(days=21))
    hint = leaked.where(~held_out, draw.choice([-2.0, 2.0], len(table)))
    project.write(table.assign(hint=hint))
    project.change(features__numeric=["waited", "spent", "hint"], gates__max_overfit_gap=0.05, gates__absolute={})
    conclusion = project.run(first_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.REJECT
    (gap,) = [check for check in conclusion.evidence.decision.checks if check.name == "overfit_gap"]
    assert gap.value > 0.2
    assert project.champion() is None


def test_a_burst_of_nulls_holds_the_run_and_says_where(crowned, second_moment, first_moment):
    table = pd.read_csv(crowned.table, parse_dates=["at"])
    burst = table["at"] > naive(first_moment)
    crowned.write(table.assign(spent=table["spent"].mask(burst)))
    production = crowned.production()
    conclusion = crowned.run(second_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    (reason,) = [text for text in conclusion.evidence.decision.reasons if "spent" in text]
    rows = int((table["at"] <= naive(second_moment)).sum())
    missing = int((burst & (table["at"] <= naive(second_moment))).sum())
    first = int(burst.to_numpy().argmax())
    assert f"{missing:,} of {rows:,} rows null" in reason
    assert all(f"row {first + n}" in reason for n in range(3))
    (check,) = [check for check in conclusion.evidence.decision.checks if check.outcome == "FAIL"]
    assert check.name == "column spent: max_null_share"
    (note,) = (crowned.settings.home / "snapshots" / "quarantine").glob("tiny-*.json")
    assert json.loads(note.read_text())["broken"] == [check.to_dict()]
    assert conclusion.evidence.trials == ()
    assert crowned.production() == production
    assert crowned.decisions() == ["PROMOTE", "HOLD"]


def test_a_feed_that_starts_to_send_one_value_holds_the_run(crowned, second_moment, first_moment):
    table = pd.read_csv(crowned.table, parse_dates=["at"])
    broken = (table["at"] > naive(first_moment)) & (np.arange(len(table)) % 3 > 0)
    crowned.write(table.assign(waited=table["waited"].mask(broken, -1.0)))
    conclusion = crowned.run(second_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    (check,) = [check for check in conclusion.evidence.decision.checks if check.outcome == "FAIL"]
    assert check.name == "column waited: point mass"
    assert "are -1" in check.why
    assert crowned.champion() == 1


def test_more_drift_than_allowed_holds_the_run_before_anything_is_trained(crowned, second_moment, first_moment):
    table = pd.read_csv(crowned.table, parse_dates=["at"])
    moved = table["at"] > naive(first_moment)
    crowned.write(table.assign(waited=table["waited"] + 2 * moved, spent=table["spent"] - 2 * moved))
    conclusion = crowned.run(second_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    assert {"waited", "spent"} <= set(conclusion.evidence.drift.drifted)
    assert conclusion.evidence.trials == ()
    assert crowned.champion() == 1
    kept = {f.path for f in crowned.registry.tracking.client.list_artifacts(crowned.parents()[-1].info.run_id)}
    assert "report" in kept, "the drift report is kept although nothing was trained"


def test_a_challenger_that_learnt_nonsense_is_rejected_and_stays_an_mlflow_run(crowned, second_moment):
    table = pd.read_csv(crowned.table, parse_dates=["at"])
    learnt = (table["at"] <= naive(second_moment - timedelta(days=21))).to_numpy()
    labels = table["leaves"].to_numpy(copy=True)
    labels[learnt] = np.random.default_rng(1).permutation(labels[learnt])
    crowned.write(table.assign(leaves=labels))
    crowned.change(gates__absolute={}, gates__beat_dummy=False)
    conclusion = crowned.run(second_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.REJECT
    (failed,) = [check for check in conclusion.evidence.decision.checks if check.outcome == "FAIL"]
    assert failed.name == "against_champion"
    assert failed.value < -0.1
    assert crowned.registry.aliases(crowned.model) == {"champion": 1}
    assert crowned.registry.versions(crowned.model) == (1,)
    assert crowned.parents()[-1].info.status == "FINISHED"
    assert crowned.parents()[-1].data.tags["evergreen.decision"] == "REJECT"


def test_a_spec_that_drops_a_column_of_the_champion_is_told_so(crowned, second_moment):
    rules = {"waited": {"type": "number", "min": -10, "max": 10}}
    crowned.change(features__numeric=["waited"], schema__columns=rules)
    state = crowned.state()
    with pytest.raises(UserError, match=r"version 1 of tiny reads column 'spent'"):
        crowned.run(second_moment)
    assert crowned.state() == state


def test_a_column_that_the_champion_reads_may_stay_declared_until_it_is_replaced(crowned, second_moment):
    rules = {name: {"type": "number", "min": -10, "max": 10} for name in ("waited", "spent")}
    crowned.change(features__numeric=["waited"], schema__columns=rules, gates__absolute={"accuracy": {"at_least": 0.5}})
    conclusion = crowned.run(second_moment)
    assert conclusion.evidence.evaluation.champion is not None
    assert conclusion.evidence.decision.kind is DecisionKind.REJECT, "one column knows less than two"


def test_a_feed_that_stands_still_is_no_twin_of_itself(project, first_moment):
    project.change(schema__freshness="40d")
    months = [first_moment + timedelta(days=30 * n) for n in (2, 12, 13)]
    found = [project.run(moment).evidence.decision for moment in months]
    assert [decision.kind for decision in found] == [DecisionKind.PROMOTE, DecisionKind.HOLD, DecisionKind.HOLD]
    assert all("freshness" in decision.reasons[0] for decision in found[1:])
