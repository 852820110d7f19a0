import json
import os

import numpy as np
import pandas as pd
import pytest

from evergreen.checks import Outcome
from evergreen.drift import evidently_report
from evergreen.drift.assess import assess
from evergreen.drift.check import drift_checks
from evergreen.drift.pictures import LABELS as SHOWN
from evergreen.drift.pictures import picture
from evergreen.drift.profile import build_profile
from evergreen.drift.report import render, sample_rows
from evergreen.spec.rules import ColumnDrift, DriftRules

NUMBERS = [f"n{i}" for i in range(8)]
LABELS = ["plan", "shop"]
TYPES = dict.fromkeys(NUMBERS, "number") | dict.fromkeys(LABELS, "category") | {"late": "category", "score": "number"}
ROLES = dict.fromkeys(NUMBERS + LABELS, "input") | {"late": "target", "score": "prediction"}
RULES = DriftRules(sample=1_000, max_share=0.5)


def table(rows, seed):
    rng = np.random.default_rng(seed)
    numbers = {name: rng.normal(size=rows) for name in [*NUMBERS, "score"]}
    labels = {
        "plan": pd.Categorical(rng.choice(["basic", "pro"], rows)),
        "shop": pd.Categorical([f"s{i}" for i in rng.integers(0, 300, rows)]),
        "late": pd.Categorical(rng.choice(["yes", "no"], rows)),
    }
    return pd.DataFrame(numbers | labels)


REFERENCE = table(2_000, 0)


@pytest.fixture(scope="module")
def impossible(tmp_path_factory):
    """Everything that Evidently drops or dies of, in one window, and its report."""
    current = table(2_000, 1).assign(
        n0=np.nan,
        n1=7.0,
        n2=lambda f: f.n2.where(np.arange(2_000) % 3 > 0, np.inf),
        n3="word",
        n5=pd.array([True, None] * 1_000, dtype="boolean"),
        n6=pd.array([1, None] * 1_000, dtype="Int64"),
        plan=None,
        late=pd.Categorical(["yes"] * 2_000),
    )
    current = current.drop(columns="n4")
    result = assess(current, build_profile(REFERENCE, TYPES), RULES, ROLES)
    done = render(result, current, REFERENCE, RULES, tmp_path_factory.mktemp("drift"))
    with open(done.data, encoding="utf-8") as file:
        return done, json.load(file)


def evidently_says(stored):
    """Column to (score, drifted), as Evidently's own JSON has it; and the count of drifted inputs."""
    metrics = {m["id"]: m for m in stored["evidently"]["metrics"]}
    tests = {t["metric_config"]["metric_id"]: t["status"] for t in stored["evidently"]["tests"]}
    columns = {
        m["config"]["column"]: (m["value"], tests[i] == "FAIL") for i, m in metrics.items() if "column" in m["config"]
    }
    (count,) = (m["value"] for m in metrics.values() if "columns" in m["config"])
    (overall,) = (tests[i] == "FAIL" for i, m in metrics.items() if "columns" in m["config"])
    return columns, count, overall


def agree(done, stored):
    columns, count, overall = evidently_says(stored)
    shown = [c for c in done.columns if c.outcome is not Outcome.UNKNOWN]
    assert columns == {c.column: (c.score or 0.0, c.drifted) for c in shown}
    assert (count["count"], count["share"]) == (len(done.drifted), done.share)
    assert overall == (drift_checks(done, RULES)[0].outcome is Outcome.FAIL)


def test_the_report_survives_columns_that_cannot_be_drawn_and_leaves_none_out(impossible):
    done, stored = impossible
    assert done.note == ""
    assert set(evidently_says(stored)[0]) == set(TYPES)


def test_the_report_agrees_with_the_verdict_in_every_column_and_in_the_whole(impossible):
    agree(*impossible)
    assert impossible[0].share > RULES.max_share


def test_the_page_shows_what_drifted_first(impossible):
    with open(impossible[0].report, encoding="utf-8") as file:
        page = file.read()
    assert "threshold is above 0.5" in page
    table_rows = [page.find(f'"column_name": "{name}"') for name in ("n0", "n7")]
    assert 0 < table_rows[0] < table_rows[1]


def test_nothing_of_a_report_stays_behind(impossible):
    from evidently.legacy.calculations.stattests import registry

    for names in (registry._registered_stat_tests, registry._registered_stat_test_funcs.values()):
        assert not [n for n in names if n.startswith("evergreen")]
    assert not [t for t in registry._impls if t.name.startswith("evergreen")]


@pytest.mark.parametrize("before", [None, "0"])
def test_nothing_is_told_to_evidently_while_drawing_and_the_environment_is_as_it_was(tmp_path, monkeypatch, before):
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    if before is not None:
        monkeypatch.setenv("DO_NOT_TRACK", before)
    seen = []
    monkeypatch.setattr(evidently_report, "_datasets", lambda _: seen.append(os.environ.get("DO_NOT_TRACK")))
    result = assess(table(2_000, 1), build_profile(REFERENCE, TYPES), RULES, ROLES)
    render(result, table(2_000, 1), REFERENCE, RULES, tmp_path)
    assert seen == ["1"]
    assert os.environ.get("DO_NOT_TRACK") == before


@pytest.mark.parametrize("moved", [1, 2])
def test_report_and_gate_agree_on_the_limit_itself(tmp_path, moved):
    """Two inputs, one drifted: exactly at the limit of one half, where Evidently's own bound would already alarm."""
    names = ["n0", "n1"]
    current = table(2_000, 1)
    current[names[:moved]] += 1.0
    profile = build_profile(REFERENCE, dict.fromkeys(names, "number"))
    result = assess(current, profile, RULES, dict.fromkeys(names, "input"))
    done = render(result, current, REFERENCE, RULES, tmp_path)
    assert done.share == moved / 2
    agree(done, json.loads((tmp_path / "drift.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("method", ["ks", "wasserstein", "jensenshannon"])
@pytest.mark.parametrize("nudge", [0.999, 1.0, 1.001])
def test_report_and_verdict_agree_at_the_threshold_of_a_column(tmp_path, method, nudge):
    current = table(2_000, 1).assign(n0=lambda f: f.n0 + 0.4)
    profile, roles = build_profile(REFERENCE, {"n0": "number"}), {"n0": "input"}

    def rules(threshold):
        return DriftRules(sample=1_000, columns={"n0": ColumnDrift(method=method, threshold=threshold)})

    score = assess(current, profile, rules(1.0), roles).columns[0].score
    result = assess(current, profile, rules(score * nudge), roles)
    done = render(result, current, REFERENCE, rules(score * nudge), tmp_path)
    agree(done, json.loads((tmp_path / "drift.json").read_text(encoding="utf-8")))


def test_where_nothing_could_be_judged_there_is_no_page_but_the_result_is_written(tmp_path):
    result = assess(REFERENCE.head(3), build_profile(REFERENCE, TYPES), RULES, ROLES)
    done = render(result, REFERENCE.head(3), REFERENCE, RULES, tmp_path / "new" / "folder")
    assert done.report is None
    assert "3 current rows" in done.note
    assert json.loads((tmp_path / "new" / "folder" / "drift.json").read_text(encoding="utf-8"))["evidently"] is None


def test_a_column_that_could_not_be_judged_is_named_in_the_note(tmp_path):
    roles = {"n0": "input", "fresh": "input"}
    current = table(2_000, 1).assign(fresh=1.0)
    result = assess(current, build_profile(REFERENCE, TYPES), RULES, roles)
    done = render(result, current, REFERENCE, RULES, tmp_path)
    assert done.note == "Not in the report, as nothing could be judged: fresh."
    agree(done, json.loads((tmp_path / "drift.json").read_text(encoding="utf-8")))


def test_a_report_that_fails_leaves_the_verdict_and_says_so(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no figures today")

    monkeypatch.setattr(evidently_report, "draw", fail)
    current = table(2_000, 1).assign(n0=5.0)
    result = assess(current, build_profile(REFERENCE, TYPES), RULES, ROLES)
    done = render(result, current, REFERENCE, RULES, tmp_path)
    assert done.note == "No Evidently report: RuntimeError: no figures today."
    assert (done.columns, done.share, done.report) == (result.columns, result.share, None)
    stored = json.loads((tmp_path / "drift.json").read_text(encoding="utf-8"))
    assert stored["verdict"]["share"] == result.share


@pytest.mark.parametrize("flag", [pd.array([True, None] * 5, dtype="boolean"), np.array([1.0, np.nan] * 5)])
def test_a_flag_is_drawn_as_the_same_bars_in_any_dtype(flag):
    reference, current = pd.DataFrame({"x": [0.0, 1.0] * 5}), pd.DataFrame({"x": flag})
    old, new = picture("x", reference, current)
    assert old.tolist() == ["0", "1"] * 5
    assert new.tolist() == ["1", None] * 5


def test_only_the_most_frequent_labels_are_drawn_by_name():
    frame = pd.DataFrame({"x": [f"v{i}" for i in range(SHOWN)] * 2 + ["rare", None]})
    old, _ = picture("x", frame, frame)
    assert old.nunique() == SHOWN + 1
    assert old.tolist()[-2:] == ["(other)", None]


def test_a_column_whose_sample_is_all_null_is_drawn_as_what_is_left_of_it():
    reference, current = pd.DataFrame({"x": [1.0, 2.0, np.nan]}), pd.DataFrame({"x": [np.nan, np.nan]})
    old, new = picture("x", reference, current)
    assert old.tolist() == ["(float64 value)", "(float64 value)", "(null)"]
    assert new.tolist() == ["(null)", "(null)"]


def test_a_sample_keeps_order_and_is_the_same_again():
    frame = pd.DataFrame({"x": range(1_000)})
    once = sample_rows(frame, 100, seed=1)
    assert once.x.is_monotonic_increasing
    assert len(once) == 100
    pd.testing.assert_frame_equal(once, sample_rows(frame, 100, seed=1))
    assert not once.equals(sample_rows(frame, 100, seed=2))
