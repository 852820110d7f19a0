import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.checks import Outcome
from evergreen.evaluation.metrics import METRICS
from evergreen.evaluation.outputs import Numbers
from evergreen.evaluation.predict import Holdout
from evergreen.evaluation.result import Evaluation, ModelScore
from evergreen.evaluation.slices import score_slices, share_confidence
from evergreen.gate.relative import check_slices
from evergreen.spec.rules import AgainstChampion, SliceRules

ROWS = 80
RULES = SliceRules(by=("region",), margin=0.0, min_rows=ROWS)
MAE = AgainstChampion(metric="mae")


def judged(slices: int, seed: int, harm: float = 0.0) -> Outcome:
    """The check on two models of equal errors, but for one slice in which the challenger's are larger."""
    rows = slices * ROWS
    rng = np.random.default_rng(seed)
    y = np.zeros(rows)
    new, old = rng.exponential(1, (2, rows))
    new[:ROWS] += harm
    region = np.repeat([f"region {at:03}" for at in range(slices)], ROWS)
    holdout = Holdout(pd.DataFrame({"region": region}), pd.Series(y))
    parts = score_slices(METRICS["mae"], holdout, (Numbers(y, new), Numbers(y, old)), RULES, MAE)
    score = ModelScore({})
    return check_slices(Evaluation("mae", False, rows, score, None, score, slices=parts), RULES).outcome


@pytest.mark.parametrize("slices", [1, 12])
def test_equal_models_are_rejected_as_rarely_by_many_slices_as_by_one(slices):
    rejected = sum(judged(slices, seed) is Outcome.FAIL for seed in range(60))
    assert rejected <= 7  # 3 are expected; each slice by itself would reject 29 of 60 where there are 12


def test_a_group_that_got_much_worse_is_seen_among_many():
    assert judged(40, seed=0, harm=1.0) is Outcome.FAIL


@given(st.integers(1, 5000), st.floats(0.51, 0.999))
def test_the_errors_of_all_slices_add_up_to_the_one_that_was_asked_for(slices, confidence):
    each = share_confidence(AgainstChampion(metric="mae", confidence=confidence), slices)
    assert slices * (1 - each.confidence) == pytest.approx(1 - confidence, rel=1e-6)
    assert each.resamples >= 200
    assert each.resamples * slices <= max(40_000, 200 * slices)
