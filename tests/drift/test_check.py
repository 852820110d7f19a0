import pytest

from evergreen.checks import Outcome
from evergreen.drift.check import drift_checks, no_reason_to_retrain
from evergreen.drift.result import ColumnDrift, DriftResult
from evergreen.spec.rules import DriftRules

RULES = DriftRules(max_share=0.5, retrain_share=0.3)
FAIL, PASS, UNKNOWN = Outcome.FAIL, Outcome.PASS, Outcome.UNKNOWN


def result(share, note=""):
    return DriftResult((), share, 1_000, 1_000, note=note)


@pytest.mark.parametrize(("share", "outcome"), [(0.0, PASS), (0.5, PASS), (0.51, FAIL), (1.0, FAIL), (None, UNKNOWN)])
def test_drift_over_the_limit_fails_and_drift_unknown_is_unknown(share, outcome):
    (check,) = drift_checks(result(share), RULES)
    assert (check.name, check.outcome, check.value) == ("drift share", outcome, share)


def test_without_a_champion_nothing_can_have_drifted():
    (check,) = drift_checks(None, RULES, reason_is_drift=True)
    assert check.passed
    assert check.why == "no champion yet"


@pytest.mark.parametrize(("share", "nothing"), [(0.0, True), (0.29, True), (0.3, False), (None, False)])
def test_a_run_for_drift_needs_drift(share, nothing):
    assert no_reason_to_retrain(result(share), RULES) is nothing
    reason = drift_checks(result(share), RULES, reason_is_drift=True)[1]
    assert reason.outcome is (FAIL if nothing else UNKNOWN if share is None else PASS)


def test_a_first_run_is_never_without_reason():
    assert not no_reason_to_retrain(None, RULES)


def test_the_check_names_what_drifted():
    columns = (
        ColumnDrift("price", "input", "ks", 0.001, 0.05, 0.4, FAIL, ""),
        ColumnDrift("plan", "input", "chisquare", 0.4, 0.05, 0.0, PASS, ""),
        ColumnDrift("age", "input", "ks", None, 0.05, None, UNKNOWN, ""),
        ColumnDrift("churn", "target", "chisquare", 0.0, 0.05, 0.5, FAIL, ""),
    )
    (check,) = drift_checks(DriftResult(columns, 0.5, 900, 900), RULES)
    assert check.why == "1 of 2 inputs drifted: price"


def test_an_unknown_share_says_why():
    (check,) = drift_checks(result(None, note="12 current rows; 500 are needed"), RULES)
    assert check.why == "12 current rows; 500 are needed"
