"""A model on its holdout: the losses are those of the metrics, and what is written is read again."""

import numpy as np
import pandas as pd
import pytest

from evergreen.evaluation import baseline as room
from evergreen.evaluation.baseline import measure_baseline, read_baseline, row_losses, write_baseline
from evergreen.evaluation.metrics import score
from evergreen.evaluation.outputs import number_outputs
from evergreen.evaluation.predict import Answers, Holdout

ROWS = 400


def classes(names=("no", "yes"), probable=True):
    draw = np.random.default_rng(4)
    chances = draw.dirichlet(np.ones(len(names)), ROWS)
    said = np.array(names, dtype=object)[chances.argmax(axis=1)]
    y = pd.Series(draw.choice(names, ROWS))
    frame = pd.DataFrame({"amount": draw.normal(size=ROWS)})
    return Holdout(frame, y), Answers(said, chances if probable else None, names if probable else ())


def numbers():
    draw = np.random.default_rng(5)
    plan = pd.Series(draw.choice(["basic", "pro"], ROWS), dtype="category")
    frame = pd.DataFrame({"amount": draw.normal(size=ROWS), "plan": plan, "secret": "x"})
    y = pd.Series(draw.normal(size=ROWS))
    return Holdout(frame, y), Answers(y.to_numpy() + draw.normal(size=ROWS))


@pytest.mark.parametrize("names", [("no", "yes"), ("a", "b", "c")])
def test_losses_of_classes_are_those_of_the_metrics(names):
    holdout, said = classes(names)
    found = measure_baseline(holdout, said, ["amount"], "classification", "f1_macro")
    wanted = score(["accuracy", "brier", "log_loss"], holdout.y, said.predicted, said.probabilities, names)
    assert 1 - found.losses["accuracy"].mean == pytest.approx(wanted["accuracy"])
    assert found.losses["brier"].mean == pytest.approx(wanted["brier"])
    assert found.losses["log_loss"].mean == pytest.approx(wanted["log_loss"])
    # Only answers are needed for the estimate: no input is kept.
    assert list(found.inputs.columns) == []


def test_losses_of_numbers_are_those_of_the_metrics_and_named_inputs_are_kept():
    holdout, said = numbers()
    found = measure_baseline(holdout, said, ["amount", "plan", "not there"], "regression", "r2")
    wanted = score(["mae", "rmse"], holdout.y, said.predicted)
    assert found.losses["mae"].mean == pytest.approx(wanted["mae"])
    assert found.losses["mse"].mean == pytest.approx(wanted["rmse"] ** 2)
    assert list(found.inputs.columns) == ["amount", "plan"]


def test_a_model_without_probabilities_has_wrong_answers_alone():
    found = measure_baseline(*classes(probable=False), [], "classification", "accuracy")
    assert set(found.losses) == {"accuracy"}


@pytest.mark.parametrize(
    ("made", "task"),
    [(classes(), "classification"), (classes(probable=False), "classification"), (numbers(), "regression")],
)
def test_what_is_written_is_read_again(made, task, tmp_path):
    kept = measure_baseline(*made, ["amount", "plan"], task, "m")
    found = read_baseline(*write_baseline(kept, tmp_path))
    assert (found.task, found.metric, found.losses, found.importance) == (kept.task, "m", kept.losses, {})
    assert list(found.inputs.columns) == list(kept.inputs.columns)
    for name in kept.losses:
        np.testing.assert_array_equal(row_losses(found.outputs, name), row_losses(kept.outputs, name))


def test_a_sample_is_seeded_and_in_the_order_of_the_holdout_and_losses_are_of_all_rows(monkeypatch):
    monkeypatch.setattr(room, "MOST_ROWS", 100)
    holdout, said = numbers()
    ordered = Holdout(holdout.frame, pd.Series(np.arange(ROWS, dtype=float)))
    first, again, other = (measure_baseline(ordered, said, [], "regression", "mae", seed) for seed in (1, 1, 2))
    assert first.rows == 100
    assert first.losses["mae"].rows == ROWS
    assert (np.diff(first.outputs.y) > 0).all()
    np.testing.assert_array_equal(first.outputs.y, again.outputs.y)
    assert set(first.outputs.y) != set(other.outputs.y)


def test_a_row_without_a_label_has_no_loss():
    assert np.isnan(row_losses(number_outputs([np.nan], [1.0]), "mae")).all()
